"""``sink verify --repair`` beside a running worker: what differs is mended, what is not the sink's is only named."""

import asyncio
import contextlib
from itertools import count

import pytest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.verify import Kind, verify
from tests.support.projection import applied, eventually, live, make_app, projecting


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@contextlib.asynccontextmanager
async def projected(app, topics, topic, database, pairs, **options):
    await topics.create(dlq_topic(topic), 1)
    await topics.create(topic, 1)
    await topics.send_all(topic, pairs)
    async with projecting(
        app, database, ChangelogOptions(topic=topic, collection="c", **options)
    ) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
        yield projection


async def test_missing_different_and_extra_documents_are_mended_beside_the_worker(
    app, topics, unique, database
):
    pairs = [(f"k{i}", {"a": i}) for i in range(10)] + [("k9", None)]
    async with projected(app, topics, unique, database, pairs) as projection:
        source = {"t": unique, "p": 0, "o": 1, "n": 1}
        await database.c.delete_one({"_key": "k1"})
        await database.c.update_one({"_key": "k2"}, {"$set": {"a": "wrong"}})
        await database.c.update_one({"_key": "k3"}, {"$set": {"_src.n": 1 << 40}})
        await database.c.update_one({"_key": "k9"}, {"$unset": {"_deleted": 1, "_deleted_at": 1}})
        await database.c.insert_many(
            [
                {"_key": "extra", "_src": source},
                {"_key": "beyond", "_src": {**source, "n": 1 << 40}},
                {"_key": "another's", "_src": {**source, "t": "another"}},
                {"hello": "world"},
            ]
        )
        numbers, stop = count(), asyncio.Event()

        async def produce():
            while not stop.is_set():
                await topics.send(unique, f"k{4 + next(numbers) % 3}", {"a": next(numbers)})

        producing = asyncio.create_task(produce())
        try:
            report = await verify(projection, repair=True)
        finally:
            stop.set()
            await producing
        assert (report.written, report.removed) == (3, 3)
        assert (report.missing, report.different, report.extra) == (0, 0, 2)
        assert {found.key for found in report.differences if found.kind is Kind.EXTRA} >= {"another's"}
        await database.c.delete_many({"$or": [{"hello": "world"}, {"_key": "another's"}]})
        again = await verify(projection)
        assert again.clean, again.differences
        assert await database.c.count_documents({"_key": "extra", "_deleted": True}) == 1
        # The marker is not in the way of what comes.
        await topics.send(unique, "extra", {"a": "new"})
        await eventually(lambda: database.c.count_documents({"_key": "extra", "a": "new"}))


async def test_a_unique_value_is_free_again_for_the_document_that_should_have_it(
    app, topics, unique, database
):
    options = {"indexes": [Index({"u": 1}, unique=True)]}
    pairs = [("a", {"u": 1}), ("b", {"u": 2})]
    async with projected(app, topics, unique, database, pairs, **options) as projection:
        await database.c.update_one({"_key": "a"}, {"$set": {"_key": "extra"}})
        report = await verify(projection, repair=True)
    assert (report.clean, report.written, report.removed) == (True, 1, 1)
    assert {key: found["u"] for key, found in (await live(database.c)).items()} == {"a": 1, "b": 2}


async def test_fields_of_other_writers_survive_a_repair(app, topics, unique, database):
    options = {"map": ["x", "y"], "write": "set"}
    async with projected(app, topics, unique, database, [("a", {"x": 1})], **options) as projection:
        await database.c.update_one({"_key": "a"}, {"$set": {"x": 9, "y": 9, "theirs": 9}})
        report = await verify(projection, repair=True)
    assert (report.clean, report.written) == (True, 1)
    (document,) = (await live(database.c)).values()
    assert {name: document.get(name) for name in ("x", "y", "theirs")} == {"x": 1, "y": None, "theirs": 9}


async def test_poison_without_its_letter_is_named_and_not_mended(app, topics, unique, database):
    async with projected(app, topics, unique, database, [("a", {"x": 1}), ("a", b"{")]) as projection:
        await topics.delete(dlq_topic(unique))
        report = await verify(projection, repair=True)
    assert (report.clean, report.poison, report.written, report.removed) == (False, 1, 0, 0)
