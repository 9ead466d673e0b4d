"""Consumers of an app that runs inside the test, and what their hooks are told."""

import pytest

from tests.support.projection import eventually
from tests.support.running_app import prom, registry, topic, topics

__all__ = ["Owned", "group", "prom", "registry", "topic", "topics"]


class Owned:
    """Hooks that remember what they were told."""

    def __init__(self):
        self.told = []
        self.now = frozenset()

    def assigned(self, partitions):
        self.told.append(("assigned", partitions))
        self.now |= partitions

    async def revoked(self, partitions):
        self.told.append(("revoked", partitions))
        self.now -= partitions

    @property
    def hooks(self):
        return {"on_assigned": self.assigned, "on_revoked": self.revoked}

    async def wait(self, count, *, seconds=15.0):
        async def owns():
            return len(self.now) == count

        await eventually(owns, seconds=seconds)


@pytest.fixture
def group(unique):
    """A group of the test's own."""
    return f"{unique}.group"
