"""An app that runs inside the test, with the plugin; and what its handlers see."""

from uuid import uuid4

import pytest
import pytest_asyncio

from prom_faust import SchemaRegistry, install
from tests.support.kafka import Topics
from tests.support.projection import eventually, make_app


class Seen:
    """A handler that remembers its events."""

    def __init__(self):
        self.events = []

    async def __call__(self, event):
        self.events.append(event)

    @property
    def values(self):
        return [event.value for event in self.events]

    async def wait(self, count, *, seconds=40.0):
        async def enough():
            return len(self.events) >= count

        await eventually(enough, seconds=seconds)
        return self.events


@pytest.fixture(scope="module")
def registry():
    return SchemaRegistry()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def topics(kafka):
    async with Topics(f"127.0.0.1:{kafka.port}") as topics:
        yield topics


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prom(kafka, topics, tmp_path_factory, registry):
    """The plugin of an app that runs already; the tests of a module share it, and each has a group of its own."""
    name = f"t{uuid4().hex[:10]}"
    app = make_app(
        name, kafka.url, tmp_path_factory.mktemp("data"), web_enabled=False, topic_disable_leader=False
    )
    prom = install(app, registry=registry, worker_name="w1", history_interval=1.0, drain_timeout=4.0)
    await topics.create(f"{name}-other", 1)

    @app.agent(app.topic(f"{name}-other", partitions=1))
    async def other(stream):
        async for _ in stream:
            pass

    await app.start()
    yield prom
    await app.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def topic(topics, unique):
    """A topic of four partitions that other clients write, too."""
    return await topics.create(unique, 4, **{"cleanup.policy": "delete"})
