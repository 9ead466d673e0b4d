"""A chain input -> output with ``exactly_once=True``: two workers, killed and frozen, and nothing twice or lost."""

import asyncio
import signal
import time
from collections import Counter

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from prom_faust.dlq.envelope import decode
from tests.support.projection import eventually
from tests.support.worker import FaustWorker

COUNT = 3_000


@pytest.fixture
async def chain(kafka, topics, unique, tmp_path):
    await topics.create(unique, 4, **{"cleanup.policy": "delete"})
    workers = {}

    def start(name):
        env = {
            "KAFKA_URL": kafka.url,
            "TOPIC": unique,
            "NAME": name,
            "DATADIR": str(tmp_path / name),
            "FREEZE": str(tmp_path / f"freeze.{name}"),
        }
        worker = FaustWorker("tests.faults.chain_app", tmp_path / f"{name}.log", env)
        workers[name] = worker.start()
        return worker

    yield unique, start
    for worker in workers.values():
        worker.kill()


async def read(topics, topic, isolation):
    """Every record of a topic that is to be seen under an isolation level."""
    ends = await topics.ends(topic)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=topics.bootstrap, auto_offset_reset="earliest", isolation_level=isolation
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in ends]
        consumer.assign(partitions)
        found, deadline = [], time.monotonic() + 30.0
        while [await consumer.position(each) for each in partitions] != [
            ends[p.partition] for p in partitions
        ]:
            assert time.monotonic() < deadline, found[-3:]
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def test_however_workers_are_killed_and_frozen_readers_of_what_is_committed_see_it_once(
    chain, topics, tmp_path
):
    topic, start = chain
    group = f"{topic}.event:copy"

    async def done():
        return sum((await topics.committed(group, topic)).values())

    async def beyond(count):
        await eventually(lambda: reached(count), seconds=60.0)

    async def reached(count):
        return await done() >= count

    async def feed():
        for first in range(0, COUNT, 20):
            await topics.send_all(topic, [(f"k{n % 40}", n) for n in range(first, first + 20)])
            await asyncio.sleep(0.1)

    a, b = start("a"), start("b")
    await asyncio.to_thread(a.until, "Worker ready", 60.0)
    await asyncio.to_thread(b.until, "Worker ready", 60.0)
    feeding = asyncio.create_task(feed())
    await beyond(200)
    a.kill()
    start("a")
    await beyond(await done() + 300)
    frozen = tmp_path / "freeze.b"
    frozen.touch()
    await eventually(lambda: is_gone(frozen), seconds=30.0)
    # The other one takes over once the session is over; then the zombie wakes, and its transaction is still open.
    before = await topics.committed(group, topic)
    await eventually(lambda: all_go_on(topics, group, topic, before), seconds=60.0)
    b.signal(signal.SIGCONT)
    await feeding
    b.kill()
    start("b")
    await beyond(COUNT)
    committed = [orjson.loads(r.value) for r in await read(topics, f"{topic}.copies", "read_committed")]
    expected = [[n, part] for n in range(COUNT) if n % 100 != 50 for part in range(n % 3)]
    assert sorted(committed) == expected
    for key in range(40):
        mine = [each for each in committed if each[0] % 40 == key]
        assert mine == sorted(mine)
    letters = await read(topics, f"{topic}.dlq", "read_committed")
    assert sorted(int(decode(letter).record.value) for letter in letters) == list(range(50, COUNT, 100))
    # The transaction that was frozen had sent something, or this would prove nothing.
    everything = await read(topics, f"{topic}.copies", "read_uncommitted")
    repeated = Counter(record.value for record in everything)
    print(f"{len(everything) - len(committed)} messages of transactions that were aborted")
    assert max(repeated.values()) > 1


async def is_gone(path):
    return not path.exists()


async def all_go_on(topics, group, topic, before):
    now = await topics.committed(group, topic)
    return all(now[number] > before[number] for number in before)
