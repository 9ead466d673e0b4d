"""G4 and G5 under fire: three workers, real servers, every fault, and a proof at the end.

The seed is printed. ``FAULT_SEEDS=1,2,3`` runs others; ``SOAK=1`` (``make soak``) runs a large one and four smaller.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
from contextlib import AsyncExitStack

import pytest
from pymongo import AsyncMongoClient

from prom_faust.dlq.envelope import State, decode, dlq_topic
from prom_faust.local import KafkaServer, MongoServer, free_port
from tests.faults.schedule import LARGE, MIDDLE, PARTITIONS, SMALL, TOPIC, Run, Scale, Traced, messages
from tests.support.kafka import Topics
from tests.support.proxy import Proxy
from tests.support.worker import ROOT

SCALES = [LARGE, *[MIDDLE] * 4] if "SOAK" in os.environ else [SMALL]
GIVEN = [int(seed) for seed in os.environ.get("FAULT_SEEDS", "").split(",") if seed]
FIRST = random.SystemRandom().randrange(2**31) if "SOAK" in os.environ else 20261122
RUNS = [(seed, SCALES[n % len(SCALES)]) for n, seed in enumerate(GIVEN or range(FIRST, FIRST + len(SCALES)))]
WINDOWS = ["500", "10000", "10000"]


@pytest.mark.alone
@pytest.mark.timeout(2400 if "SOAK" in os.environ else 600)
@pytest.mark.parametrize(("number", "seed", "scale"), [(n, *run) for n, run in enumerate(RUNS)])
async def test_after_every_fault_the_collection_equals_the_topic(number, seed, scale, tmp_path):
    window = WINDOWS[number % len(WINDOWS)]
    print(f"\nseed {seed}, {scale.records} records, window {window}")
    async with AsyncExitStack() as stack:
        kafka = stack.enter_context(KafkaServer(tmp_path / "kafka", free_port()))
        mongo = stack.enter_context(MongoServer(tmp_path / "mongo", free_port()))
        env = {"KAFKA_URL": kafka.url, "MONGO_URL": mongo.url, "WINDOW": window}
        proxies = [await stack.enter_async_context(Proxy(mongo.port)) for _ in range(3)]
        workers = [Traced(f"w{index}", tmp_path, env, proxy) for index, proxy in enumerate(proxies)]
        client = AsyncMongoClient(mongo.url, directConnection=True, serverSelectionTimeoutMS=2_000)
        stack.push_async_callback(client.close)
        for traced in workers:
            stack.callback(traced.worker.kill)
        database = client.get_database("faults")
        await database.create_collection("things", validator={"refuse": {"$exists": False}})
        run = Run(seed, kafka, mongo, database, workers, scale.seconds)
        await fight(run, scale)
        report = await asyncio.to_thread(command, env, tmp_path, *VERIFY)
        dead = await letters(kafka, State.DEAD)
        replayed = await asyncio.to_thread(command, env, tmp_path, *REPLAY)
        again = await asyncio.to_thread(command, env, tmp_path, *VERIFY)
        applied = await letters(kafka, State.REPLAYED)
    print(json.dumps({key: value for key, value in report.items() if isinstance(value, int | float | bool)}))
    print(f"{run.changes} changes seen, {len(dead)} dead letters for {len(run.poisoned)} poison records")
    print(f"replayed with a fix-up function: {replayed['counts']}")
    assert report["clean"], report
    assert dead == run.poisoned, f"seed {seed}"
    assert run.backwards == [], f"seed {seed}"
    assert run.changes > 1_000
    assert replayed["left"] == 0, replayed
    assert sum(replayed["counts"].values()) == len(run.poisoned)
    assert len(applied) == replayed["counts"]["applied"] > 0
    assert again["clean"], again


async def fight(run: Run, scale: Scale) -> None:
    async with Topics(f"127.0.0.1:{run.kafka.port}") as topics:
        await topics.create(TOPIC, PARTITIONS)
    for traced in run.workers:
        traced.worker.start()
    for traced in run.workers:
        await asyncio.to_thread(traced.worker.until, "Worker ready")
    run.began = asyncio.get_running_loop().time()
    witness = asyncio.create_task(run.watch())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run.produce(messages(run.seed, scale.records, scale.keys)))
        tasks.create_task(run.all_faults(scale.faults))
    for traced in run.workers:
        traced.worker.until("Worker ready")
    await asyncio.to_thread(settle, run)
    await asyncio.sleep(2.0)
    witness.cancel()


def settle(run: Run) -> None:
    """Wait until everything is applied, then stop every worker as an operator would."""
    env = {"KAFKA_URL": run.kafka.url, "MONGO_URL": run.mongo.url}
    report = command(env, run.workers[0].trace.parent, *VERIFY)
    run.note(f"settled: {report['clean']}")
    for traced in run.workers:
        run.note(f"{traced.name} stopped in {traced.worker.stop():.1f} s")


VERIFY = ("sink", "verify", TOPIC, "--json", "--wait", "240")
REPLAY = ("dlq", "replay", "--fix", "tests.faults.hub:fix", "--yes", "--json")


def command(env, folder, *arguments):
    """What ``faust -A tests.faults.hub ...`` prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "tests.faults.hub", *arguments],
        cwd=ROOT,
        env={**os.environ, **env, "TRACE": str(folder / "command")},
        capture_output=True,
        check=False,
        timeout=400,
    )
    assert done.stdout, done.stderr.decode()[-3000:]
    return json.loads(done.stdout)


async def letters(kafka, state):
    """The positions of the records that have a letter which says this of them."""
    async with Topics(f"127.0.0.1:{kafka.port}") as topics:
        found = [decode(record) for record in await topics.read(dlq_topic(TOPIC))]
    return {(letter.record.partition, letter.record.offset) for letter in found if letter.state is state}
