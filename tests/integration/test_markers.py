"""Delete markers: they stop late writes, and go when no such write can arrive any more."""

import time

import pytest

from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.record import PlainRecord, TopicPartition
from prom_faust.sink.decode import decoder
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.outcome import Verdict
from prom_faust.sink.plan import group, plan_write
from tests.support.drivers import with_both_drivers
from tests.support.projection import applied, eventually, live, make_app, make_projection, projecting


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


async def settled(projection, topics):
    ends = await topics.ends(projection.options.topic)
    await eventually(lambda: applied(projection, ends))


def late_write(options, topic, key, offset, value):
    record = PlainRecord(topic, 0, offset, key=key.encode(), value=value)
    plan = group([decoder(options)(record)])[key]
    write = plan_write(plan, None, versioned=options.versioned)
    assert write is not None
    return write


async def test_a_late_write_of_an_older_record_finds_the_marker(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    options = ChangelogOptions(topic=topic, collection="c")
    async with projecting(app, database, options) as projection:
        await topics.send_all(topic, [("k", {"a": 1}), ("k", None), ("never", None)])
        await settled(projection, topics)
        for key, value in [("k", b'{"a": 1}')]:
            failures = await projection.collection.write([late_write(options, topic, key, 0, value)], now=0)
            assert [failure.verdict for _, failure in failures] == [Verdict.KEY_TAKEN]
        assert await live(database.c) == {}
        assert await database.c.count_documents({"_key": "never", "_deleted": True}) == 1


@with_both_drivers
async def test_markers_go_after_the_fence_delay_and_not_before(app, topics, unique, database):
    topic = await topics.create(unique, 2)
    options = ChangelogOptions(topic=topic, collection="c")
    async with projecting(app, database, options) as projection:
        for partition in (0, 1):
            await topics.send_all(topic, [(f"k{partition}", {"a": 1}), (f"k{partition}", None)], partition)
        await settled(projection, topics)
        assert await projection.sweep() == 0
        old = time.time_ns() // 1_000_000 - int(projection.keep * 1000) - 1
        await database.c.update_many({"_deleted": True}, {"$set": {"_deleted_at": old}})
        await eventually(lambda: none_left(database.c), seconds=5)


async def none_left(collection):
    return await collection.count_documents({}) == 0


async def test_markers_are_found_again_by_a_new_worker(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    options = ChangelogOptions(topic=topic, collection="c")
    async with projecting(app, database, options) as projection:
        await topics.send_all(topic, [("k", None)])
        await settled(projection, topics)
        old = time.time_ns() // 1_000_000 - int(projection.keep * 1000) - 1
    await database.c.update_many({"_deleted": True}, {"$set": {"_deleted_at": old}})
    async with projecting(app, database, options):
        await eventually(lambda: none_left(database.c), seconds=10)


@pytest.mark.parametrize("version_of", [None, "rev"])
async def test_a_tombstone_that_comes_once_more_lets_its_marker_age_anew(
    app, topics, unique, database, version_of
):
    topic = await topics.create(unique, 1)
    options = ChangelogOptions(topic=topic, collection="c", version_of=version_of)
    async with projecting(app, database, options) as projection:
        await topics.send_all(topic, [("k", {"rev": 7}), ("k", None)])
        await settled(projection, topics)
        before = await database.c.find_one_and_update({}, {"$inc": {"_deleted_at": -10_000}})
        name = TopicPartition(topic, 0)
        share = Share(Token(name), [PlainRecord(topic, 0, 1, key=b"k")])
        for _ in range(2):
            await projection.projector.project(Batch({name: share}, held_since={}, clock=time.monotonic))
        after = await database.c.find_one({})
    assert after.pop("_deleted_at") >= before.pop("_deleted_at")
    assert after == before


async def test_a_version_function_remembers_deletes_for_a_day(app, topics, unique, database):
    options = ChangelogOptions(topic=unique, collection="c", version_of="rev")
    assert make_projection(app, database, options).keep == 24 * 3600


async def test_a_fence_delay_that_is_too_short_is_refused(app, unique, database):
    options = ChangelogOptions(topic=unique, collection="c", fence_delay=1.0)
    with pytest.raises(ConfigurationError, match=r"fence_delay=1 of c is shorter than .* = 45 s"):
        _ = make_projection(app, database, options).fence_delay
