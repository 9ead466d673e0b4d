"""Faust's own streams, under the plugin's assignor."""

import asyncio
import re
import signal
import time
from collections import Counter

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from prom_faust.local import KafkaServer, free_port
from tests.support.kafka import Topics
from tests.support.projection import eventually
from tests.support.worker import FaustWorker

RECORDS = 400
COMMITS = 500


@pytest.fixture
def own_kafka(tmp_path):
    with KafkaServer(tmp_path / "kafka", free_port()) as server:
        yield server


@pytest.fixture
def worker(own_kafka, unique, tmp_path):
    def make(name):
        env = {
            "TOPIC": unique,
            "KAFKA_URL": own_kafka.url,
            "DATADIR": str(tmp_path / f"{name}.data"),
            "OUT": str(tmp_path / "handled"),
            "PROM_FAUST_WORKER_NAME": name,
        }
        return FaustWorker("tests.faults.stream_app", tmp_path / f"{name}.log", env)

    return make


async def fatten(port, group):
    """Give a group a long history of commits, so that a broker that starts needs a while to load it."""
    client = AIOKafkaConsumer(bootstrap_servers=f"127.0.0.1:{port}", group_id=group, enable_auto_commit=False)
    await client.start()
    partitions = [TopicPartition(group, number) for number in range(8)]
    client.assign(partitions)
    offsets = {partition: OffsetAndMetadata(0, "x" * 4_000) for partition in partitions}
    for _ in range(COMMITS):
        await client.commit(offsets)
    await client.stop()


async def settled(*workers):
    """Whether the workers are ready in one generation of their group."""
    logs = [worker.log.read_text() for worker in workers]
    generations = {re.findall(r"Successfully synced group .* generation (\d+)", log)[-1] for log in logs}
    ready = [log.count("Worker ready") == log.count("Successfully synced group") for log in logs]
    return len(generations) == 1 and all(ready)


async def test_a_broker_that_dies_in_a_rebalance_brings_no_committed_record_again(
    own_kafka, worker, unique, tmp_path
):
    handled = tmp_path / "handled"
    async with Topics(f"127.0.0.1:{own_kafka.port}") as topics:
        await topics.create(unique, 8, **{"cleanup.policy": "delete"})
    await fatten(own_kafka.port, unique)
    with worker("w0") as first, worker("w1") as second:
        await asyncio.to_thread(first.until, "Worker ready")
        await asyncio.to_thread(second.until, "Worker ready")
        # A record that comes in the middle of a rebalance may be lost to Faust itself, which is not asked here.
        await eventually(lambda: settled(first, second), seconds=30)
        async with Topics(f"127.0.0.1:{own_kafka.port}") as topics:
            await topics.send_all(unique, [(f"k{number}", b"1") for number in range(RECORDS)])

            async def done():
                return handled.exists() and len(handled.read_text().splitlines()) >= RECORDS

            await eventually(done, seconds=30)
        admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{own_kafka.port}")
        await admin.start()

        async def committed():
            offsets = await admin.list_consumer_group_offsets(unique)
            return (
                sum(found.offset for partition, found in offsets.items() if partition.topic == unique)
                == RECORDS
            )

        await eventually(committed, seconds=30)
        await admin.close()
        seen = first.log.read_text().count("Successfully synced group")
        second.signal(signal.SIGTERM)
        while first.log.read_text().count("Successfully synced group") == seen:
            time.sleep(0.001)
        own_kafka.kill()  # so the committed offsets are asked of the next one, while it loads the group
        await asyncio.to_thread(own_kafka.start)
        async with Topics(f"127.0.0.1:{own_kafka.port}") as topics:
            await topics.send(unique, "after", b"1")

            async def went_on():
                return len(handled.read_text().splitlines()) > RECORDS

            await eventually(went_on, seconds=40)
        await asyncio.sleep(3.0)
    again = {
        record: times for record, times in Counter(handled.read_text().splitlines()).items() if times > 1
    }
    assert len(again) == 0, f"{len(again)} records were handled again"
