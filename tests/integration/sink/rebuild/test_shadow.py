"""A rebuild in a shadow on real servers: with a worker, with readers, and cut off at every step."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from prom_faust.dlq.envelope import DeadLetter, State, dlq_topic
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.rebuild import rebuild, rebuild_in_shadow
from prom_faust.sink.rebuild.shadow.service import MARKER_MARGIN, ShadowRebuild
from prom_faust.sink.rebuild.shadow.swap import Step
from prom_faust.sink.verify import verify
from tests.support.projection import applied, eventually, live, make_app, make_projection, project, projecting

SILENCE = 0.3
PAUSE = 0.05
"""Seconds between two rounds of traffic: the server must keep up with it."""
STANDING = [f"s{number}" for number in range(80)]
"""Keys that are never deleted."""


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture
async def topic(topics, unique):
    await topics.create(dlq_topic(unique), 1, **{"cleanup.policy": "delete"})
    return await topics.create(unique, 2)


def old_map(event):
    return {"shape": "old", "a": event["a"]}


def new_map(event):
    return {"shape": "new", "a": event["a"]}


def options_of(topic, **given):
    return ChangelogOptions(topic=topic, collection="c", **given)


async def settled(projection, topics):
    ends = await topics.ends(projection.options.topic)
    await eventually(lambda: applied(projection, ends), seconds=30.0)


@pytest.fixture
async def projection(app, database, topics, topic):
    """A collection that a worker, which has stopped, has projected."""
    await topics.send_all(topic, [(f"k{i % 40}", {"a": i}) for i in range(200)])
    await topics.send_all(topic, [(f"k{i}", None) for i in range(5)])
    return await project(app, database, topics, options_of(topic))


def again(projection, **given):
    return rebuild_in_shadow(projection, silence=SILENCE, **given)


@asynccontextmanager
async def a_run(projection):
    """A run that is driven step by step, and ends as if it were killed: it keeps its claim."""
    async with LogReader(projection.clients) as log:
        run = ShadowRebuild(projection, log, progress=lambda *_: None)
        await run.shadow.claim(SILENCE)
        await run.check(lose=False)
        try:
            yield run
        finally:
            await run.close()


STEPS = ("begin", "round", "verify", "intend", "swap", "finish")


async def cut_off_after(projection, count):
    """Do so many steps, and no more."""
    async with a_run(projection) as run:
        assert (await run.plan()).step is Step.BEGIN
        for step in STEPS[:count]:
            await getattr(run, step)()


async def is_clean(projection, database):
    """Whether the collection equals its topic, and nothing of a rebuild is left."""
    report = await verify(projection)
    assert report.clean, report.differences
    assert "_prom_shadow.c" not in await database.list_collection_names()
    left = await database["_prom_rebuilds"].find().to_list(None)
    assert all(rebuild.keys() <= {"_id", "topic", "beat", "swaps"} for rebuild in left)
    positions = await database["_prom_positions"].find().to_list(None)
    return {position["collection"] for position in positions} <= {"c"}


# -- all of it -----------------------------------------------------------------------------------------------


class Traffic:
    """Updates, deletes and new keys, until it is stopped."""

    def __init__(self, topics, topic):
        self.sent = 0
        self._topics, self._topic = topics, topic
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            self.sent = number = self.sent + 1
            pairs = [
                (f"n{number}", {"a": number}),
                (f"u{number % 7}", {"a": number}),
                (f"n{number - 9}", None),
            ]
            await self._topics.send_all(self._topic, pairs)
            await asyncio.sleep(PAUSE)

    async def stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])


class Reader:
    """Reads the whole collection again and again."""

    def __init__(self, collection):
        self.reads = []
        self._collection = collection
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            found = await self._collection.find({"_key": {"$regex": "^s"}}, batch_size=5_000).to_list(None)
            self.reads.append((len(found), {document.get("shape") for document in found}))
            await asyncio.sleep(PAUSE)

    async def stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])
        assert self._task.cancelled(), self._task.exception()


async def test_a_changed_map_comes_into_use_at_once_while_a_worker_writes_and_a_reader_reads(
    app, database, topics, topic
):
    await topics.send_all(topic, [(key, {"a": number}) for number, key in enumerate(STANDING * 5)])
    await project(app, database, topics, options_of(topic, map=old_map))
    async with projecting(app, database, options_of(topic, map=new_map, indexes=["a"])) as projection:
        await settled(projection, topics)
        traffic, reader = Traffic(topics, topic), Reader(database.c)
        await eventually(lambda: database.c.count_documents({"_key": "n3"}))
        swapped = await rebuild_in_shadow(projection)
        await traffic.stop()
        await reader.stop()
        await settled(projection, topics)
        assert await is_clean(projection, database)
    assert swapped.done
    assert swapped.records > 400
    assert (80, {"old"}) in reader.reads
    assert (80, {"new"}) in reader.reads
    assert {count for count, _ in reader.reads} == {80}
    assert all(len(shapes) == 1 for _, shapes in reader.reads)
    assert set(await database.c.index_information()) == {"_id_", "_key_1", "_deleted_at_1", "a_1"}


async def test_the_first_collection_of_a_projection_can_be_made_so(app, database, topics, topic):
    await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(30)])
    options = options_of(topic)
    swapped = await again(make_projection(app, database, options))
    assert (swapped.done, swapped.records) == (True, 30)
    assert len(await live(database.c)) == 30
    assert await is_clean(await project(app, database, topics, options), database)


# -- cut off -------------------------------------------------------------------------------------------------


async def test_a_run_that_is_cut_off_after_any_step_is_gone_on_with(projection, database, topics):
    topic = projection.options.topic
    async with projecting(projection.app, database, projection.options) as worker:
        for count in map(STEPS.index, ("round", "verify", "swap", "finish")):
            await database.c.update_one({"_key": "k25"}, {"$set": {"a": "broken"}})
            await cut_off_after(worker, count)
            await topics.send_all(topic, [("k20", {"a": -count}), (f"k{30 + count}", None)])
            swapped = await again(worker)
            assert (swapped.done, swapped.resumed) == (True, True)
            await settled(worker, topics)
            assert await is_clean(worker, database)


async def cut_off_in_the_swap(worker, database, topics):
    """A run that is killed after the rename; what the worker wrote since the intent is in no collection any more."""
    topic = worker.options.topic
    async with a_run(worker) as run:
        await run.plan()
        for step in ("begin", "round", "verify", "intend"):
            await getattr(run, step)()
        await topics.send_all(topic, [("k20", {"a": "late"}), ("new", {"a": 1}), ("k21", None)])
        await settled(worker, topics)
        assert set(await live(database.c)) & {"new", "k21"} == {"new"}
        await run.swap()
    assert set(await live(database.c)) & {"new", "k21"} == {"k21"}


async def test_a_worker_that_starts_after_a_run_was_killed_in_its_swap_applies_what_is_missing(
    projection, database, topics, caplog
):
    async with projecting(projection.app, database, projection.options) as worker:
        await cut_off_in_the_swap(worker, database, topics)
    async with projecting(projection.app, database, projection.options) as worker:
        await eventually(lambda: database.c.count_documents({"_key": "new"}))
        await eventually(lambda: is_deleted(database, "k21"))
        assert (await verify(worker)).clean
    assert "cut off in it" in caplog.text
    assert (await again(projection)).resumed
    assert await is_clean(projection, database)


async def is_deleted(database, key):
    return "_deleted" in await database.c.find_one({"_key": key})


async def test_the_next_run_applies_what_is_missing_after_one_was_killed_in_its_swap(
    projection, database, topics
):
    async with projecting(projection.app, database, projection.options) as worker:
        await cut_off_in_the_swap(worker, database, topics)
        swapped = await again(worker)
        assert (swapped.done, swapped.resumed, swapped.behind, swapped.report) == (True, True, 3, None)
        assert await is_clean(worker, database)


async def test_a_plain_rebuild_removes_what_one_in_a_shadow_has_left(projection, database):
    await cut_off_after(projection, STEPS.index("intend") + 1)
    await rebuild(projection)
    assert "_prom_shadow.c" not in await database.list_collection_names()
    assert await database["_prom_positions"].count_documents({}) == 0
    assert await database["_prom_rebuilds"].count_documents({}) == 0


async def test_changed_options_begin_anew(projection, database, topics):
    await cut_off_after(projection, 2)
    changed = replace(projection.options, map=["b"])
    swapped = await again(make_projection(projection.app, database, changed))
    assert (swapped.done, swapped.resumed, swapped.records) == (True, False, 205)
    assert "options have changed" in swapped.begun


# -- not clean, refused --------------------------------------------------------------------------------------


async def test_a_shadow_that_differs_is_not_swapped_and_stands(projection, database):
    await cut_off_after(projection, 2)
    await database["_prom_shadow.c"].update_one({"_key": "k20"}, {"$set": {"a": "broken"}})
    before = await live(database.c)
    swapped = await again(projection)
    assert (swapped.done, swapped.report.different) == (False, 1)
    assert await live(database.c) == before
    assert await database["_prom_shadow.c"].count_documents({"a": "broken"}) == 1
    swapped = await again(projection, restart=True)
    assert (swapped.done, swapped.begun) == (True, "--restart was given")
    assert await is_clean(projection, database)


async def test_what_cannot_come_out_right_is_refused(projection, database, topics):
    options = replace(projection.options, write="set", map=["a"])
    with pytest.raises(ConfigurationError, match='written with write="set"'):
        await again(make_projection(projection.app, database, options))
    await database.create_collection("_prom_shadow.c")
    with pytest.raises(ConfigurationError, match="no rebuild that has made it"):
        await again(projection)
    await database["_prom_shadow.c"].drop()
    async with a_run(projection) as run:
        living = asyncio.create_task(run.live(0.05))
        with pytest.raises(ConfigurationError, match="rebuilt by another run"):
            await rebuild_in_shadow(projection, silence=5.0)
        living.cancel()
    await database.c.create_index("theirs")
    await database.c.insert_many([{"plain": 1}, {"_key": "theirs", "_src": {"t": "another"}}])
    with pytest.raises(ConfigurationError, match="index theirs_1, 2 documents of other writers"):
        await again(projection)
    lost = (await again(projection, lose=True)).lost
    assert lost == ("index theirs_1", "2 documents of other writers")
    assert "theirs_1" not in await database.c.index_information()


async def test_a_run_whose_place_was_taken_renames_nothing(projection, database):
    async with a_run(projection) as run:
        await run.plan()
        for step in ("begin", "round", "verify", "intend"):
            await getattr(run, step)()
        async with a_run(projection):
            with pytest.raises(ConfigurationError, match="another run"):
                await run.swap()
    assert "_prom_shadow.c" in await database.list_collection_names()


async def test_a_topic_that_keeps_tombstones_for_less_than_the_reading_takes(app, database, topics, unique):
    await topics.create(dlq_topic(unique), 1)
    topic = await topics.create(unique, 1, **{"delete.retention.ms": "0"})
    await topics.send(topic, "k", {"a": 1})
    with pytest.raises(ConfigurationError, match=r"delete\.retention\.ms"):
        await again(make_projection(app, database, options_of(topic)))


# -- letters and markers -------------------------------------------------------------------------------------


async def test_letters_count_as_in_a_verification(app, database, topics, unique):
    await topics.create(dlq_topic(unique), 1, **{"cleanup.policy": "delete"})
    topic = await topics.create(unique, 1, **{"cleanup.policy": "compact,delete"})
    await topics.send_all(topic, [(f"b{i}", b"{not json") for i in range(3)], partition=0)
    await topics.send_all(topic, [("k", {"a": 1})], partition=0)
    projection = await project(app, database, topics, options_of(topic))
    await topics.admin.delete_records({KafkaPartition(topic, 0): RecordsToDelete(1)})
    await replay(projection, PlainRecord(topic, 0, 0, 4, b"b0", b'{"a": "its record is gone"}'))
    letters = dlq_topic(topic)
    await replay(projection, PlainRecord(topic, 0, 1, 5, b"b1", b'{"a": "fixed"}'))
    await topics.send_all(topic, [("without a letter", b"{not json")], partition=0)
    before = sum((await topics.ends(letters)).values())
    async with a_run(projection) as run:
        await run.plan()
        await run.begin()
        await run.round()
        assert sum((await topics.ends(letters)).values()) == before + 1
        await replay(projection, PlainRecord(topic, 0, 2, 6, b"b2", b'{"a": "late"}'))
        await run.round()
        assert (await run.verify()).clean
    found = await live(database["_prom_shadow.c"])
    assert {key: document["a"] for key, document in found.items()} == {
        "k": 1,
        "b0": "its record is gone",
        "b1": "fixed",
        "b2": "late",
    }


async def replay(projection, record):
    publisher = DeadLetterPublisher(projection.clients)
    letter = DeadLetter(record, projection.group, "E", "m", state=State.REPLAYED)
    assert await publisher.publish([letter]) == [None]
    await publisher.close()


async def test_unique_values_move_between_keys_as_in_a_worker(app, database, topics, topic):
    steps = [("x", {"u": 1}), ("x", {"u": 2}), ("y", {"u": 1}), ("x", {"u": 3}), ("z", {"u": 2})]
    await topics.send_all(topic, steps, partition=0)
    options = options_of(topic, indexes=[Index({"u": 1}, unique=True)], window=1)
    assert (await again(make_projection(app, database, options))).done
    assert {key: found["u"] for key, found in (await live(database.c)).items()} == {"x": 3, "y": 1, "z": 2}


async def test_the_markers_of_the_shadow_are_new_to_the_workers(projection, database):
    async with a_run(projection) as run:
        await run.plan()
        await run.begin()
        await run.round()
        made = await markers(database["_prom_shadow.c"])
        await run.intend()
        refreshed = await markers(database["_prom_shadow.c"])
    assert len(made) == len(refreshed) == 5
    assert min(refreshed) >= max(made) + MARKER_MARGIN


async def markers(collection):
    return [found["_deleted_at"] for found in await collection.find({"_deleted": True}).to_list(None)]
