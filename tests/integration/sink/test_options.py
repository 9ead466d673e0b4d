"""Keys, values and ways of writing, on real servers."""

import orjson
import pytest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.sink.key import checked_key
from prom_faust.sink.options import ChangelogOptions
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
