"""Agents of an app that runs inside the test."""

import pytest_asyncio

from tests.support.running_app import prom, registry, topic, topics

__all__ = ["prom", "registry", "topic", "topics"]


@pytest_asyncio.fixture(loop_scope="module")
async def event_agent(prom, unique):
    """Declares agents, each with a name of the test's own, and ends them with the test."""
    names = []

    def declare(topic, handler, **options):
        names.append(f"{unique}.{len(names)}")
        return prom.event_agent(topic, name=names[-1], **options)(handler)

    yield declare
    for name in names:
        await prom.lanes.pop(name).stop()
        await prom.app.agents.pop(name).stop()
