"""Outages: the lane waits, keeps its membership, and goes on by itself."""

import asyncio
import time

import pytest
from pymongo import AsyncMongoClient

from prom_faust.local import KafkaServer, free_port
from prom_faust.sink.options import ChangelogOptions
from tests.support.kafka import Topics
from tests.support.projection import applied, eventually, live, make_app, projecting
from tests.support.worker import FaustWorker


@pytest.fixture
async def own_database(own_mongo, unique):
    client = AsyncMongoClient(own_mongo.url, directConnection=True, serverSelectionTimeoutMS=1_000)
    yield client.get_database(unique)
    await client.close()


async def test_an_outage_of_mongodb_longer_than_the_poll_interval(
    kafka, own_mongo, own_database, topics, unique, tmp_path
):
    app = make_app(unique, kafka.url, tmp_path, broker_max_poll_interval=6.0)
    topic = await topics.create(unique, 2)
    options = ChangelogOptions(topic=topic, collection="c")
    async with projecting(app, own_database, options) as projection:
        await topics.send_all(topic, [(f"k{i}", {"a": 1}) for i in range(100)])
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
        member = projection.lane.consumer._coordinator.member_id
        await asyncio.to_thread(own_mongo.kill)
        await topics.send_all(topic, [(f"k{i}", {"a": 2}) for i in range(100)])
        await asyncio.sleep(9.0)
        assert projection.projector.stats.outage is not None
        await asyncio.to_thread(own_mongo.start)
        await topics.send_all(topic, [("after", {"a": 3})])
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends), seconds=25)
        assert projection.lane.consumer._coordinator.member_id == member
        documents = await live(own_database.c)
    assert {key: d["a"] for key, d in documents.items()} == {**{f"k{i}": 2 for i in range(100)}, "after": 3}
    assert projection.projector.stats.outage is None


async def test_memory_stays_bounded_while_mongodb_is_down(
    kafka, own_mongo, own_database, topics, unique, tmp_path
):
    app = make_app(unique, kafka.url, tmp_path)
    topic = await topics.create(unique, 2)
    options = ChangelogOptions(topic=topic, collection="c", window=100)
    async with projecting(app, own_database, options) as projection:
        await topics.send_all(topic, [("k", {"a": 0})])
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
        await asyncio.to_thread(own_mongo.kill)
        await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(5_000)])
        await asyncio.sleep(4.0)
        assert sum(partition.buffered for partition in projection.lane.partitions.values()) <= 3 * 100
        await asyncio.to_thread(own_mongo.start)
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends), seconds=40)


async def test_a_rebalance_during_an_outage_does_not_wait_for_it(
    kafka, own_mongo, own_database, topics, unique, tmp_path
):
    app = make_app(unique, kafka.url, tmp_path)
    topic = await topics.create(unique, 4)
    options = ChangelogOptions(topic=topic, collection="c")
    async with projecting(app, own_database, options) as first:
        await eventually(lambda: count(first, 4))
        await asyncio.to_thread(own_mongo.kill)
        await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(100)])
        await asyncio.sleep(2.0)
        second_app = make_app(unique, kafka.url, tmp_path)
        began = asyncio.get_running_loop().time()
        consumer_started = asyncio.create_task(asyncio.to_thread(own_mongo.start))
        async with projecting(second_app, own_database, options, startup_timeout=30.0) as second:
            await eventually(lambda: count(second, 2), seconds=15)
            await eventually(lambda: count(first, 2), seconds=15)
            print(f"rebalanced after {asyncio.get_running_loop().time() - began:.1f} s")
            await consumer_started
            ends = await topics.ends(topic)
            await eventually(lambda: applied(first, ends), seconds=25)
        assert len(await live(own_database.c)) == 100


async def count(projection, partitions):
    return len(projection.lane.partitions) == partitions


async def test_an_outage_of_kafka_ends_by_itself(database, unique, tmp_path):
    with KafkaServer(tmp_path / "kafka", free_port()) as kafka:
        app = make_app(unique, kafka.url, tmp_path, broker_session_timeout=6.0)
        async with Topics(f"127.0.0.1:{kafka.port}") as topics:
            topic = await topics.create(unique, 2)
            async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
                await topics.send_all(topic, [("k", {"a": 1})])
                ends = await topics.ends(topic)
                await eventually(lambda: applied(projection, ends))
                await asyncio.to_thread(kafka.kill)
                await asyncio.sleep(8.0)  # longer than the session
                await asyncio.to_thread(kafka.start)
                await topics.send_all(topic, [("k", {"a": 2})])
                ends = await topics.ends(topic)
                await eventually(lambda: applied(projection, ends), seconds=40)
                assert (await live(database.c))["k"]["a"] == 2


def plain_worker(kafka, mongo, unique, tmp_path):
    env = {
        "KAFKA_URL": kafka.url,
        "MONGO_URL": mongo.url,
        "TOPIC": unique,
        "DATADIR": str(tmp_path / "data"),
    }
    return FaustWorker("tests.faults.plain_app", tmp_path / "log", env)


async def test_sigterm_during_an_outage_ends_the_worker_within_ten_seconds(
    kafka, own_mongo, topics, unique, tmp_path
):
    client = AsyncMongoClient(own_mongo.url, directConnection=True)
    with plain_worker(kafka, own_mongo, unique, tmp_path) as worker:
        await asyncio.to_thread(worker.until, "Worker ready")
        await topics.send(unique, "k0", {"n": 0})
        await eventually(lambda: live(client.prom.c))
        await client.close()
        await asyncio.to_thread(own_mongo.kill)
        await topics.send_all(unique, [(f"k{n}", {"n": n}) for n in range(1_000)])
        await asyncio.to_thread(worker.until, "sink c waits")
        print(f"ended in {await asyncio.to_thread(worker.stop, 10.0):.1f} s")


@pytest.mark.parametrize(
    ("end", "seconds"),
    [(KafkaServer.kill, 10.0), (lambda server: server.process.suspend(), 15.0)],
    ids=["killed", "stopped"],
)
def test_sigterm_without_kafka_ends_the_worker(mongo, unique, tmp_path, end, seconds):
    with (
        KafkaServer(tmp_path / "kafka", free_port()) as own_kafka,
        plain_worker(own_kafka, mongo, unique, tmp_path) as worker,
    ):
        worker.until("Worker ready")
        end(own_kafka)
        time.sleep(2.0)
        print(f"ended in {worker.stop(seconds):.1f} s")
