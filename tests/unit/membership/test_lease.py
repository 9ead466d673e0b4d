"""What a stream's queue gives, and when, while nothing was heard of the group for longer than a session."""

import asyncio
import time

import pytest
from mode.utils.queues import FlowControlEvent

from prom_faust.membership.lease.kafka import HeldQueue, Lease

SESSION = 30.0


@pytest.fixture
def flow():
    return FlowControlEvent(initially_suspended=False)


@pytest.fixture
def lease():
    lease = Lease(SESSION)
    lease.renew(time.monotonic() - SESSION)
    return lease


@pytest.fixture
def queue(flow, lease):
    queue = HeldQueue(flow_control=flow, clear_on_resume=True, lease=lease)
    for event in "ab":
        queue.put_nowait(event)
    return queue


async def held(getting):
    done, _ = await asyncio.wait([getting], timeout=0.3)
    return not done


def test_who_never_was_a_member_has_nothing_to_lose():
    assert not Lease(SESSION).over


def test_it_ends_a_session_after_the_last_heartbeat(lease):
    assert lease.over
    lease.renew(time.monotonic() - SESSION / 2)
    assert not lease.over


async def test_a_member_gets_its_events_at_once(queue, lease):
    lease.renew(time.monotonic())
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_events_are_held_until_a_heartbeat_is_answered(queue, lease):
    getting = asyncio.create_task(queue.get())
    assert await held(getting)
    lease.renew(time.monotonic())
    assert [await getting, await queue.get()] == ["a", "b"]


async def test_an_event_for_one_who_waited_already_is_held(flow, lease):
    queue = HeldQueue(flow_control=flow, clear_on_resume=True, lease=lease)
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait("a")
    assert await held(getting)
    lease.renew(time.monotonic())
    assert await getting == "a"


async def test_a_rebalance_ends_the_wait_and_takes_the_rest(queue, flow):
    getting = asyncio.create_task(queue.get())
    assert await held(getting)
    flow.suspend()
    flow.clear()
    assert await getting == "a"  # the stream leaves it out
    assert queue.empty()


async def test_an_event_that_is_held_is_not_lost_with_its_stream(queue, lease):
    getting = asyncio.create_task(queue.get())
    assert await held(getting)
    getting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await getting
    lease.renew(time.monotonic())
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_only_heartbeats_that_are_answered_renew_it(lease):
    class Coordinator:
        answers = False

        async def _do_heartbeat(self):
            return self.answers

    coordinator = Coordinator()
    lease.listen(coordinator)
    assert not await coordinator._do_heartbeat()
    assert lease.over
    coordinator.answers = True
    assert await coordinator._do_heartbeat()
    assert not lease.over
