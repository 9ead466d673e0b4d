"""A collection for every answer of a function of the key, on real servers."""

from dataclasses import replace

import pytest

from prom_faust.dlq.envelope import decode as decode_letter
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import ConfigurationError, RevokedError
from prom_faust.lane.freshness import Synced
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder
from prom_faust.sink.mongo.targets import TARGETS
from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.plan import KeyPlan, plan_write
from prom_faust.sink.rebuild import rebuild, rebuild_in_shadow
from prom_faust.sink.verify import Kind, verify
from tests.support.drivers import with_both_drivers
from tests.support.projection import eventually, live, make_app, make_projection, project, projecting

NAMES = ["orders_0", "orders_1", "orders_2"]


def by_last_digit(key):
    """k0 -> orders_0 and so on; 9 stays in the projection's own, and x gets a name that MongoDB does not take."""
    if key.endswith("9"):
        return None
    return f"orders_{int(key[-1]) % 3}" if key[0] == "k" else "a$b"


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture
async def options(topics, unique):
    await topics.create(dlq_topic(unique), 1)
    topic = await topics.create(unique, 2)
    indexes = ["a", Index({"b": 1}, unique=True)]
    return ChangelogOptions(
        topic=topic, collection="orders", collection_of=by_last_digit, indexes=indexes, size=20, window=60
    )


@pytest.fixture
async def projection(app, database, topics, options):
    """100 keys, each written twice, five of them deleted, and a record whose collection has no valid name."""
    for value in (1, 2):
        await topics.send_all(options.topic, [(f"k{i}", {"a": value, "b": i}) for i in range(100)])
    await topics.send_all(options.topic, [(f"k{i}", None) for i in range(5)])
    await topics.send(options.topic, "x1", {"a": 1})
    return await project(app, database, topics, options)


async def everything(database):
    return {name: set(await live(database[name])) for name in [*NAMES, "orders"]}


def expected():
    keys = [f"k{i}" for i in range(5, 100)]
    homes = {key: by_last_digit(key) or "orders" for key in keys}
    return {name: {key for key in keys if homes[key] == name} for name in [*NAMES, "orders"]}


@with_both_drivers
async def test_every_document_is_in_the_collection_of_its_key(database, topics, projection, options):
    assert await everything(database) == expected()
    for name in expected():
        indexes = await database[name].index_information()
        assert set(indexes) == {"_id_", "_key_1", "_deleted_at_1", "a_1", "b_1"}
    letters = list(map(decode_letter, await topics.read(dlq_topic(options.topic))))
    assert [letter.record.key for letter in letters] == [b"x1"]
    assert "collection_of" in letters[0].message
    report = await verify(projection)
    assert report.clean, report.differences
    assert (report.documents, report.markers, report.dead) == (95, 5, 1)


async def test_markers_of_every_collection_are_swept_by_whoever_owns_their_partition(
    app, database, projection, options
):
    markers = [await database[name].count_documents({"_deleted": True}) for name in NAMES]
    assert sum(markers) == 5
    assert all(markers)
    for name in NAMES:
        await database[name].update_many({"_deleted": True}, {"$set": {"_deleted_at": 1}})
    async with projecting(app, database, options):

        async def swept():
            return not [name for name in NAMES if await database[name].find_one({"_deleted": True})]

        await eventually(swept)
    assert await everything(database) == expected()


async def test_a_collection_is_on_the_list_before_its_first_write(database, projection):
    """Whoever loses its partitions in between leaves nothing that nobody finds."""
    await rebuild(projection)

    def revoked():
        raise RevokedError("not ours any more")

    opened = await projection.collection.targets.listed()
    assert opened == []
    with pytest.raises(RevokedError):
        await projection.collection.write([_write(projection, "k1")], now=0, check=revoked)
    assert await projection.collection.targets.listed() == ["orders_1"]
    assert await database.orders_1.count_documents({}) == 0


def _write(projection, key):
    change = decoder(projection.options)(
        PlainRecord(projection.options.topic, 0, 0, key=key.encode(), value=b"{}")
    )
    return plan_write(KeyPlan(key, [change]), None, versioned=False)


async def test_what_is_missing_or_in_a_wrong_collection_is_named_and_mended_where_it_belongs(
    app, database, projection, options
):
    stray = await database.orders_1.find_one({"_key": "k10"}) or await database.orders_0.find_one(
        {"_key": "k10"}
    )
    await database.orders_2.insert_one({**stray, "_id": "stray", "b": -1})
    await database.orders_1.delete_one({"_key": "k31"})
    await database.orders.update_one({"_key": "k99"}, {"$set": {"a": "broken"}})
    report = await verify(projection)
    assert {(found.kind, found.key) for found in report.differences} == {
        (Kind.EXTRA, "stray"),
        (Kind.MISSING, "k31"),
        (Kind.DIFFERENT, "k99"),
    }
    assert "a document in orders_2, and its key belongs into orders_0" in [
        found.reason for found in report.differences
    ]
    report = await verify(projection, repair=True)
    assert [found.key for found in report.differences] == ["stray"]
    await database.orders_2.delete_one({"_id": "stray"})
    assert (await verify(projection)).clean
    assert await everything(database) == expected()


async def test_keys_of_lost_deletes_are_removed_from_every_collection(
    app, database, topics, projection, options
):
    gone = {"orders_0": "k1000", "orders_1": "k1001", "orders": "k1009"}
    for offset, (name, key) in enumerate(gone.items()):
        source = {"t": options.topic, "p": 0, "o": offset, "n": offset}
        await database[name].insert_one({"_key": key, "_ts": 0, "_src": source, "b": key})
    await projection.collection.positions.mark_lost(options.topic, {0: Synced(1, 2)})
    async with projecting(app, database, options) as running:

        async def found():
            positions = await running.collection.positions.load_positions(options.topic)
            return positions[0].lost_since is None

        await eventually(found)
    assert await everything(database) == expected()


async def test_a_rebuild_removes_them_all_and_a_shadow_is_refused(app, database, topics, projection, options):
    with pytest.raises(ConfigurationError, match="collection_of"):
        await rebuild_in_shadow(projection)
    removed = await rebuild(projection)
    assert removed.documents == 100
    left = set(await database.list_collection_names()) & {*NAMES, "orders"}
    assert left == set()
    assert await database[TARGETS].count_documents({}) == 0
    await project(app, database, topics, options)
    assert await everything(database) == expected()


@pytest.mark.parametrize("first", [None, by_last_digit], ids=["added", "left out"])
async def test_what_it_leaves_behind_when_it_comes_or_goes_is_named_and_rebuilt(
    app, database, topics, options, first
):
    second = by_last_digit if first is None else None
    before, after = (replace(options, collection_of=function) for function in (first, second))
    await topics.send_all(options.topic, [(f"k{i}", {"a": 1, "b": i}) for i in range(30)])
    await project(app, database, topics, before)
    changed = make_projection(app, database, after)
    report = await verify(changed)
    assert report.extra > 0
    assert any("and its key belongs into" in found.reason for found in report.differences)
    assert (await rebuild(changed)).documents == 30
    report = await verify(await project(app, database, topics, after))
    assert report.clean, report.differences
    assert report.documents == 30
    assert sum(map(len, (await everything(database)).values())) == 30


async def test_versions_and_inserts_are_written_where_the_key_belongs(app, database, topics, unique):
    await topics.create(dlq_topic(unique), 1)
    topic = await topics.create(unique, 1)
    for version in (1, 3, 2):
        await topics.send_all(topic, [(f"k{i}", {"v": version}) for i in range(6)])
    await topics.send(topic, "k1", None)
    shared = {"topic": topic, "collection_of": by_last_digit, "size": 4, "window": 5}
    versioned = ChangelogOptions(collection="versioned", version_of="v", **shared)
    report = await verify(await project(app, database, topics, versioned))
    assert report.clean, report.differences
    assert {document["v"] for name in NAMES for document in (await live(database[name])).values()} == {3}

    for name in NAMES:
        await database[name].drop()
    inserted = ChangelogOptions(collection="inserted", write="insert", **shared)
    report = await verify(await project(app, database, topics, inserted))
    assert report.clean, report.differences
    assert [await database[name].count_documents({}) for name in NAMES] == [6, 7, 6]
