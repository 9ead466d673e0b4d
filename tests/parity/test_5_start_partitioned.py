"""Section 5, its second half: ``start_partitioned(topic, group, member_id, partitions, handler)`` -> stop."""

import inspect

import pytest

from prom_faust import Prom, install, partition_of
from tests.support.projection import eventually, make_app


@pytest.fixture
async def prom(kafka, topics, unique, tmp_path):
    app = make_app(unique, kafka.url, tmp_path, web_enabled=False, topic_disable_leader=False)
    prom = install(app, worker_name="w1")
    await topics.create(f"{unique}-other", 1)

    @app.agent(app.topic(f"{unique}-other", partitions=1))
    async def other(stream):
        async for _ in stream:
            pass

    await app.start()
    yield prom
    await app.stop()


def test_the_arguments_stand_in_the_section_s_order():
    assert list(inspect.signature(Prom.start_partitioned).parameters)[1:6] == [
        "topic",
        "group",
        "member_id",
        "partitions",
        "handler",
    ]


async def test_a_member_gets_the_events_of_its_logical_partitions_until_it_stops(prom, topics, unique):
    topic = await topics.create(unique, 4, **{"cleanup.policy": "delete"})
    group, seen, owned = f"{unique}.group", [], []
    stop = prom.start_partitioned(
        topic, group, "member-1", 6, seen.append, rebalance_every=0.3, on_assigned=owned.append
    )

    async def begun():
        lanes = [lane for lane in prom.lanes.values() if lane.options.group.startswith(group)]
        return owned and all(lane.partitions for lane in lanes)

    await eventually(begun)
    assert owned == [frozenset(range(6))]
    assert {lane.member for lane in prom.lanes.values()} == {"member-1"}
    keys = [f"host-{number}" for number in range(30)]
    await topics.send_all(topic, [(key, {"host": key}) for key in keys], partition=3)

    async def all_seen():
        return len(seen) == 30

    await eventually(all_seen)
    assert {event.key: event.partition for event in seen} == {key: partition_of(key, 6) for key in keys}
    assert all(event.value == {"host": event.key} for event in seen)
    await stop()
    assert not prom.lanes
