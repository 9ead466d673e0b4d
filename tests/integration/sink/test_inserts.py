"""Documents that are likely new are inserted; where they are not new after all, nothing is different but the cost."""

import pytest
from pymongo import InsertOne

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.outcome import Verdict
from prom_faust.sink.plan import KeyPlan, plan_write
from prom_faust.sink.verify import verify
from tests.support.drivers import with_both_drivers
from tests.support.projection import applied, eventually, live, make_app, make_projection, projecting, started

NEW = 2_000
"""Enough to learn that they are new."""


class Always:
    """A sink that believes whatever it writes to be new, and counts what it has believed."""

    likely = True

    def __init__(self):
        self.seen = []

    def saw(self, written, new):
        self.seen.append((written, new))


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture
async def topic(topics, unique):
    await topics.create(dlq_topic(unique), 1)
    return await topics.create(unique, 2)


async def project(app, database, topics, options, *, novelty=None):
    projection = make_projection(app, database, options)
    if novelty is not None:
        projection.collection._novelty = novelty
    async with started(projection):
        ends = await topics.ends(options.topic)
        await eventually(lambda: applied(projection, ends), seconds=40)
    return projection


UNIQUE = Index({"b": 1}, unique=True)
WAYS = {
    "replace": {},
    "set": {"write": "set", "map": ["a", "b"]},
    "versions": {"version_of": "a"},
}


@pytest.mark.parametrize("way", WAYS)
@with_both_drivers
async def test_what_is_not_new_after_all_ends_as_ever(app, database, topics, topic, way):
    """Updates that keep their unique value, deletes, keys that come back, and what is delivered once more."""
    options = ChangelogOptions(topic=topic, collection="c", indexes=[UNIQUE], size=20, window=50, **WAYS[way])
    for value in (1, 2):
        await topics.send_all(topic, [(f"k{i}", {"a": value, "b": i}) for i in range(60)])
    await topics.send_all(topic, [(f"k{i}", None) for i in range(0, 60, 3)])
    await topics.send_all(topic, [(f"k{i}", {"a": 4, "b": i}) for i in range(0, 60, 6)])
    novelty = Always()
    projection = await project(app, database, topics, options, novelty=novelty)
    assert sum(new for _, new in novelty.seen) >= 60
    assert sum(written - new for written, new in novelty.seen) > 0
    report = await verify(projection)
    assert report.clean, report.differences
    assert (report.documents, report.letters) == (50, 0)

    before = await live(database.c)
    await projection.collection.positions.remove()
    again = ChangelogOptions(**{**_fields(options), "group": f"{app.conf.id}.again"})
    await project(app, database, topics, again, novelty=Always())
    assert await live(database.c) == before


def _fields(options):
    return {name: getattr(options, name) for name in options.__slots__}


async def test_a_backlog_of_new_documents_comes_to_be_inserted(app, database, topics, topic):
    options = ChangelogOptions(topic=topic, collection="c", size=300, window=600)
    await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(NEW)])
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends), seconds=40)
        assert projection.collection._novelty.likely
        report = await verify(projection)
    assert report.clean, report.differences
    assert all("_id" in document for document in (await live(database.c)).values())


def write_of(options, key, fields, offset):
    record = PlainRecord(options.topic, 0, offset, key=key.encode(), value=fields)
    change = decoder(options)(record)
    return plan_write(KeyPlan(key, [change]), None, versioned=False)


async def test_an_insert_that_is_refused_says_only_that_the_key_may_be_taken(database):
    """By its own key, or by a unique value: that of its own document, or another's."""
    options = ChangelogOptions(topic="t", collection="c", indexes=[UNIQUE])
    collection = Collection(Server(database, deadline=30), options, Always())
    await collection.prepare()
    first = [write_of(options, "k1", b'{"b": 1}', 0), write_of(options, "k2", b'{"b": 2}', 1)]
    assert await collection.write(first, now=0, may_insert=True) == []
    second = [
        write_of(options, "k1", b'{"b": 1, "a": 2}', 2),
        write_of(options, "k3", b'{"b": 2}', 3),
        write_of(options, "k4", b'{"$b": 2}', 4),
        write_of(options, "k5", b'{"b": 5}', 5),
    ]
    refused = await collection.write(second, now=0, may_insert=True)
    assert {(write.change.key, failure.verdict) for write, failure in refused} == {
        ("k1", Verdict.KEY_TAKEN),
        ("k3", Verdict.KEY_TAKEN),
    }
    refused = await collection.write([write for write, _ in refused], now=0)
    assert {(write.change.key, failure.verdict) for write, failure in refused} == {("k3", Verdict.UNIQUE)}
    assert set(await live(database.c)) == {"k1", "k2", "k4", "k5"}
    assert (await live(database.c))["k1"]["a"] == 2


ODD = [None, "text", ["import.csv"], {"n": "x"}, {"n": 1.5}, {"n": True}, [{"n": 1}], [{"n": 10**9}], {}]
"""What other writers have in a field ``_src`` of theirs."""


@pytest.mark.parametrize("way", [{}, {"version_of": "a"}], ids=["position", "version"])
@pytest.mark.parametrize("likely", [True, False], ids=["inserts", "upserts"])
async def test_a_document_of_another_writer_is_replaced_whatever_it_holds(
    app, database, topics, topic, likely, way
):
    options = ChangelogOptions(topic=topic, collection="c", **way)
    await database.c.insert_many([{"_key": f"k{n}", "_src": odd, "theirs": 1} for n, odd in enumerate(ODD)])
    await database.c.insert_many([{"_key": "v", "_v": "x", "_src": {"n": 0}}, {"_key": "none", "theirs": 1}])
    keys = [*(f"k{n}" for n in range(len(ODD))), "none", "new", "v"]
    await topics.send_all(topic, [(key, {"a": 5}) for key in keys], 0)
    novelty = Always()
    novelty.likely = likely
    projection = await project(app, database, topics, options, novelty=novelty)
    report = await verify(projection)
    assert report.clean, report.differences
    assert (report.documents, report.letters) == (len(keys), 0)


def test_a_tombstone_and_what_a_read_has_decided_are_never_inserted():
    options = ChangelogOptions(topic="t", collection="c")
    collection = Collection(Server(_NoDatabase(), deadline=1), options, Always())
    tombstone = write_of(options, "k", None, 1)
    assert not isinstance(collection._operation(tombstone, 0, insert=True), InsertOne)
    live_one = write_of(options, "k", b'{"a": 1}', 1)
    assert isinstance(collection._operation(live_one, 0, insert=True), InsertOne)
    exact = type(live_one)(live_one.plan, live_one.change, live_one.filter, None, exact=True)
    assert not isinstance(collection._operation(exact, 0, insert=True), InsertOne)


class _NoDatabase:
    def get_collection(self, *_, **__):
        return None
