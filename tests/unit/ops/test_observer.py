"""What a worker knows of itself before it has started: what its lanes are for."""

import pytest

from prom_faust.ops.faust import Observer
from tests.support.app import installed


async def ignore(_event):
    pass


@pytest.fixture
async def prom():
    prom = installed("shop")
    prom.subscribe_partitioned("orders", ignore, group="plain")
    prom.subscribe_partitioned("orders", ignore, group="logical", partitions=4)

    @prom.batch_agent("orders", group="b", name="mine.repartition")
    async def batches(stream):
        async for _ in stream:
            pass

    return prom


@pytest.fixture
def status(prom):
    return Observer(prom, interval=3.0, progress_within=60.0).status()


KINDS = {
    "partitioned.plain": "partitioned",
    "partitioned.logical": "partitioned",
    "partitioned.logical.repartition": "partitioned",
    "mine.repartition": "batches",
}


async def test_partitioned_consumers_and_batch_agents_are_told_apart(status):
    assert {sink.name: sink.what for sink in status.sinks} == KINDS


async def test_groups_say_the_same_of_what_they_are_for(status):
    assert {group.name: group.what for group in status.groups} == {"shop": "streams", **KINDS}


async def test_before_a_worker_has_joined_kafka_has_given_it_no_id(prom, status):
    assert {group.member_id for group in status.groups} == {""}
    assert prom.app._consumer is None  # to look must not make one
