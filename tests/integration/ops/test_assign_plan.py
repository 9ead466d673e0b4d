"""``faust -A APP assign plan`` as a user runs it, on a group of plain consumers."""

import asyncio
import json
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaConsumer

from prom_faust.assignment.homes import Subscriber, assign
from prom_faust.assignment.kafka import LaneAssignor
from prom_faust.assignment.rendezvous import Member
from prom_faust.assignment.wire import Identity
from tests.support.projection import eventually

MODULE = """
import faust
from prom_faust import install

app = faust.App({name!r}, broker={broker!r}, table_standby_replicas=1)
prom = install(app, load_factor=1.5)

@app.agent(app.topic({name!r}))
async def read(events):
    async for event in events:
        pass
"""


@pytest.fixture
async def folder(tmp_path, kafka, unique, topics):
    await topics.create(unique, 12)
    (tmp_path / "hub.py").write_text(MODULE.format(name=unique, broker=kafka.url))
    return tmp_path


@pytest.fixture
async def members(topics, unique, folder):
    """Two members of the app's own group."""
    consumers = [
        AIOKafkaConsumer(
            unique,
            bootstrap_servers=topics.bootstrap,
            group_id=unique,
            heartbeat_interval_ms=100,
            partition_assignment_strategy=(LaneAssignor(Identity(name)),),
        )
        for name in ("w1", "w2")
    ]
    for consumer in consumers:
        await consumer.start()

    async def shared():
        return {len(consumer.assignment()) for consumer in consumers}.isdisjoint({0, 12})

    await eventually(shared)
    yield consumers
    for consumer in consumers:
        await consumer.stop()


async def run(folder, *options):
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        "-m",
        "faust",
        "-A",
        "hub",
        "assign",
        "plan",
    ]
    return await asyncio.to_thread(
        subprocess.run,
        [*command, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def homes(unique, *names, load_factor=1.5):
    group = [Subscriber(Member(name), frozenset({unique})) for name in names]
    return assign(group, {unique: 12}, standbys=1, load_factor=load_factor)[0].placement.owners


async def test_the_members_and_the_options_are_those_of_the_running_group(folder, members, unique):
    done = await run(folder, "--add", "w3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    before, after = homes(unique, "w1", "w2"), homes(unique, "w1", "w2", "w3")
    assert found["group"] == unique
    assert found["protocol"] == "prom-rendezvous"
    assert found["members"]["before"] == {name: before.count(name) for name in ("w1", "w2")}
    assert [(move["partition"], move["source"], move["target"]) for move in found["moves"]] == [
        (p, old, new) for p, (old, new) in enumerate(zip(before, after, strict=True)) if old != new
    ]
    table = await run(folder, "--remove", "w2", "--grow", f"{unique}=24")
    assert table.returncode == 0, table.stderr
    assert "50.0%" in table.stdout
    assert "12  partitions are new" in table.stdout
    assert f"{unique}-" in table.stdout


async def test_without_a_running_group_one_says_who_would_be_in_it(folder, unique):
    done = await run(folder, "--add", "w3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: group {unique} has no members: start its workers, or say who they would be with --members a,b\n"
    )
    done = await run(folder, "--members", "w1,w2=1", "--remove", "w2", "--json", "--load-factor", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["protocol"] == ""
    assert found["members"]["before"] == {"w1": 6, "w2": 6}
    assert found["moved"] == found["lower_bound"] == 6


async def test_a_group_that_nobody_knows_is_an_error(folder, unique):
    done = await run(folder, "--members", "a,b", "--group", "unknown")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no topic of group unknown" in done.stderr
