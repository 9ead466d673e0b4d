"""The projection for tests holds what the real one does."""

import os
import random

import pytest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.sink.options import ChangelogOptions
from prom_faust.testing import fold
from tests.support.projection import applied, eventually, live, make_app, projecting

SEEDS = [int(seed) for seed in os.environ.get("FAULT_SEEDS", "1,2").split(",")]


def history(seed):
    chosen = random.Random(seed)
    for number in range(400):
        key = f"k{chosen.randrange(40)}"
        value = {"n": number, "version": chosen.randrange(20)}
        yield key, chosen.choice([value, value, value, None, b"[", {"n": number}])


@pytest.mark.parametrize("versioned", [False, True], ids=["positions", "versions"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_the_fold_is_what_the_sink_makes_of_the_same_records(
    kafka, database, topics, unique, tmp_path, seed, versioned
):
    print(f"seed {seed}")
    topic = await topics.create(unique, 2)
    await topics.create(dlq_topic(unique), 2)
    options = ChangelogOptions(topic=topic, collection="c", version_of="version" if versioned else None)
    async with projecting(make_app(unique, kafka.url, tmp_path), database, options) as projection:
        await topics.send_all(topic, history(seed))
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
        stored = await live(database.c)
    expected = fold(await topics.read(topic), options)
    for document in stored.values():
        del document["_id"]
    assert stored == expected
    assert len(stored) > 10
