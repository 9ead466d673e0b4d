"""Faust empties its queues when its streams are ready; what was read of standbys by then would be lost for good."""

from types import SimpleNamespace

import faust
import pytest
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from prom_faust.membership.lease.kafka import Lease
from prom_faust.tables.faust import ChangelogQueue

STANDBY, ACTIVE = TP("changelog", 0), TP("changelog", 1)


def event(offset, *, tp=STANDBY, generation=7):
    return SimpleNamespace(message=SimpleNamespace(tp=tp, offset=offset, generation_id=generation))


@pytest.fixture
async def flow():
    return FlowControlEvent(initially_suspended=False)


@pytest.fixture
async def queue(flow):
    app = faust.App("hub", broker="kafka://127.0.0.1:9")
    app.consumer_generation_id = 7
    app.tables.recovery.standby_tps.add(STANDBY)
    return ChangelogQueue(maxsize=10, clear_on_resume=True, flow_control=flow, lease=Lease(10.0), app=app)


def offsets(queue):
    return [queue.get_nowait().message.offset for _ in range(queue.qsize())]


async def test_what_was_read_of_a_standby_is_there_when_records_flow_again(queue, flow):
    for offset in range(3):
        await queue.put(event(offset))
    flow.resume()
    assert offsets(queue) == [0, 1, 2]


async def test_what_was_read_for_recovery_is_not(queue, flow):
    await queue.put(event(5, tp=ACTIVE))
    await queue.put(event(6))
    flow.resume()
    assert offsets(queue) == [6]


async def test_what_was_read_before_a_rebalance_is_not(queue, flow):
    await queue.put(event(5, generation=6))
    flow.resume()
    assert queue.empty()
