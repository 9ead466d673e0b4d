"""Keys, values and ways of writing, on real servers."""

import bson
import orjson
import pytest

from prom_faust.dlq.envelope import decode as decode_letter
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import DocumentError
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder
from prom_faust.sink.document import MAX_DOCUMENT_BYTES
from prom_faust.sink.key import checked_key
from prom_faust.sink.mongo import Collection
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.plan import KeyPlan, plan_write
from prom_faust.sink.verify import Kind, verify
from tests.support.projection import applied, eventually, make_app, make_projection, projecting

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


async def project(app, database, topics, options):
    """Apply the topic to its end and stop."""
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(options.topic)
        await eventually(lambda: applied(projection, ends), seconds=30)
    return make_projection(app, database, options)


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
    stood = await projection.collection.read(map(checked_key, KEYS))
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
    collection = Collection(database, options, deadline=30)
    await collection.ensure_indexes()
    assert await collection.write([write_of(options, "large", {"a": ""})], now=0) == []
    room = MAX_DOCUMENT_BYTES - len(bson.encode(await database.c.find_one()))
    writes = [write_of(options, "large", {"a": "x" * room}, 1), write_of(options, "good", {"a": 1}, 2)]
    assert await collection.write(writes, now=0) == []
    assert len(bson.encode(await database.c.find_one({"_key": "large"}))) == MAX_DOCUMENT_BYTES
    assert await database.c.count_documents({"_key": "good"}) == 1
    with pytest.raises(DocumentError, match="16 MiB"):
        write_of(options, "large", {"a": "x" * (room + 1)}, 3)
