"""A worker's place in its group: the homes of its name, and a reason and an exit code when it can have none."""

import asyncio
import re
import time

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from prom_faust.assignment.rendezvous import Member, place


def homes(*names):
    return dict(enumerate(place([Member(name) for name in names], 8).owners))


def ends_with(worker, *texts):
    """The worker ends by itself within 20 s, with exit code 1 and one line that holds the texts."""
    began = time.monotonic()
    code = worker.wait(20)
    print(f"exit code {code} after {time.monotonic() - began:.1f} s")
    assert code == 1
    lines = [
        line for line in worker.log.read_text().splitlines() if re.search(r"CRITICAL\] \w+Error: ", line)
    ]
    assert len(lines) == 1, worker.tail(80)
    for text in texts:
        assert text in lines[0]


async def test_homes_follow_the_names(group):
    group.start("w0")
    group.start("w1", PROM_FAUST_WORKER_NAME="other")
    assert await group.settled() == {
        partition: {"w0": "w0", "other": "w1"}[name] for partition, name in homes("w0", "other").items()
    }


async def test_the_assignor_alone_counts_without_tables_and_standbys(group, topics, unique):
    await topics.create(unique, 8)
    group.start("w0", ALONE="yes", STANDBYS="0")
    group.start("w1", ALONE="yes", STANDBYS="0")
    assert await group.settled() == homes("w0", "w1")


async def test_of_two_workers_with_one_name_the_later_one_exits(group):
    group.start("w0").until("Worker ready")
    with group.worker("w1", PROM_FAUST_WORKER_NAME="w0") as second:
        ends_with(second, "DuplicateMemberError", "has the name w0", "PROM_FAUST_WORKER_NAME")
    await asyncio.sleep(1)
    assert group.owned("w0") == list(range(8))
    group.workers["w0"].stop()


async def test_of_two_static_members_with_one_id_the_earlier_one_exits(group):
    with group.worker("w0", INSTANCE="one") as first:
        first.until("Worker ready")
        group.start("w1", INSTANCE="one", PROM_FAUST_WORKER_NAME="w0")
        group.workers["w1"].until("Worker ready")
        ends_with(first, "DuplicateMemberError", "consumer_group_instance_id")
        await asyncio.sleep(1)
        assert group.owned("w1") == list(range(8))


async def test_a_worker_whose_protocol_the_group_refuses_exits(group, kafka, topics, unique):
    await topics.create(unique, 8)
    old = AIOKafkaConsumer(
        unique,
        bootstrap_servers=f"127.0.0.1:{kafka.port}",
        group_id=f"g-{unique}",
        partition_assignment_strategy=(RoundRobinPartitionAssignor,),
    )
    await old.start()
    try:
        with group.worker("w0") as worker:
            await asyncio.to_thread(ends_with, worker, "GroupError", "PROM_FAUST_ASSIGNOR=both")
    finally:
        await old.stop()
