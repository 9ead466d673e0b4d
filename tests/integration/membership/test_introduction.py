"""A running group goes from Faust's assignor to ours and back, worker by worker, under load, and loses nothing."""

import asyncio
import itertools
import random

import pytest

from prom_faust.assignment.rendezvous import Member, place

NAMES = ("w0", "w1", "w2")
HOMES = dict(enumerate(place([Member(name) for name in NAMES], 8).owners))


@pytest.fixture
async def load(topics, unique):
    """Writes and deletes, twenty a second, until the test ends."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)

    async def send():
        for number in itertools.count():
            key = f"k{rng.randrange(200)}"
            await topics.send(unique, key, None if rng.random() < 0.1 else {"id": key, "n": number})
            await asyncio.sleep(0.05)

    await topics.create(unique, 8)
    task = asyncio.create_task(send())
    yield task
    task.cancel()


async def roll(group, assignor):
    """A deploy: one worker after the other, each under its name and when the one before has its partitions."""
    for name in NAMES:
        await asyncio.to_thread(group.restart, name, PROM_FAUST_ASSIGNOR=assignor)
        await group.assigned(name)
    return await group.settled()


async def test_from_faust_to_rendezvous_and_back(group, load, mongo, topics, unique):
    group.env |= {"MONGO_URL": f"{mongo.url}/{unique}"}
    for name in NAMES:
        group.start(name, PROM_FAUST_ASSIGNOR="faust")
    await group.settled()
    assert await roll(group, "both") == HOMES  # with the last old member gone, the broker chooses ours
    assert await roll(group, "rendezvous") == HOMES
    assert await roll(group, "rendezvous") == HOMES  # a rolling restart moves nothing, in the end
    await roll(group, "both")
    await roll(group, "faust")
    described = await topics.admin.describe_consumer_groups([group.env["GROUP"]])
    assert described[0].groups[0][4] == "faust"
    load.cancel()
    verified = await asyncio.to_thread(group.command, "sink", "verify", "items")
    assert verified.returncode == 0, verified.stdout + verified.stderr
