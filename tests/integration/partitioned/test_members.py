"""A partitioned consumer as a member of its group: its name, who is beside it, and what ends it."""

import asyncio
import re
import time
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from prom_faust import install
from prom_faust.exceptions import ConfigurationError, DuplicateMemberError, GroupError
from tests.integration.partitioned.conftest import Owned
from tests.support.projection import eventually, make_app
from tests.support.running_app import Seen
from tests.support.worker import FaustWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = {"ttl": 6.0, "rebalance_every": 0.3}


async def test_a_member_has_a_name_a_history_and_the_groups_names(prom, group, topic):
    a, b = Owned(), Owned()
    stop_a = prom.subscribe_partitioned(topic, Seen(), group=group, **QUICK, **a.hooks)
    await a.wait(4)
    stop_b = prom.subscribe_partitioned(topic, Seen(), group=group, member_id="b", **QUICK, **b.hooks)
    await b.wait(2)
    await a.wait(2)
    lane = prom.lanes[f"partitioned.{group}"]
    assert (lane.member, prom.lanes[f"partitioned.{group}.b"].member) == ("w1", "b")
    assert lane.history.members == ("b", "w1")
    assert lane.history.protocol == "prom-rendezvous"
    assert [rebalance.reason for rebalance in lane.history.rebalances][:2] == ["started", "b joined"]
    assert lane.history.assigned_now == {(topic, number) for number in a.now}
    assert not a.now & b.now
    await stop_b()
    await stop_a()


async def test_a_member_joins_with_one_request_for_all_that_it_offers(prom, group, topic):
    owned = Owned()
    stop = prom.subscribe_partitioned(topic, Seen(), group=group, **QUICK, **owned.hooks)
    await owned.wait(4)
    assert prom.lanes[f"partitioned.{group}"].history.generation == 1
    await stop()


async def test_two_subscriptions_of_a_group_have_two_names(prom, group, topic):
    stop = prom.subscribe_partitioned(topic, Seen(), group=group)
    with pytest.raises(ConfigurationError, match="member_id="):
        prom.subscribe_partitioned(topic, Seen(), group=group)
    await stop()
    await prom.subscribe_partitioned(topic, Seen(), group=group)()


async def test_workers_of_the_release_before_can_stay_in_the_group(prom, group, topic):
    former = stranger(prom, group, topic, RoundRobinPartitionAssignor)
    await former.start()
    owned = Owned()
    stop = prom.subscribe_partitioned(topic, Seen(), group=group, **QUICK, **owned.hooks)
    await owned.wait(2)
    lane = prom.lanes[f"partitioned.{group}"]
    assert lane.history.protocol == "roundrobin"
    await former.stop()
    await owned.wait(4)
    assert lane.history.protocol == "prom-rendezvous"
    await stop()


def stranger(prom, group, topic, assignor):
    return AIOKafkaConsumer(
        topic,
        **prom.clients.common(),
        group_id=group,
        partition_assignment_strategy=(assignor,),
        heartbeat_interval_ms=300,
    )


# -- refused -------------------------------------------------------------------------------------------------


@pytest.fixture
def another(kafka, unique, tmp_path):
    """The plugin of another worker, whose lanes are started by hand: what ends them ends nothing else."""
    return install(by_hand(unique, kafka, tmp_path), worker_name="w1")


@pytest.fixture
def other_worker(kafka, unique, tmp_path, another):
    time.sleep(0.01)  # it starts later
    return install(by_hand(unique, kafka, tmp_path), worker_name="w1")


def by_hand(name, kafka, folder):
    return make_app(name, kafka.url, folder, consumer_group_instance_id=name, broker_heartbeat_interval=0.3)


async def crash_of(another):
    """What ends a worker with these lanes."""
    (lane,) = another.lanes.values()

    async def reason():
        return lane.crash_reason

    async with running(lane):
        return await eventually(reason, seconds=10.0)


async def test_a_ttl_that_the_broker_refuses_ends_the_worker(another, group, topic):
    another.subscribe_partitioned(topic, Seen(), group=group, ttl=0.5, rebalance_every=0.1)
    error = await crash_of(another)
    assert type(error) is GroupError
    assert "0.5 s" in str(error)
    assert "ttl=" in str(error)
    assert "group.min.session.timeout.ms, 6 s" in str(error)


async def test_it_ends_with_one_line_and_exit_code_1(kafka, unique, tmp_path):
    env = {"KAFKA_URL": kafka.url, "TOPIC": unique, "NAME": "w1", "OUT": str(tmp_path / "out"), "TTL": "0.4"}
    with FaustWorker("tests.integration.partitioned.app", tmp_path / "log", env) as worker:
        began = time.monotonic()
        assert await asyncio.to_thread(worker.wait, 20.0) == 1, worker.tail()
        print(f"exit code 1 after {time.monotonic() - began:.1f} s")
    (line,) = [
        line for line in worker.log.read_text().splitlines() if re.search(r"CRITICAL\] \w+Error:", line)
    ]
    assert "GroupError: this worker cannot join group" in line
    assert "0.4 s, the ttl=" in line


async def test_a_static_member_makes_room_for_the_one_that_joined_later(another, other_worker, group, topic):
    first, second = (lane_of(each, topic, group) for each in (another, other_worker))
    async with running(first):
        await eventually(lambda: owns(first, 4))
        async with running(second):

            async def reason():
                return first.crash_reason

            error = await eventually(reason)
            assert type(error) is DuplicateMemberError
            assert "has joined with its consumer_group_instance_id" in str(error)
            await eventually(lambda: owns(second, 4))
            await asyncio.sleep(0.5)
            assert second.crash_reason is None


@asynccontextmanager
async def running(lane):
    """A lane that is started by hand."""
    await lane.agent.start()
    await lane.start()
    try:
        yield lane
    finally:
        await lane.stop()
        await lane.agent.stop()


async def test_a_partitioned_consumer_leaves_although_the_app_is_a_static_member(prom, another, group, topic):
    owned = Owned()
    slow = {"ttl": 30.0, "rebalance_every": 0.3}
    another.subscribe_partitioned(topic, Seen(), group=group, member_id="other", **slow)
    (lane,) = another.lanes.values()
    async with running(lane):
        stop = prom.subscribe_partitioned(topic, Seen(), group=group, **slow, **owned.hooks)
        await owned.wait(2)
    await owned.wait(4, seconds=5.0)
    await stop()


def lane_of(prom, topic, group):
    """The lane of a batch agent: that of a partitioned consumer is never a static member."""

    @prom.batch_agent(topic, group=group, name="batches")
    async def batches(stream):
        async for _ in stream:
            pass

    return prom.lanes["batches"]


async def owns(lane, count):
    return len(lane.partitions) == count


async def test_a_group_of_another_kind_ends_the_worker(prom, another, group, topic):
    theirs = stranger(prom, group, topic, RangePartitionAssignor)
    await theirs.start()
    another.subscribe_partitioned(topic, Seen(), group=group, **QUICK)
    error = await crash_of(another)
    await theirs.stop()
    assert type(error) is GroupError
    assert "offer no assignor" in str(error)


async def test_of_two_workers_with_one_name_the_later_one_ends(prom, another, group, topic, topics):
    seen, owned = Seen(), Owned()
    stop = prom.subscribe_partitioned(topic, seen, group=group, **QUICK, **owned.hooks)
    await owned.wait(4)
    another.subscribe_partitioned(topic, Seen(), group=group, **QUICK)
    error = await crash_of(another)
    assert type(error) is DuplicateMemberError
    assert "the name w1" in str(error)
    assert "PROM_FAUST_WORKER_NAME" in str(error)
    await owned.wait(4)
    await topics.send(topic, "k", 1)
    await seen.wait(1)
    await stop()
