"""G4 and G5 under fire: three workers, real servers, five faults, and a proof at the end.

The seed is printed; ``FAULT_SEEDS=1,2,3 FAULT_RECORDS=60000`` runs others.
"""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from pymongo import AsyncMongoClient

from prom_faust.dlq.envelope import decode, dlq_topic
from prom_faust.local import KafkaServer, MongoServer, free_port
from tests.faults.schedule import PARTITIONS, TOPIC, Run, Traced, messages
from tests.support.kafka import Topics
from tests.support.worker import ROOT

SEEDS = [int(seed) for seed in os.environ.get("FAULT_SEEDS", "20261122").split(",")]
RECORDS = int(os.environ.get("FAULT_RECORDS", "20000"))
SECONDS = float(os.environ.get("FAULT_SECONDS", "80"))
WINDOWS = os.environ.get("FAULT_WINDOWS", "500,10000,10000").split(",")


@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("seed", "window"), [(seed, WINDOWS[n % len(WINDOWS)]) for n, seed in enumerate(SEEDS)]
)
async def test_after_every_fault_the_collection_equals_the_topic(seed, window, tmp_path):
    print(f"\nseed {seed}, {RECORDS} records, window {window}")
    with (
        KafkaServer(tmp_path / "kafka", free_port()) as kafka,
        MongoServer(tmp_path / "mongo", free_port()) as mongo,
    ):
        env = {"KAFKA_URL": kafka.url, "MONGO_URL": mongo.url, "WINDOW": window}
        workers = [Traced(f"w{number}", tmp_path, env) for number in range(3)]
        client = AsyncMongoClient(mongo.url, directConnection=True, serverSelectionTimeoutMS=2_000)
        database = client.get_database("faults")
        await database.create_collection("things", validator={"refuse": {"$exists": False}})
        run = Run(seed, kafka, mongo, database, workers, SECONDS)
        try:
            await fight(run)
            report = await asyncio.to_thread(verify, env, tmp_path)
            letters = await dead_letters(kafka)
        finally:
            for traced in workers:
                traced.worker.kill()
            await client.close()
    print(json.dumps({key: value for key, value in report.items() if isinstance(value, int | float | bool)}))
    print(f"{run.changes} changes seen, {len(letters)} dead letters for {len(run.poisoned)} poison records")
    assert report["clean"], report
    assert letters == run.poisoned, f"seed {seed}"
    assert run.backwards == [], f"seed {seed}"
    assert run.changes > 1_000


async def fight(run: Run) -> None:
    async with Topics(f"127.0.0.1:{run.kafka.port}") as topics:
        await topics.create(TOPIC, PARTITIONS)
    for traced in run.workers:
        traced.worker.start()
    for traced in run.workers:
        await asyncio.to_thread(traced.worker.until, "Worker ready")
    run.began = asyncio.get_running_loop().time()
    witness = asyncio.create_task(run.watch())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run.produce(messages(run.seed, RECORDS, RECORDS // 10)))
        tasks.create_task(run.all_faults())
    for traced in run.workers:
        traced.worker.until("Worker ready")
    await asyncio.to_thread(settle, run)
    await asyncio.sleep(2.0)
    witness.cancel()


def settle(run: Run) -> None:
    """Wait until everything is applied, then stop every worker as an operator would."""
    env = {"KAFKA_URL": run.kafka.url, "MONGO_URL": run.mongo.url}
    report = verify(env, run.workers[0].trace.parent)
    run.note(f"settled: {report['clean']}")
    for traced in run.workers:
        run.note(f"{traced.name} stopped in {traced.worker.stop():.1f} s")


def verify(env, folder):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "faust",
            "-A",
            "tests.faults.hub",
            "sink",
            "verify",
            TOPIC,
            "--json",
            "--wait",
            "120",
        ],
        cwd=ROOT,
        env={**os.environ, **env, "TRACE": str(folder / "verify")},
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert done.stdout, done.stderr.decode()[-3000:]
    return json.loads(done.stdout)


async def dead_letters(kafka):
    async with Topics(f"127.0.0.1:{kafka.port}") as topics:
        letters = [decode(record) for record in await topics.read(dlq_topic(TOPIC))]
    return {(letter.record.partition, letter.record.offset) for letter in letters}
