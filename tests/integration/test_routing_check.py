"""The sample check on the real broker: a topic that other rules have written is refused before anything starts."""

import asyncio
import logging
import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.partitioner import DefaultPartitioner

from prom_faust.clients import Clients
from prom_faust.exceptions import RoutingMismatchError, UnreachableError
from prom_faust.local import free_port
from prom_faust.routing.hashing import partition_of
from prom_faust.routing.kafka import check_routing
from prom_faust.routing.sample import Expectation
from tests.support.kafka import Topics
from tests.support.projection import eventually, make_app

KEYS = [f"host-{number}" for number in range(200)]


@pytest.fixture
async def topics(kafka):
    """Records from a client that knows nothing of our routing."""
    async with Topics(f"127.0.0.1:{kafka.port}", DefaultPartitioner()) as topics:
        yield topics


@pytest.fixture
def clients(kafka, unique, tmp_path):
    return Clients(make_app(unique, kafka.url, tmp_path))


@pytest.fixture
def warnings(caplog):
    def found():
        return [record.getMessage() for record in caplog.records if record.name == "prom_faust.routing.kafka"]

    caplog.set_level(logging.WARNING, "prom_faust.routing.kafka")
    return found


async def send_by_jump(topics, topic, partitions, keys=KEYS, value=b"{}"):
    await asyncio.gather(
        *[topics.send(topic, key, value, partition=partition_of(key, partitions)) for key in keys]
    )


async def check(clients, topic, routing="jump", timeout=10.0):
    await check_routing(clients, [Expectation(topic, routing)], timeout=timeout)


async def test_a_topic_of_the_default_partitioner(clients, topics, unique, warnings):
    await topics.create(unique, 8)
    await topics.send_all(unique, [(key, {}) for key in KEYS])
    await check(clients, unique, "kafka")
    assert warnings() == []
    with pytest.raises(RoutingMismatchError) as caught:
        await check(clients, unique)
    assert f"topic {unique} is declared with routing='jump'" in str(caught.value)
    assert "of 200 sampled keys" in str(caught.value)
    assert "are where Kafka's default partitioner puts them" in str(caught.value)


async def test_a_topic_of_jump_routing(clients, topics, unique, warnings):
    await topics.create(unique, 8)
    await send_by_jump(topics, unique, 8)
    await check(clients, unique)
    assert warnings() == []
    with pytest.raises(RoutingMismatchError, match="routing='kafka'"):
        await check(clients, unique, "kafka")


async def test_every_topic_at_fault_is_named(clients, topics, unique):
    names = [await topics.create(f"{unique}-{letter}", 4) for letter in "abc"]
    for name in names[:2]:
        await topics.send_all(name, [(key, {}) for key in KEYS])
    await send_by_jump(topics, names[2], 4)
    with pytest.raises(RoutingMismatchError) as caught:
        await check_routing(clients, [Expectation(name, "jump") for name in names], timeout=10.0)
    assert f"{unique}-a" in str(caught.value)
    assert f"{unique}-b" in str(caught.value)
    assert f"{unique}-c" not in str(caught.value)


async def test_a_topic_that_has_grown_is_only_warned_about(clients, topics, unique, warnings):
    await topics.create(unique, 4)
    await send_by_jump(topics, unique, 4)
    await topics.grow(unique, 6)
    await check(clients, unique)
    (warning,) = warnings()
    assert f"topic {unique} has grown to 6 partitions" in warning
    assert "re-home" in warning
    for key in KEYS:
        if partition_of(key, 4) != partition_of(key, 6):
            await topics.send(unique, key, b"{}", partition=partition_of(key, 6))
            await topics.send(unique, key, None, partition=partition_of(key, 4))
    await check(clients, unique)
    assert len(warnings()) == 1


async def test_a_topic_of_the_default_partitioner_that_has_grown_passes(clients, topics, unique, warnings):
    await topics.create(unique, 4)
    await topics.send_all(unique, [(key, {}) for key in KEYS])
    await topics.grow(unique, 8)
    await check(clients, unique, "kafka")
    assert warnings() == []


async def test_a_few_records_in_partitions_of_somebody_s_choice_are_only_warned_about(
    clients, topics, unique, warnings
):
    await topics.create(unique, 8)
    await send_by_jump(topics, unique, 8)
    strays = [key for key in KEYS if 7 not in {partition_of(key, count) for count in range(1, 9)}][:3]
    for key in strays:
        await topics.send(unique, key, b"{}", partition=7)
    await check(clients, unique)
    (warning,) = warnings()
    assert "2% of 200 sampled keys" in warning


async def test_an_empty_topic_and_one_that_is_missing_pass(clients, topics, unique, warnings):
    await topics.create(unique, 3)
    await check_routing(
        clients, [Expectation(unique, "jump"), Expectation(f"{unique}-missing", "jump")], timeout=10.0
    )
    assert warnings() == []
    assert f"{unique}-missing" not in await topics.admin.list_topics()


async def test_a_topic_whose_records_are_all_gone_passes(clients, topics, unique):
    await topics.create(unique, 2, **{"cleanup.policy": "delete"})
    await topics.send_all(unique, [(key, {}) for key in KEYS])
    ends = await topics.ends(unique)
    await topics.admin.delete_records(
        {KafkaPartition(unique, number): RecordsToDelete(end) for number, end in ends.items()}
    )
    await check(clients, unique)


async def test_tombstones_are_judged_as_records_are(clients, topics, unique):
    await topics.create(unique, 8)
    await send_by_jump(topics, unique, 8, value=None)
    await check(clients, unique)
    with pytest.raises(RoutingMismatchError):
        await check(clients, unique, "kafka")


async def test_records_without_a_key_say_nothing(clients, topics, unique, warnings):
    await topics.create(unique, 4, **{"cleanup.policy": "delete"})
    for number in range(100):
        await topics.send(unique, None, b"{}", partition=number % 4)
    await check(clients, unique)
    assert warnings() == []


async def test_only_the_last_records_of_a_partition_are_read(clients, topics, unique):
    await topics.create(unique, 2)
    await topics.send_all(unique, [(f"old-{number}", {}) for number in range(300)], partition=1)
    await topics.send_all(unique, [(key, {}) for key in KEYS if partition_of(key, 2) == 1][:60], partition=1)
    await check(clients, unique)


async def test_a_log_that_ends_in_transaction_markers_is_read_to_its_end(clients, topics, unique):
    await topics.create(unique, 2)
    await send_by_jump(topics, unique, 2)
    producer = AIOKafkaProducer(bootstrap_servers=topics.bootstrap, transactional_id=unique)
    await producer.start()
    try:
        for end in (producer.abort_transaction, producer.commit_transaction):
            await producer.begin_transaction()
            for partition in range(2):
                key = next(key for key in KEYS if partition_of(key, 2) == partition)
                await producer.send_and_wait(unique, b"{}", key=key.encode(), partition=partition)
            await end()
            await takes_less_than(1.0, check(clients, unique))
        await producer.begin_transaction()
        await producer.send_and_wait(unique, b"{}", key=b"open", partition=1)
        await takes_less_than(1.0, check(clients, unique))
        await producer.abort_transaction()
    finally:
        await producer.stop()


async def takes_less_than(seconds, check):
    started = time.monotonic()
    await check
    assert time.monotonic() - started < seconds


async def test_a_log_with_holes_is_read_to_its_end(clients, topics, unique):
    # Compaction is run by the broker every fifteen seconds at most.
    settings = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "0"}
    await topics.create(unique, 1, **settings)
    for number in range(120):
        await topics.send(unique, KEYS[number % 3], {"a": number})
    await asyncio.sleep(0.2)
    await topics.send(unique, "last", {})

    async def compacted():
        return len(await topics.read(unique)) < 40

    await eventually(compacted, seconds=60.0, every=0.5)
    await takes_less_than(1.0, check(clients, unique))


async def test_a_handful_of_topics_takes_less_than_half_a_second(clients, topics, unique):
    names = [await topics.create(f"{unique}-{number}", 8) for number in range(6)]
    for name in names:
        await send_by_jump(topics, name, 8)
    expectations = [Expectation(name, "jump") for name in names]
    started = time.monotonic()
    await check_routing(clients, expectations, timeout=10.0)
    took = time.monotonic() - started
    print(f"6 topics of 8 partitions: {took:.3f} s")
    assert took < 0.5


async def test_a_topic_of_many_partitions_is_read_in_parts(clients, topics, unique):
    await topics.create(unique, 70)
    await send_by_jump(topics, unique, 70, [f"host-{number}" for number in range(700)])
    await check(clients, unique)
    with pytest.raises(RoutingMismatchError, match="of 700 sampled keys"):
        await check(clients, unique, "kafka")


async def test_nothing_to_check_asks_nobody(tmp_path, unique):
    app = make_app(unique, f"kafka://127.0.0.1:{free_port()}", tmp_path)
    await check_routing(Clients(app), [], timeout=0.1)


async def test_a_broker_that_does_not_answer_is_named(tmp_path, unique):
    app = make_app(unique, f"kafka://127.0.0.1:{free_port()}", tmp_path)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1"):
        await check(Clients(app), unique, timeout=2.0)
