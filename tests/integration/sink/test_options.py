"""Keys, values and ways of writing, on real servers."""

import dataclasses

import bson
import orjson
import pytest
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from prom_faust.dlq.envelope import decode as decode_letter
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import DocumentError
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder
from prom_faust.sink.document import MAX_DOCUMENT_BYTES
from prom_faust.sink.key import checked_key
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.plan import KeyPlan, plan_write
from prom_faust.sink.verify import Kind, verify
from tests.support.projection import applied, eventually, make_app, project, projecting

KEYS = [
    *("a", "", "1", "a\0b", "k" * 100_000),
    *(1, 0, -(2**63), 2**63 - 1, 0.5, 1e300),
    *(True, False),
    *({}, {"a": 1}, {"a": True}, {"a": {"b": None}}, {"a": [1, 2]}, {"a.b": 1}, {"a": 1, "b": 2}),
]


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture
async def topic(topics, unique):
    await topics.create(dlq_topic(unique), 1)
    return await topics.create(unique, 1)


@pytest.mark.parametrize("write", [{}, {"write": "set", "map": ["x"]}], ids=["replace", "set"])
async def test_a_key_is_any_json_value(app, database, topics, topic, write):
    options = ChangelogOptions(topic=topic, collection="c", record_key="json", window=7, **write)
    for value in ("old", "new"):
        await topics.send_all(
            topic, [(orjson.dumps(key).decode(), {"x": [value, number]}) for number, key in enumerate(KEYS)]
        )
    gone = [{"a": 1}, True, 0.5]
    await topics.send_all(topic, [(orjson.dumps(key).decode(), None) for key in gone])
    removed = set(map(checked_key, gone))
    projection = await project(app, database, topics, options)
    for number, key in enumerate(KEYS):
        found = await database.c.find({"_key": {"$eq": key}, "_deleted": None}).to_list()
        expected = [] if checked_key(key) in removed else [["new", number]]
        assert [document["x"] for document in found] == expected, repr(key)[:40]
    report = await verify(projection)
    assert report.clean, report.differences
    stood = await projection.collection.read(projection.collection.documents, list(map(checked_key, KEYS)))
    assert {key for key, stored in stood.items() if stored.deleted} == removed
    assert len(stood) == len(KEYS)


async def test_the_document_of_an_object_in_another_order_is_named(app, database, topics, topic):
    options = ChangelogOptions(topic=topic, collection="c", key_of=["b", "a"], record_key="json")
    await topics.send(topic, b'{"a": 1, "b": 2}', {"a": 1, "b": 2})
    projection = await project(app, database, topics, options)
    assert [list(document["_key"]) for document in await database.c.find().to_list()] == [["b", "a"]]
    await database.c.insert_one({"_key": {"a": 1, "b": 2}})
    report = await verify(projection)
    assert [(found.kind, list(found.key)) for found in report.differences] == [(Kind.EXTRA, ["a", "b"])]
    assert report.as_json()["differences"][0]["key"] == {"a": 1, "b": 2}


def nested(levels, opening=b'{"a":', closing=b"}"):
    return opening * levels + b"1" + closing * levels


STORED = {
    "dollar": b'{"$a": 1, "b": {"$c": [{"$set": 1}], "$ref": 2}}',
    "dot": b'{"a.b": {"c.d": 1, ".": 2}}',
    "empty name": b'{"": {"": 1}}',
    "inner id": b'{"a": {"_id": 1, "_key": 2, "_deleted": true}}',
    "integers": b'{"a": [9223372036854775807, -9223372036854775808, 2147483648, 0]}',
    "floats": b'{"a": [1.7976931348623157e308, -5e-324, 1.0, 1e5, 0.1, 9007199254740993.0]}',
    "digits as text": b'{"a": "123456789012345678901234567890"}',
    "100 levels": nested(100),
    "100 levels of arrays": b'{"a": ' + nested(99, b"[", b"]") + b"}",
    "text": b'{"a": "\\u0000 \\ud83d\\ude00 \\uffff"}',
    "two fields of one name": b'{"a": 1, "b": 2, "a": 3}',
    "long name": b'{"%b": 1}' % (b"n" * 100_000),
}
REFUSED = {
    "above int64": (b'{"a": 9223372036854775808}', "8-byte ints"),
    "above uint64": (b'{"a": [18446744073709551616]}', "8-byte ints"),
    "below int64": (b'{"a": {"b": -9223372036854775809}}', "8-byte ints"),
    "very long integer": (b'{"a": 1%b}' % (b"0" * 400), "infinity"),
    "above every float": (b'{"a": 1e309}', "infinity"),
    "nan": (b'{"a": NaN}', "not JSON"),
    "101 levels": (nested(101), "nests deeper than MongoDB's 100 levels"),
    "1000 levels": (nested(1_000), "recursion"),
    "5000 levels": (nested(5_000), "depth limit"),
    "lone surrogate": (b'{"a": "\\ud800"}', "surrogate"),
    "surrogate bytes": (b'{"a": "\xed\xa0\x80"}', "UTF-8"),
    "null in a name": (b'{"a\\u0000": 1}', "NULL"),
    "null in an inner name": (b'{"a": {"\\u0000b": 1}}', "NULL"),
    "an id of its own": (b'{"_id": 1}', "_id"),
}


@pytest.mark.parametrize("write", ["replace", "set"])
async def test_every_value_is_stored_right_or_dead_lettered_with_the_reason(
    app, database, topics, topic, write
):
    # "set" writes known fields only: there every case is the value of one.
    whole = write == "replace"
    options = ChangelogOptions(
        topic=topic, collection="c", window=9, write=write, map=None if whole else ["a", "b"]
    )
    stored = {key: value for key, value in STORED.items() if whole or b'{"a":' in value[:5]}
    refused = {
        key: case
        for key, case in REFUSED.items()
        if whole or key not in {"null in a name", "an id of its own"}
    }
    values = stored | {key: value for key, (value, _) in refused.items()}
    for value in (b'{"a": 0}', None):
        await topics.send_all(topic, [(key, value or values[key]) for key in values])
    await project(app, database, topics, options)

    documents = {document["_key"]: document for document in await database.c.find().to_list()}
    for key in values:
        fields = {
            name: documents[key][name]
            for name in documents[key]
            if name not in {"_id", "_key", "_ts", "_src"}
        }
        expected = orjson.loads(stored[key]) if key in stored else {"a": 0}
        assert (key, repr(fields)) == (key, repr(expected))
    letters = {
        letter.record.key.decode(): letter.message
        for letter in map(decode_letter, await topics.read(dlq_topic(topic)))
    }
    assert letters.keys() == refused.keys()
    for key, (_, reason) in refused.items():
        assert reason in letters[key], key


def write_of(options, key, fields, offset=0):
    change = decoder(options)(PlainRecord("t", 0, offset, key=key.encode(), value=orjson.dumps(fields)))
    return plan_write(KeyPlan(key, [change]), None, versioned=False)


async def test_a_document_of_16_mib_is_stored_beside_another(database):
    options = ChangelogOptions(topic="t", collection="c")
    collection = Collection(Server(database, deadline=30), options)
    await collection.prepare()
    assert await collection.write([write_of(options, "large", {"a": ""})], now=0) == []
    room = MAX_DOCUMENT_BYTES - len(bson.encode(await database.c.find_one()))
    writes = [write_of(options, "large", {"a": "x" * room}, 1), write_of(options, "good", {"a": 1}, 2)]
    assert await collection.write(writes, now=0) == []
    assert len(bson.encode(await database.c.find_one({"_key": "large"}))) == MAX_DOCUMENT_BYTES
    assert await database.c.count_documents({"_key": "good"}) == 1
    with pytest.raises(DocumentError, match="16 MiB"):
        write_of(options, "large", {"a": "x" * (room + 1)}, 3)


@pytest.fixture
async def history(app, database, topics, unique):
    """A topic that is not compacted, and its append-only projection, applied."""
    await topics.create(dlq_topic(unique), 1)
    topic = await topics.create(unique, 2, **{"cleanup.policy": "delete"})
    for number in range(20):
        key = None if number % 5 == 0 else f"k{number % 3}"
        await topics.send(topic, key, {"x": number}, partition=number % 2)
    await topics.send(topic, "k1", None, partition=0)
    await topics.send(topic, "k1", b"[", partition=0)
    options = ChangelogOptions(topic=topic, collection="h", write="insert", indexes=["x"], size=3)
    return await project(app, database, topics, options)


async def test_every_record_is_inserted_once_however_often_it_is_delivered(app, database, topics, history):
    documents = await database.h.find({"x": {"$exists": True}}).sort("x", 1).to_list()
    assert [document["x"] for document in documents] == list(range(20))
    assert [document["_key"] for document in documents[:5]] == [None, "k1", "k2", "k0", "k1"]
    assert documents[3]["_id"] == {"t": history.options.topic, "p": 1, "o": 1}
    assert [document["_key"] for document in await database.h.find({"_deleted": True}).to_list()] == ["k1"]

    before = await database.h.find().sort("_id", 1).to_list()
    await history.collection.positions.remove()
    again = dataclasses.replace(history.options, group=f"{app.conf.id}.again")
    async with projecting(app, database, again) as projection:
        ends = await topics.ends(again.topic)
        await eventually(lambda: applied(projection, ends), seconds=30)
        assert (projection.projector.stats.stale, projection.projector.stats.writes) == (21, 0)
        assert await projection.sweep() == 0
    assert await database.h.find().sort("_id", 1).to_list() == before


async def test_an_append_only_collection_is_verified_record_by_record(database, topics, history):
    report = await verify(history)
    assert report.clean, report.differences
    assert (report.records, report.keys, report.documents, report.dead) == (22, 21, 21, 1)

    topic = history.options.topic
    await topics.admin.delete_records({KafkaPartition(topic, 1): RecordsToDelete(before_offset=4)})
    report = await verify(history)
    assert report.clean, report.differences
    assert (report.records, report.retained) == (18, 4)

    await database.h.delete_one({"x": 10})
    await database.h.update_one({"x": 12}, {"$set": {"x": 120}})
    dead = {"t": topic, "p": 0, "o": 11}
    await database.h.insert_one({"_id": dead, "_key": "k1", "_src": {**dead, "n": 11}, "x": 1})
    await database.h.insert_one({"_id": "foreign", "_key": "k1"})
    report = await verify(history)
    assert {(found.kind, found.key) for found in report.differences if found.kind is not Kind.RETAINED} == {
        (Kind.MISSING, 5),
        (Kind.DIFFERENT, 6),
        (Kind.EXTRA, 11),
        (Kind.EXTRA, "foreign"),
    }
