"""Kafka clients while Kafka is away."""

import asyncio

import pytest
from aiokafka import TopicPartition

from prom_faust.clients import Clients
from prom_faust.local import KafkaServer, free_port
from tests.support.app import installed
from tests.support.kafka import Topics


@pytest.fixture
def own_kafka(tmp_path):
    with KafkaServer(tmp_path / "kafka", free_port()) as server:
        yield server


def lose_leaders(client):
    """What a client knows after it heard of its partitions from a broker that shuts down."""
    for partitions in client.cluster._partitions.values():
        for number, partition in partitions.items():
            partitions[number] = partition._replace(leader=-1)


def count_attempts(client):
    """The attempts of a client to connect, as they come."""
    attempts, connect = [], client._get_conn

    async def counted(node, **options):
        attempts.append(node)
        return await connect(node, **options)

    client._get_conn = counted
    return attempts


@pytest.fixture
def clients(own_kafka, unique):
    return Clients(installed(unique, broker=own_kafka.url).app)


@pytest.fixture
async def topic(own_kafka, unique):
    async with Topics(f"127.0.0.1:{own_kafka.port}") as topics:
        yield await topics.create(unique, 1)


async def outage(server, client):
    """The server is away for two seconds; how often the client tried to connect."""
    await asyncio.to_thread(server.kill)
    lose_leaders(client)
    attempts = count_attempts(client)
    await client.force_metadata_update()
    await asyncio.sleep(2.0)
    tried = len(attempts)
    print(f"{tried} attempts in 2 s")
    await asyncio.to_thread(server.start)
    return tried


async def test_a_reader_whose_partition_has_no_leader_asks_with_pauses(own_kafka, clients, topic):
    reader, producer = clients.reader(), clients.producer()
    await reader.start()
    reader.assign([TopicPartition(topic, 0)])
    await reader.getmany(timeout_ms=500)
    assert 1 < await outage(own_kafka, reader._client) < 100
    await producer.start()
    await producer.send_and_wait(topic, b"after", b"k")
    assert (await asyncio.wait_for(reader.getone(), 30)).value == b"after"
    await reader.stop()
    await producer.stop()


async def test_a_producer_whose_partition_has_no_leader_asks_with_pauses(own_kafka, clients, topic):
    producer = clients.producer()
    await producer.start()
    await producer.send_and_wait(topic, b"before", b"k")
    lose_leaders(producer.client)
    waiting = await producer.send(topic, b"during", b"k")
    assert 1 < await outage(own_kafka, producer.client) < 100
    assert (await asyncio.wait_for(waiting, 30)).offset == 1
    await producer.stop()
