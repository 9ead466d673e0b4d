"""What ``subscribe_partitioned`` returns ends the one subscription that it is of, whoever calls it and how often."""

import asyncio
import time

import pytest

from prom_faust.assignment.coordinator import PartitionCoordinator
from tests.integration.partitioned.conftest import Owned
from tests.support.projection import eventually
from tests.support.running_app import Seen

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = {"ttl": 6.0, "rebalance_every": 0.3}


@pytest.fixture(params=["kafka", "coordinator"])
def begin(request, prom, group, topic):
    """Subscribes, and gives what stops that; with Kafka's group and with a coordinator."""
    shared = {} if request.param == "kafka" else {"coordinator": PartitionCoordinator(clock=time.monotonic)}

    def subscribe(handler, **options):
        kind = {"group": group, "member_id": "a", "partitions": 4, **shared, **QUICK}
        return prom.subscribe_partitioned(topic, handler, **{**kind, **options})

    return subscribe


async def reads(prom, group):
    async def owns():
        lanes = [lane for lane in prom.lanes.values() if lane.options.group == group]
        return sum(len(lane.partitions) for lane in lanes) >= 4

    await eventually(owns)


async def send(topics, topic, numbers):
    for number in numbers:
        await topics.send(topic, f"k{number}", number, partition=number % 4)


async def is_gone(prom, group):
    async def gone():
        return not [name for name in (*prom.app.agents, *prom.lanes) if group in name]

    await eventually(gone, seconds=10.0)


async def test_a_second_stop_does_nothing(prom, group, begin):
    stop = begin(Seen())
    await reads(prom, group)
    await stop()
    await is_gone(prom, group)
    await stop()


async def test_two_stops_at_once_are_one(prom, group, begin):
    stop = begin(Seen())
    await reads(prom, group)
    await asyncio.gather(stop(), stop())
    await is_gone(prom, group)


async def test_a_former_stop_leaves_the_next_one_of_the_name_alone(prom, group, topic, topics, begin):
    seen = Seen()
    former = begin(Seen())
    await reads(prom, group)
    await former()
    stop = begin(seen)
    await reads(prom, group)
    await former()
    assert [name for name in prom.app.agents if group in name]
    assert [name for name in prom.lanes if group in name]
    await send(topics, topic, range(8))
    await seen.wait(8)
    await stop()


async def test_a_handler_may_stop_its_own_subscription(prom, group, topic, topics, begin):
    seen, took = Seen(), []

    async def handler(event):
        await seen(event)
        if len(seen.events) == 3:
            began = time.monotonic()
            await stop()
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.3)
            took.append(time.monotonic() - began)

    stop = begin(handler)
    await reads(prom, group)
    await send(topics, topic, [0] * 50)  # one partition: while one is handled no other is
    await is_gone(prom, group)
    assert took[0] < 0.2
    assert len(took) == 2  # it has returned, and nothing came after it
    assert len(seen.events) == 3
    rest = Seen()
    await stop()
    again = begin(rest)
    await rest.wait(47)
    assert len(rest.events) == 47  # what it had handled was done
    await again()


async def test_after_a_handler_s_stop_no_other_event_comes(prom, group, topic, topics, begin):
    seen = Seen()

    async def handler(event):
        await seen(event)
        if len(seen.events) == 3:
            await stop()

    stop = begin(handler)
    await reads(prom, group)
    await send(topics, topic, [0] * 50)
    await is_gone(prom, group)
    assert len(seen.events) == 3
    rest = Seen()
    again = begin(rest)
    await rest.wait(47)
    assert len(rest.events) == 47
    await again()


@pytest.mark.parametrize("hook", ["on_assigned", "on_revoked"])
async def test_a_hook_may_stop_its_own_subscription(prom, group, begin, hook):
    took = []

    async def stops(partitions):
        began = time.monotonic()
        await stop()
        took.append(time.monotonic() - began)

    stop = begin(Seen(), **{hook: stops})
    if hook == "on_revoked":
        await reads(prom, group)
        await asyncio.sleep(0.5)
        await stop()
    await is_gone(prom, group)
    assert max(took) < 0.2
    await stop()
    await begin(Seen())()


async def test_who_waits_for_a_stop_and_is_cancelled_does_not_take_it_back(prom, group, topic, topics, begin):
    seen = Seen()

    async def slow(event):
        await asyncio.sleep(1.0)
        await seen(event)

    stop = begin(slow)
    await reads(prom, group)
    await send(topics, topic, [0])
    await asyncio.sleep(0.5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await stop()
    assert seen.events == []
    await stop()
    assert len(seen.events) == 1
    await is_gone(prom, group)
    await begin(Seen())()


async def test_another_subscription_s_handler_waits_for_the_end(prom, group, topic, topics, begin):
    stopped = []

    async def slow(event):
        await asyncio.sleep(0.5)
        stopped.append("handled")

    async def stops(event):
        await asyncio.sleep(0.2)
        await stop_slow()
        stopped.append("stopped")

    stop_slow = begin(slow)
    stop = prom.subscribe_partitioned(topic, stops, group=f"other.{group}", **QUICK)
    await reads(prom, group)
    await reads(prom, f"other.{group}")
    await send(topics, topic, [0])

    async def done():
        return len(stopped) == 2

    await eventually(done)
    assert stopped == ["handled", "stopped"]
    await stop()


@pytest.mark.parametrize("hook", ["on_assigned", "on_revoked"])
async def test_a_hook_that_raises_a_cancellation_ends_nothing(
    prom, group, topic, topics, begin, hook, caplog
):
    seen = Seen()

    async def cancelled(partitions):
        task = asyncio.create_task(asyncio.sleep(3600))
        task.cancel()
        await task

    stop = begin(seen, **{hook: cancelled})
    await reads(prom, group)
    await send(topics, topic, range(8))
    await seen.wait(8)
    await stop()
    await is_gone(prom, group)
    assert "test_a_hook_that_raises_a_cancellation_ends_nothing.<locals>.cancelled" in caplog.text


async def test_a_stop_s_hooks_are_told_before_it_returns(prom, group, begin):
    owned = Owned()
    stop = begin(Seen(), **owned.hooks)
    await owned.wait(4)
    await stop()
    assert owned.now == frozenset()
