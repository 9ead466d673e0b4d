"""``subscribe_partitioned`` with ``coordinator=``: members of one process share what one lane reads."""

import asyncio
import time
from collections import defaultdict

import pytest

from prom_faust import partition_of
from prom_faust.assignment.coordinator import PartitionCoordinator
from prom_faust.exceptions import ConfigurationError
from tests.integration.partitioned.conftest import Owned
from tests.support.projection import eventually
from tests.support.running_app import Seen

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = {"ttl": 6.0, "rebalance_every": 0.3}
KEYS = [f"k{number}" for number in range(40)]


@pytest.fixture
def coordinator():
    return PartitionCoordinator(clock=time.monotonic)


async def begun(prom, group):
    """Whether the shared lane reads."""
    lane = next(lane for lane in prom.lanes.values() if lane.options.group == group)

    async def reads():
        return len(lane.partitions) == 4

    await eventually(reads)


async def send(topics, topic, numbers):
    for number in numbers:
        await topics.send(topic, KEYS[number % 40], number, partition=number % 4)


async def test_each_record_goes_to_the_owner_of_its_logical_partition(
    prom, group, topic, topics, coordinator
):
    options = {"group": group, "partitions": 8, "coordinator": coordinator, **QUICK}
    a, b = Seen(), Seen()
    stop_a = prom.subscribe_partitioned(topic, a, member_id="a", **options)
    stop_b = prom.subscribe_partitioned(topic, b, member_id="b", **options)
    await begun(prom, group)
    owners = coordinator.assign(group, 8).owners
    assert set(owners.values()) == {"a", "b"}
    await send(topics, topic, range(80))
    await eventually(lambda: total(a, b, 80))
    for name, seen in (("a", a), ("b", b)):
        for event in seen.events:
            assert event.partition == partition_of(event.key, 8)
            assert owners[event.partition] == name
    await stop_a()
    assert set(coordinator.assign(group, 8).owners.values()) == {"b"}
    await send(topics, topic, range(80, 120))
    await eventually(lambda: total(a, b, 120))
    assert max(a.values) < 80
    await stop_b()
    assert coordinator.assign(group, 8).owners == {}
    assert not [name for name in prom.app.agents if group in name]


async def total(a, b, count):
    return len(a.events) + len(b.events) >= count


async def test_one_partition_s_handlers_do_not_meet_and_a_handover_waits_for_them(
    prom, group, topic, topics, coordinator
):
    at_work, seen, owned = defaultdict(int), Seen(), {"a": Owned(), "b": Owned()}

    def handler(name):
        async def handle(event):
            assert event.partition in owned[name].now
            at_work[event.partition] += 1
            assert at_work[event.partition] == 1
            await asyncio.sleep(0.01)
            at_work[event.partition] -= 1
            await seen(event)

        return handle

    options = {"group": group, "partitions": 3, "coordinator": coordinator, **QUICK}
    stop_a = prom.subscribe_partitioned(topic, handler("a"), member_id="a", **options, **owned["a"].hooks)
    await begun(prom, group)
    await send(topics, topic, range(200))
    await seen.wait(20)
    stop_b = prom.subscribe_partitioned(topic, handler("b"), member_id="b", **options, **owned["b"].hooks)
    await seen.wait(200)
    assert {name: len(each.now) > 0 for name, each in owned.items()} == {"a": True, "b": True}
    assert sorted(seen.values) == list(range(200))
    await stop_a()
    await stop_b()


async def test_without_any_owner_the_records_wait(prom, group, topic, topics, coordinator):
    options = {"group": group, "partitions": 8, "coordinator": coordinator}
    seen = Seen()
    stop = prom.subscribe_partitioned(topic, seen, member_id="a", ttl=30.0, rebalance_every=2.0, **options)
    await begun(prom, group)
    coordinator.leave(group, "a")
    await coordinator.rebalance(group, 8)
    await send(topics, topic, range(10))
    await asyncio.sleep(0.5)
    assert seen.events == []
    await seen.wait(10)  # at its next heartbeat it joins again
    await stop()


async def test_who_stops_does_not_cut_off_another_one_s_hook(prom, group, topic, topics, coordinator):
    seen, stages, slow = Seen(), [], asyncio.Event()

    async def takes_a_second(partitions):
        if slow.is_set():
            stages.append("begun")
            await asyncio.sleep(1.0)
            stages.append("done")

    options = {"group": group, "partitions": 8, "coordinator": coordinator, "ttl": 60.0}
    stop_a = prom.subscribe_partitioned(
        topic, seen, member_id="a", rebalance_every=30.0, on_assigned=takes_a_second, **options
    )
    stop_b = prom.subscribe_partitioned(topic, seen, member_id="b", rebalance_every=0.2, **options)
    await begun(prom, group)
    slow.set()
    coordinator.join(group, "a", {"weight": 8.0})  # b has it shared anew, and that is told to a

    async def at_work():
        return stages

    await eventually(at_work)
    await stop_b()
    # What b gave back comes second.
    assert stages == ["begun", "done"] * (len(stages) // 2)
    await send(topics, topic, range(40))
    await seen.wait(40)
    await stop_a()


async def test_a_hook_that_does_not_return_holds_up_a_stop_for_a_while_only(prom, group, topic, coordinator):
    begun_hooks = []

    async def never(partitions):
        begun_hooks.append(partitions)
        await asyncio.sleep(3600)

    options = {"group": group, "partitions": 8, "coordinator": coordinator, **QUICK}
    stop_a = prom.subscribe_partitioned(topic, Seen(), member_id="a", on_assigned=never, **options)
    stop_b = prom.subscribe_partitioned(topic, Seen(), member_id="b", **options)

    async def at_work():
        return begun_hooks

    await eventually(at_work)
    began = time.monotonic()
    await stop_b()
    await stop_a()
    assert time.monotonic() - began < 25.0
    assert not [name for name in prom.app.agents if group in name]


async def test_members_stay_alive_while_a_hook_takes_longer_than_the_ttl(prom, group, topic, coordinator):
    coordinator.ttl = 1.5
    owned, told = Owned(), []

    async def slow(partitions):
        told.append(partitions)
        await asyncio.sleep(3.0)

    options = {"group": group, "partitions": 8, "coordinator": coordinator, **QUICK}
    stop_a = prom.subscribe_partitioned(topic, Seen(), member_id="a", on_assigned=slow, **options)
    stop_b = prom.subscribe_partitioned(topic, Seen(), member_id="b", **options, **owned.hooks)

    async def settled():
        found = coordinator.snapshot()["groups"].get(group, {"rebalancing": True})
        return owned.now and not found["rebalancing"]

    await eventually(settled)
    assert [kind for kind, _ in owned.told] == ["assigned"]
    assert {member["id"] for member in coordinator.snapshot()["groups"][group]["members"]} == {"a", "b"}
    await stop_a()
    await stop_b()


async def test_all_members_count_the_same_partitions(prom, group, topic, coordinator):
    stop = prom.subscribe_partitioned(
        topic, Seen(), group=group, member_id="a", partitions=8, coordinator=coordinator
    )
    with pytest.raises(ConfigurationError, match="partitions=4, and the others have 8"):
        prom.subscribe_partitioned(
            topic, Seen(), group=group, member_id="b", partitions=4, coordinator=coordinator
        )
    await stop()
    with pytest.raises(ConfigurationError, match="say how many"):
        prom.subscribe_partitioned(topic, Seen(), group=group, coordinator=coordinator)
