"""A long outage of MongoDB in no time: the sink waits with growing pauses, whatever the server does or leaves out."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
from pymongo.errors import AutoReconnect

from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.service import Projector
from tests.exhaustive.flight import LIVE, NAME, OPTIONS, Event, record_of
from tests.exhaustive.loop import Loop

HOUR = 3600.0
DEADLINE = 10.0


class Servers:
    """A database that is away for an hour; ``silent`` if its server is there and says nothing."""

    topology_description = None

    def __init__(self, batch, *, silent):
        self.batch = batch
        self.silent = silent
        self.calls = 0
        self.waited = False
        self.database = self.client = self.topology_description = self

    def server_descriptions(self):
        return {("127.0.0.1", 27017): None}

    def get_collection(self, *_, **__):
        return self

    async def bulk_write(self, *_, **__):
        loop = asyncio.get_running_loop()
        self.calls += 1
        assert self.calls < 10_000, "it does not wait"
        if loop.time() >= HOUR:
            return SimpleNamespace(upserted_ids={})
        loop.call_later(0.0, self.look)
        if self.silent:
            await loop.create_future()
        raise AutoReconnect("gone")

    def look(self):
        """Whether the batch says that it waits, right after a refusal."""
        self.waited = self.waited or self.batch.waiting


@pytest.mark.parametrize("silent", [False, True])
def test_an_outage_of_an_hour_is_waited_out_with_few_calls(silent, caplog):
    caplog.set_level(logging.CRITICAL)
    loop = Loop()
    share = Share(Token(NAME), [record_of(Event(LIVE), 0)])
    batch = Batch({NAME: share}, held_since={}, clock=loop.time)
    servers = Servers(batch, silent=silent)
    projector = Projector(
        OPTIONS,
        Collection(Server(servers, deadline=DEADLINE), OPTIONS),
        publisher=None,
        consumer="g",
        unique_wait=HOUR,
        log=lambda _: (0, 1),
    )
    loop.run(projector.project(batch))
    assert HOUR <= loop.time() < HOUR + 60.0
    # Pauses are random between 0 and 10 seconds, once they have grown.
    assert 100 < servers.calls < 1_500
    assert projector.stats.retries == servers.calls - 2
    assert projector.stats.outage is None
    assert servers.waited or silent
    assert not batch.waiting
