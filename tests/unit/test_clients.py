"""What clients make of what a group's coordinator says, in the very bytes of the protocol, and of their own end."""

import asyncio
import io
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.commit import OffsetFetchResponse_v3
from aiokafka.structs import OffsetAndMetadata

from prom_faust.clients import heed_offset_errors, started

MINE = TopicPartition("t", 0)
LOADING, MOVED, GONE = 14, 16, 15
FOUND = ([("t", [(0, 7, "", 0)])], 0)


class Coordinator(GroupCoordinator):
    """aiokafka's own, without a broker: it gets one response after another."""

    def __init__(self, *answers):
        self.group_id = "g"
        self._retry_backoff_ms = 1
        self._answers = [
            OffsetFetchResponse_v3.decode(io.BytesIO(OffsetFetchResponse_v3(0, *answer).encode()))
            for answer in answers
        ]
        self.lookups = 0
        self._known = False

    async def ensure_coordinator_known(self):
        self.lookups += not self._known
        self._known = True

    async def _send_req(self, request):
        return self._answers.pop(0)

    def coordinator_dead(self):
        self._known = False


@pytest.mark.parametrize(("code", "lookups"), [(LOADING, 1), (MOVED, 2), (GONE, 2)])
async def test_a_coordinator_that_cannot_tell_is_asked_again(code, lookups):
    coordinator = Coordinator(([], code), FOUND)
    heed_offset_errors(SimpleNamespace(_coordinator=coordinator))
    assert await coordinator.fetch_committed_offsets([MINE]) == {MINE: OffsetAndMetadata(7, "")}
    assert coordinator.lookups == lookups


async def test_aiokafka_alone_takes_it_for_no_offset():
    assert await Coordinator(([], LOADING)).fetch_committed_offsets([MINE]) == {}


class Cancelled(AIOKafkaConsumer):
    """What aiokafka's own does now and then: its end raises how its fetches have ended."""

    async def start(self):
        pass

    async def stop(self):
        await super().stop()
        raise asyncio.CancelledError


async def test_a_reader_whose_end_is_cancelled_does_not_end_who_closes_it():
    async with started(Cancelled(), what="a reader"):
        pass
    with pytest.raises(ZeroDivisionError):
        async with started(Cancelled(), what="a reader"):
            raise ZeroDivisionError
