"""The analyzer: a process that jumps is found once, whichever worker has it; no process outlives its worker."""

import asyncio
import json
import random
import signal
from uuid import uuid4

import psutil
import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from agents.models import registry
from prom_faust import partition_of
from tests.support.projection import eventually

HEARTBEATS = "heartbeat.received"
FINDINGS = "process.finding"
WINDOW = 10
QUIET = {"EVENT_HUB_COLLECT": "false", "EVENT_HUB_ANALYSIS_WINDOW": str(WINDOW)}


@pytest.fixture
def start(hub):
    """Start a worker that analyzes and does not collect; kill what is left with the test."""
    started = []

    def start(**settings):
        started.append(hub.start_worker(**QUIET, **settings))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()
        worker.wait()


def ready(hub, worker):
    hub.until(lambda: "Worker ready" in hub.log(worker), bool, 60)


def keys_of_each_partition(host):
    """One process of each partition."""
    found = {}
    while len(found) < 8:
        key = f"{host}:{len(found)}:{random.randrange(10**9)}"
        found.setdefault(partition_of(key, 8), key)
    return [found[partition] for partition in range(8)]


def heartbeat(cpu):
    return {"pid": 7, "name": "web", "host": "box", "cpu_pct": cpu, "mem_mb": 100.0}


async def analyzed(topics):
    """Whether every heartbeat is behind the group."""
    committed = await topics.committed("analyzers", HEARTBEATS)
    ends = await topics.ends(HEARTBEATS)
    return set(committed) == set(ends) and all(committed[number] == end for number, end in ends.items())


async def send(topics, keys, cpus):
    for cpu in cpus:
        for key in keys:
            await topics.send(HEARTBEATS, key, heartbeat(cpu))


async def findings_of(topics, keys):
    return [record for record in await topics.read(FINDINGS) if record.key.decode() in keys]


def pool_of(worker):
    """The worker's scoring processes."""
    return [
        child for child in psutil.Process(worker.pid).children() if "anomaly.py" in " ".join(child.cmdline())
    ]


async def owners(topics):
    """The partitions of each analyzer, as the broker has them."""
    (answer,) = await topics.admin.describe_consumer_groups(["analyzers"])
    _, _, state, _, _, members, *_ = answer.groups[0]
    if state != "Stable":
        return []
    shares = [ConsumerProtocolMemberAssignment.decode(assigned).assignment for *_, assigned in members]
    return [[number for _, numbers in share for number in numbers] for share in shares]


async def shared(topics, workers):
    """Each partition's one analyzer, once there are so many of them."""
    shares = await owners(topics)
    whole = sorted(number for share in shares for number in share)
    return whole == list(range(8)) and len(shares) == workers and all(shares)


async def test_a_jump_is_found_once_and_the_finding_obeys_its_schema(hub, start, topics):
    worker = start(EVENT_HUB_ANALYSIS_PROCESSES="2")
    await asyncio.to_thread(ready, hub, worker)
    keys = keys_of_each_partition(f"h{uuid4().hex[:8]}")
    await eventually(lambda: analyzed(topics), seconds=30)
    habit = [1.0 + number % 3 / 10 for number in range(4 * WINDOW)]
    await send(topics, keys, habit)
    await send(topics, keys[:3], [95.0, 96.0, 95.5])
    sent = await topics.send(HEARTBEATS, keys[7], heartbeat(1.0))
    await eventually(lambda: analyzed(topics), seconds=30)
    found = await findings_of(topics, keys)
    assert sorted(record.key.decode() for record in found) == sorted(keys[:3])
    version = registry.find(FINDINGS).latest
    for record in found:
        assert dict(record.headers)["x-schema-version"] == b"1"
        assert record.partition == partition_of(record.key, 8)
        finding = version.decode(record.value)
        assert finding.processId == record.key.decode()
        assert finding.cpu_pct == 95.0
        assert 0.7 <= finding.score <= 1
        assert finding.samples == 4 * WINDOW + 1
        assert 0 <= sent.timestamp - finding.at < 60_000
    pool = pool_of(worker)
    assert len(pool) == 2
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 10) == 0
    psutil.wait_procs(pool, 5)
    assert not any(process.is_running() for process in pool)


async def test_three_workers_share_the_partitions_and_a_killed_one_leaves_its_share_and_no_process(
    hub, start, topics
):
    workers = [start(PROM_FAUST_WORKER_NAME=f"w{n}") for n in range(3)]
    for worker in workers:
        await asyncio.to_thread(ready, hub, worker)
    await eventually(lambda: shared(topics, 3), seconds=30)
    await eventually(lambda: analyzed(topics), seconds=30)
    keys = keys_of_each_partition(f"h{uuid4().hex[:8]}")
    await send(topics, keys, [1.0] * 3 * WINDOW + [95.0])
    await eventually(lambda: analyzed(topics), seconds=30)
    found = await findings_of(topics, keys)
    assert sorted(record.key.decode() for record in found) == sorted(keys)
    learnt = {json.loads(record.value)["samples"] for record in found}
    assert learnt == {3 * WINDOW + 1}, "all samples of a process came to one model"

    pools = [pool_of(worker) for worker in workers]
    assert [len(pool) for pool in pools] == [1, 1, 1]
    workers[0].kill()
    workers[0].wait()
    assert psutil.wait_procs(pools[0], 5)[1] == []
    pools[1][0].kill()
    keys = keys_of_each_partition(f"h{uuid4().hex[:8]}")
    await send(topics, keys, [1.0] * 3 * WINDOW + [95.0])
    await eventually(lambda: shared(topics, 2), seconds=30)
    await eventually(lambda: analyzed(topics), seconds=30)
    found = await findings_of(topics, keys)
    assert {record.key.decode() for record in found} == set(keys)
    assert psutil.wait_procs(pools[1], 0)[1] == []
    for worker in workers[1:]:
        worker.send_signal(signal.SIGTERM)
    for worker in workers[1:]:
        assert await asyncio.to_thread(worker.wait, 10) == 0
