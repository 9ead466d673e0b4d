"""``subscribe_partitioned`` on the real broker, inside of a running app."""

import asyncio
import time

import pytest
import pytest_asyncio
from aiokafka.partitioner import DefaultPartitioner
from pydantic import BaseModel

from prom_faust import partition_of
from prom_faust.dlq.envelope import decode
from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.record import TopicPartition
from tests.integration.partitioned.conftest import Owned
from tests.support.kafka import Topics
from tests.support.projection import eventually
from tests.support.running_app import Seen

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = {"ttl": 6.0, "rebalance_every": 0.3}


@pytest_asyncio.fixture(loop_scope="module")
async def others(kafka):
    """A client that routes as Kafka's own do, by murmur2."""
    async with Topics(f"127.0.0.1:{kafka.port}", DefaultPartitioner()) as client:
        yield client


async def test_eight_logical_partitions_over_four_of_a_client_that_hashes_otherwise(
    prom, group, topic, others
):
    seen, owned = Seen(), Owned()
    stop = prom.subscribe_partitioned(topic, seen, group=group, partitions=8, **QUICK, **owned.hooks)
    await ready(prom, owned, 8, repartition=True)
    sent = {}
    for number in range(60):
        record = await others.send(topic, f"k{number % 20}", {"n": number}, headers={"h": b"%d" % number})
        sent[number] = record
    events = await seen.wait(60)
    assert sorted(seen.values, key=lambda value: value["n"]) == [{"n": number} for number in range(60)]
    for event in events:
        record = sent[event.value["n"]]
        assert event.key == f"k{event.value['n'] % 20}"
        assert event.partition == partition_of(event.key, 8)
        assert (event.source, event.offset) == (TopicPartition(topic, record.partition), record.offset)
        assert event.timestamp == record.timestamp
        assert event.headers == {"h": b"%d" % event.value["n"]}
    assert len({event.partition for event in events}) == len({partition_of(f"k{n}", 8) for n in range(20)})
    for key in {event.key for event in events}:
        numbers = [event.value["n"] for event in events if event.key == key]
        assert numbers == sorted(numbers)
    await stop()


async def ready(prom, owned, count, *, repartition=False):
    """The member owns what there is, and the group begins here."""
    await owned.wait(count)
    if repartition:
        first_stage = next(lane for name, lane in prom.lanes.items() if name.endswith(".repartition"))
        await eventually(lambda: has(first_stage.partitions, 4))


async def test_a_handler_that_raises_repeats_its_record_and_none_before_it(prom, group, topic, topics):
    calls, owned = [], Owned()

    async def fails_once(event):
        calls.append((event.partition, event.value))
        if event.value == 5 and calls.count((event.partition, 5)) == 1:
            raise RuntimeError("five")

    stop = prom.subscribe_partitioned(topic, fails_once, group=group, **QUICK, **owned.hooks)
    await ready(prom, owned, 4)
    await topics.send_all(topic, [("k", number) for number in range(10)], partition=0)
    await topics.send_all(topic, [("k", number) for number in range(100, 110)], partition=1)
    await eventually(lambda: has(calls, 21))
    assert [value for partition, value in calls if partition == 0] == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    assert [value for partition, value in calls if partition == 1] == list(range(100, 110))
    await stop()
    assert await topics.committed(group, topic) == {0: 10, 1: 10, 2: 0, 3: 0}


async def has(found, count):
    return len(found) >= count


async def test_a_handler_that_keeps_raising_holds_up_its_own_partition_only(prom, group, topic, topics):
    seen, owned = Seen(), Owned()

    async def fails_over_zero(event):
        if event.partition == 0:
            raise RuntimeError("never")
        await seen(event)

    stop = prom.subscribe_partitioned(topic, fails_over_zero, group=group, **QUICK, **owned.hooks)
    await ready(prom, owned, 4)
    await topics.send(topic, "k", "bad", partition=0)
    await topics.send_all(topic, [("k", number) for number in range(300)], partition=1)
    await seen.wait(300)
    await stop()
    assert (await topics.committed(group, topic))[0] == 0


async def test_a_slow_handler_holds_up_its_own_partition_only(prom, group, topic, topics):
    seen, owned, gate = Seen(), Owned(), asyncio.Event()

    async def waits_over_zero(event):
        if event.partition == 0:
            await gate.wait()
        await seen(event)

    stop = prom.subscribe_partitioned(topic, waits_over_zero, group=group, **QUICK, **owned.hooks)
    await ready(prom, owned, 4)
    await topics.send_all(topic, [("k", number) for number in range(5)], partition=0)
    for partition in (1, 2, 3):
        await topics.send_all(topic, [("k", number) for number in range(150)], partition=partition)
    await seen.wait(450)
    gate.set()
    await seen.wait(455)
    await stop()


async def test_what_was_sent_before_the_first_assignment_is_not_seen_and_after_it_all_is(
    prom, group, topic, topics
):
    await topics.send_all(topic, [("old", number) for number in range(20)])
    first, owned = Seen(), Owned()
    stop = prom.subscribe_partitioned(topic, first, group=group, **QUICK, **owned.hooks)
    await ready(prom, owned, 4)
    await topics.send_all(topic, [(f"k{number}", number) for number in range(10)])
    await first.wait(10)
    await stop()
    await topics.send_all(topic, [(f"k{number}", number) for number in range(10, 20)])
    second = Seen()
    stop = prom.subscribe_partitioned(topic, second, group=group, **QUICK)
    await second.wait(10)
    await stop()
    assert sorted(first.values) == list(range(10))
    assert sorted(second.values) == list(range(10, 20))


async def test_stop_leaves_at_once_and_another_takes_over_long_before_the_ttl(prom, group, topic, topics):
    slow = {"ttl": 30.0, "rebalance_every": 0.5}
    a, b, seen = Owned(), Owned(), Seen()
    stop_a = prom.subscribe_partitioned(topic, seen, group=group, member_id="a", **slow, **a.hooks)
    stop_b = prom.subscribe_partitioned(topic, seen, group=group, member_id="b", **slow, **b.hooks)
    await eventually(lambda: shared(a, b))
    began = time.monotonic()
    await stop_a()
    left = time.monotonic() - began
    await b.wait(4)
    took = time.monotonic() - began
    print(f"left after {left:.2f} s, taken over after {took:.2f} s")
    assert left < 2.0
    assert took < 5.0
    assert [name for name, _ in a.told] == ["assigned", "revoked"] * (len(a.told) // 2)
    assert not a.now
    assert f"partitioned.{group}.a" not in prom.app.agents
    assert f"partitioned.{group}.a" not in prom.lanes
    await stop_b()


async def shared(a, b):
    return len(a.now | b.now) == 4 and a.now and b.now and not a.now & b.now


async def test_the_handler_at_work_returns_before_stop_does_and_the_rest_is_left(prom, group, topic, topics):
    done, begun, owned = [], asyncio.Event(), Owned()

    async def takes_a_second(event):
        begun.set()
        await asyncio.sleep(1.0)
        done.append(event.value)

    stop = prom.subscribe_partitioned(topic, takes_a_second, group=group, **QUICK, **owned.hooks)
    await ready(prom, owned, 4)
    await topics.send_all(topic, [("k", number) for number in range(10)], partition=2)
    await begun.wait()
    began = time.monotonic()
    await stop()
    assert time.monotonic() - began < 2.0
    assert done == [0]
    assert (await topics.committed(group, topic))[2] == 1


async def test_while_the_group_may_take_the_member_for_dead_the_records_wait(prom, group, topic, topics):
    seen, owned = Seen(), Owned()
    stop = prom.subscribe_partitioned(topic, seen, group=group, ttl=6.0, rebalance_every=1.5, **owned.hooks)
    await ready(prom, owned, 4)
    prom.lanes[f"partitioned.{group}"]._membership._heard_at -= 6.0
    await topics.send(topic, "k", 1)
    await asyncio.sleep(0.5)
    assert seen.events == []
    await seen.wait(1)  # a heartbeat was answered
    await stop()


async def test_events_without_a_key_spread_under_the_name_of_their_place(prom, group, topic, topics):
    seen, owned = Seen(), Owned()
    stop = prom.subscribe_partitioned(topic, seen, group=group, partitions=8, **QUICK, **owned.hooks)
    await ready(prom, owned, 8, repartition=True)
    for number in range(40):
        await topics.send(topic, None, {"n": number})
    events = await seen.wait(40)
    for event in events:
        assert event.key == f"{topic}:{event.source.partition}:{event.offset}"
        assert event.partition == partition_of(event.key, 8)
    assert len({event.partition for event in events}) > 4
    await stop()


async def test_a_key_in_the_payload_chooses_the_partition(prom, group, topic, topics):
    seen, owned = Seen(), Owned()
    stop = prom.subscribe_partitioned(
        topic, seen, group=group, partitions=4, key_of="host", **QUICK, **owned.hooks
    )
    await ready(prom, owned, 4, repartition=True)
    await topics.send(topic, "a", {"host": "h1"})
    await topics.send(topic, "b", {"host": "h1"})
    await topics.send(topic, "c", b"[")
    await topics.send(topic, "c", {"no": "host"})
    events = await seen.wait(3)
    assert {(event.key, event.partition) for event in events} == {
        ("h1", partition_of("h1", 4)),
        ("c", partition_of("c", 4)),
    }
    (letter,) = [decode(record) for record in await topics.read(f"{topic}.dlq")]
    assert (letter.record.key, letter.record.value, letter.consumer) == (b"c", b"[", group)
    await stop()


async def test_a_key_that_is_not_the_topic_s_chooses_among_as_many_partitions(prom, group, topic, topics):
    prom.topic(topic, partitions=4, key="id")
    seen, owned = Seen(), Owned()
    stop = prom.subscribe_partitioned(topic, seen, group=group, key_of="host", **QUICK, **owned.hooks)
    await ready(prom, owned, 4, repartition=True)
    for number in range(8):  # at home by id, on several partitions
        await topics.send(topic, f"i{number}", {"id": f"i{number}", "host": "h1"}, partition=number % 4)
    events = await seen.wait(8)
    assert {(event.key, event.partition) for event in events} == {("h1", partition_of("h1", 4))}
    assert {event.source.partition for event in events} == {0, 1, 2, 3}
    await stop()


async def test_a_key_that_is_the_topic_s_leaves_the_records_where_they_are(prom, group, topic):
    prom.topic(topic, partitions=4, key="id")
    owned = Owned()
    stop = prom.subscribe_partitioned(topic, Seen(), group=group, key_of="id", **QUICK, **owned.hooks)
    await ready(prom, owned, 4)
    await stop()


async def test_a_key_in_the_payload_needs_a_number_of_partitions(prom, group, topic):
    with pytest.raises(ConfigurationError, match="by key_of=: say how many there are with partitions="):
        prom.subscribe_partitioned(topic, Seen(), group=group, key_of="host")


async def test_the_group_of_the_app_s_streams_is_not_to_be_had(prom, topic):
    with pytest.raises(ConfigurationError, match="the one of the app's own streams"):
        prom.subscribe_partitioned(topic, Seen(), group=prom.app.conf.id)


async def test_what_is_no_coordinator_is_refused(prom, group, topic):
    with pytest.raises(ConfigurationError, match="coordinator= must be"):
        prom.subscribe_partitioned(topic, Seen(), group=group, coordinator=5)


class Person(BaseModel):
    name: str
    age: int = 0


async def test_a_key_that_the_model_does_not_have_is_refused(prom, group, topic, registry):
    registry.register(topic, Person, version=1)
    with pytest.raises(ConfigurationError, match="and Person of"):
        prom.subscribe_partitioned(topic, Seen(), group=group, partitions=4, key_of="nome")


@pytest.mark.parametrize("partitions", [None, 8], ids=["direct", "repartitioned"])
async def test_models_are_read_and_what_is_none_is_dead_lettered_with_its_own_place(
    prom, group, topic, topics, registry, partitions
):
    registry.register(topic, Person, version=1)
    seen, owned = Seen(), Owned()
    stop = prom.subscribe_partitioned(topic, seen, group=group, partitions=partitions, **QUICK, **owned.hooks)
    await ready(prom, owned, partitions or 4, repartition=partitions is not None)
    await topics.send(topic, "k", {"name": "a", "age": 3}, partition=1)
    bad = await topics.send(topic, "k", {"name": 7}, partition=1, headers={"x": b"1"}, timestamp=1_000)
    await topics.send(topic, "k", None, partition=1)
    await topics.send(topic, "k", {"name": "b"}, partition=1)
    await seen.wait(2)
    assert seen.values == [Person(name="a", age=3), Person(name="b")]
    (letter,) = [decode(record) for record in await topics.read(f"{topic}.dlq")]
    found = letter.record
    assert (found.topic, found.partition, found.offset, found.timestamp) == (topic, 1, bad.offset, 1_000)
    assert (found.key, found.value, found.headers) == (b"k", b'{"name":7}', (("x", b"1"),))
    await stop()


async def test_hooks_come_in_order_and_a_failing_one_ends_nothing(prom, group, topic, topics):
    story, seen = [], Seen()

    def assigned(partitions):
        story.append(("assigned", partitions))
        raise RuntimeError("assigned")

    async def revoked(partitions):
        await asyncio.sleep(0.1)
        story.append(("revoked", partitions))
        raise RuntimeError("revoked")

    async def handler(event):
        story.append(("event", event.partition))
        await seen(event)

    hooks = {"on_assigned": assigned, "on_revoked": revoked}
    stop = prom.subscribe_partitioned(topic, handler, group=group, member_id="a", **QUICK, **hooks)
    other = Owned()
    await eventually(lambda: has(story, 1))
    await topics.send_all(topic, [(f"k{number}", number) for number in range(20)])
    await seen.wait(20)
    stop_other = prom.subscribe_partitioned(
        topic, handler, group=group, member_id="b", **QUICK, **other.hooks
    )
    await other.wait(2)
    await stop()
    await stop_other()
    everything = frozenset(range(4))
    assert story[0] == ("assigned", everything)
    assert [entry for entry in story[1:21] if entry[0] != "event"] == []
    assert story[21] == ("revoked", everything)
    mine = [entry for entry in story[21:] if entry[0] != "event"]
    assert [name for name, _ in mine] == ["revoked", "assigned"] * (len(mine) // 2) + ["revoked"]
    for (_, given), (_, taken) in zip(mine[1::2], mine[2::2], strict=True):
        assert given == taken
