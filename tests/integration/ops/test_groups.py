"""``describe_group`` against the real broker, with consumers that know nothing of the plugin and with ours."""

import asyncio
import json
import socket
import time
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.assignor.partition_assignor import PartitionAssignor

from prom_faust.assignment.homes import Subscriber, assign, shares
from prom_faust.assignment.kafka import PROTOCOL, LaneAssignor
from prom_faust.assignment.rendezvous import Member
from prom_faust.assignment.wire import Decision, Identity, encode
from prom_faust.clients import Clients
from prom_faust.exceptions import UnreachableError
from prom_faust.local import free_port
from prom_faust.ops.groups import GroupState
from prom_faust.ops.kafka import describe_group
from tests.support.app import installed


@pytest.fixture
def clients(kafka, unique):
    return Clients(installed(unique, broker=kafka.url).app)


@pytest.fixture
async def join(topics, unique):
    """Starts a member of the group and waits until it has its share."""
    async with AsyncExitStack() as stack:

        async def join(assignor, *names, client_id="c", **options):
            consumer = AIOKafkaConsumer(
                *(names or [unique]),
                bootstrap_servers=topics.bootstrap,
                client_id=client_id,
                group_id=unique,
                partition_assignment_strategy=(assignor,),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                heartbeat_interval_ms=100,
                **options,
            )
            await consumer.start()
            stack.push_async_callback(consumer.stop)
            return consumer

        yield join


async def settled(clients, group, members):
    """The group's state when so many members share its partitions."""
    async with asyncio.timeout(30):
        while True:
            found = await describe_group(clients, group)
            if found.state == "Stable" and len(found.members) == members:
                return found
            await asyncio.sleep(0.2)


async def test_a_group_that_nobody_knows_is_empty(clients, topics, unique):
    found = await describe_group(clients, f"{unique}-unknown")
    assert found == GroupState(f"{unique}-unknown", "Dead")
    assert (found.counts, found.lag) == ({}, 0)


async def test_plain_consumers_are_known_by_their_member_ids(clients, topics, unique, join):
    await topics.create(unique, 4)
    consumers = [await join(RangePartitionAssignor, client_id=f"plain-{n}") for n in range(2)]
    found = await settled(clients, unique, 2)
    assert (found.group, found.protocol) == (unique, "range")
    assert [member.name for member in found.members] == [member.member_id for member in found.members]
    assert {member.client_id for member in found.members} == {"plain-0", "plain-1"}
    assert {member.host for member in found.members} == {"127.0.0.1"}
    assert not any(member.named or member.standby for member in found.members)
    assert {member.topics for member in found.members} == {(unique,)}
    assert found.counts == {unique: 4}
    by_client = {member.client_id: member for member in found.members}
    for number, consumer in enumerate(consumers):
        mine = tuple(sorted(tp.partition for tp in consumer.assignment()))
        assert by_client[f"plain-{number}"].active == {unique: mine}
        owner = by_client[f"plain-{number}"].name
        assert [each.partition for each in found.partitions if each.owner == owner] == list(mine)


async def test_lag_is_what_lies_between_the_committed_offset_and_the_end(clients, topics, unique, join):
    await topics.create(unique, 3)
    for number in range(10):
        await topics.send(unique, f"k{number}", number, partition=number % 2)
    consumer = await join(RangePartitionAssignor)
    await consumer.commit({TopicPartition(unique, 0): 2, TopicPartition(unique, 2): 0})
    found = await settled(clients, unique, 1)
    assert [(each.committed, each.end, each.lag) for each in found.partitions] == [
        (2, 5, 3),
        (None, 5, None),
        (0, 0, 0),
    ]
    assert found.lag == 3


async def test_a_group_whose_members_are_gone_still_has_its_offsets(clients, topics, unique, join):
    await topics.create(unique, 2)
    await topics.send(unique, "k", 1, partition=1)
    consumer = await join(RangePartitionAssignor)
    await consumer.commit({TopicPartition(unique, 1): 0})
    await consumer.stop()
    found = await describe_group(clients, unique)
    assert (found.state, found.members, found.counts) == ("Empty", (), {})
    assert [(each.partition, each.owner, each.committed, each.lag) for each in found.partitions] == [
        (1, None, 0, 1)
    ]


async def test_our_members_are_known_by_name_weight_and_address(clients, topics, unique, join):
    await topics.create(unique, 12)
    await join(LaneAssignor(Identity("w2", 2.0, 5, "p2", "http://h:2")))
    await join(LaneAssignor(Identity("w1", 1.0, 4, "p1", "http://h:1")))
    found = await settled(clients, unique, 2)
    assert found.protocol == PROTOCOL
    assert [(m.name, m.weight, m.started, m.url, m.named) for m in found.members] == [
        ("w1", 1.0, 4, "http://h:1", True),
        ("w2", 2.0, 5, "http://h:2", True),
    ]
    assert all(member.name != member.member_id for member in found.members)
    group = [Subscriber(Member(m.name, m.weight), frozenset(m.topics)) for m in found.members]
    homes = assign(group, found.counts)
    for member in found.members:
        assert member.active == {unique: shares(homes, member.name)[unique].active}


async def test_of_two_with_one_name_one_is_refused_and_says_why(clients, topics, unique, join):
    await topics.create(unique, 2)
    await join(LaneAssignor(Identity("w1", started=1, process="a")))
    await join(LaneAssignor(Identity("w1", started=2, process="b")))
    found = await settled(clients, unique, 2)
    first, second = sorted(found.members, key=lambda member: member.started)
    assert (first.active, first.refused) == ({unique: (0, 1)}, None)
    assert second.active == {}
    assert "the name w1" in second.refused


class WithStandbys(LaneAssignor):
    """A leader that does as the one of Faust's tables: Kafka is told of standbys as well."""

    def assign(self, cluster, members):
        answers = super().assign(cluster, members)
        for answer in answers.values():
            active = {topic: tuple({*partitions} - {7, 9}) for topic, partitions in answer.assignment}
            answer.user_data = encode(Decision(active, dict.fromkeys(active, (9, 7)), ("w1",)))
        return answers


async def test_standbys_are_told_from_what_a_member_owns(clients, topics, unique, join):
    await topics.create(unique, 10)
    await join(WithStandbys(Identity("w1")))
    found = await settled(clients, unique, 1)
    assert found.members[0].active == {unique: (0, 1, 2, 3, 4, 5, 6, 8)}
    assert found.members[0].standby == {unique: (7, 9)}
    assert [each.partition for each in found.partitions if each.standbys == ("w1",)] == [7, 9]
    assert [each.partition for each in found.partitions if each.owner is None] == [7, 9]


async def test_faust_s_own_protocol_tells_standbys_too(clients, topics, unique, join, kafka):
    await topics.create(unique, 6)
    app = installed(unique, broker=kafka.url).app
    await join(PartitionAssignor(app, replicas=1))
    await join(PartitionAssignor(app, replicas=1))
    found = await settled(clients, unique, 2)
    assert found.protocol == "faust"
    one, other = found.members
    assert sorted(one.active[unique] + other.active[unique]) == list(range(6))
    assert set(one.standby[unique]) <= set(other.active[unique])
    assert one.standby[unique]


async def test_the_state_is_json(clients, topics, unique, join):
    await topics.create(unique, 1)
    await topics.send(unique, "k", 1)
    consumer = await join(LaneAssignor(Identity("w1")))
    await consumer.commit({TopicPartition(unique, 0): 0})
    found = (await settled(clients, unique, 1)).as_json()
    assert json.loads(json.dumps(found))["partitions"] == [
        {
            "topic": unique,
            "partition": 0,
            "owner": "w1",
            "standbys": [],
            "committed": 0,
            "end": 1,
            "lag": 1,
        }
    ]
    assert found["members"][0]["name"] == "w1"


async def test_a_broker_that_is_away_is_an_error_in_time(unique):
    clients = Clients(installed(unique, broker=f"kafka://127.0.0.1:{free_port()}").app)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="did not describe group g within 1 s"):
        await describe_group(clients, "g", timeout=1.0)
    assert time.monotonic() - began < 3


async def test_a_broker_that_does_not_answer_is_an_error_in_time(unique):
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = f"kafka://127.0.0.1:{server.getsockname()[1]}"
        clients = Clients(installed(unique, broker=broker).app)
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="did not describe group g"):
            await describe_group(clients, "g", timeout=1.0)
        assert time.monotonic() - began < 3
