"""G7: what is wrong ends the worker, with one line that says what to do, and an exit code that is not 0."""

import asyncio
import re
import time

import pytest

from prom_faust.local import free_port
from tests.support.worker import FaustWorker


@pytest.fixture
def worker(kafka, mongo, unique, tmp_path):
    def start(**env):
        return FaustWorker(
            "tests.faults.plain_app",
            tmp_path / "log",
            {
                "KAFKA_URL": kafka.url,
                "MONGO_URL": f"{mongo.url}/{unique}",
                "TOPIC": unique,
                "DATADIR": str(tmp_path / "data"),
                **env,
            },
        )

    return start


def ends_with(worker, *texts, seconds=30.0):
    """The worker ends by itself, not with 0, and names the error once, in one line with these texts."""
    with worker:
        began = time.monotonic()
        code = worker.wait(seconds)
        print(f"exit code {code} after {time.monotonic() - began:.1f} s")
    assert code != 0
    line = the_error(worker)
    for text in texts:
        assert text in line
    assert "Traceback" not in worker.log.read_text()
    assert "secret" not in worker.log.read_text()


def the_error(worker):
    lines = [
        line for line in worker.log.read_text().splitlines() if re.search(r"CRITICAL\] \w+Error: ", line)
    ]
    assert len(lines) == 1, worker.tail(80)
    return lines[0]


async def test_a_dead_broker(worker):
    ends_with(worker(KAFKA_URL=f"kafka://127.0.0.1:{free_port()}"), "UnreachableError: Kafka at", "broker=")


async def test_a_dead_mongodb(worker):
    ends_with(
        worker(MONGO_URL=f"mongodb://me:secret@127.0.0.1:{free_port()}/x"),
        "UnreachableError: MongoDB",
        "mongo_url",
    )


async def test_a_topic_with_another_partition_count(worker, topics, unique):
    await topics.create(unique, 3)
    ends_with(worker(), "TopicError", "has 3 partitions, the app declares 2")


async def test_a_topic_that_is_not_compacted(worker, topics, unique):
    await topics.create(unique, 2, **{"cleanup.policy": "delete"})
    ends_with(
        worker(), "TopicError", "cleanup.policy=delete, the app declares compact", "kafka-configs --alter"
    )


async def test_an_index_that_differs(worker, database):
    await database.c.create_index([("host", 1)], name="host_1", unique=True)
    ends_with(worker(), "IndexConflictError", "index host_1 differs", "dropIndex")


async def test_a_wrong_setting(worker):
    process = worker(PROM_FAUST_WRITE_DEADLINE="-1")
    with process:
        assert process.wait(30) != 0
    assert "wrong settings: write_deadline" in process.log.read_text()


async def test_a_topic_recreated_under_a_running_worker(worker, topics, unique, database):
    process = worker()
    with process:
        await asyncio.to_thread(process.until, "Worker ready")
        await topics.send_all(unique, [(f"k{n}", {"n": n}) for n in range(20)])
        for _ in range(200):
            if await database.c.count_documents({}) == 20:
                break
            await asyncio.sleep(0.1)
        await topics.delete(unique)
        await topics.create(unique, 2)
        await topics.send_all(unique, [(f"k{n}", {"n": n}) for n in range(50)])
        code = await asyncio.to_thread(process.wait, 30.0)
    assert code != 0
    assert "recreated" in the_error(process)
    assert "sink rebuild c" in the_error(process)
