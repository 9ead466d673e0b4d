"""Hot keys: most documents are never encoded, and nothing is different but the cost."""

import pytest
from pydantic import BaseModel

from prom_faust.dlq.envelope import decode as decode_letter
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.verify import verify
from tests.support.projection import applied, eventually, live, make_app, make_projection, started


class Reading(BaseModel):
    a: int
    b: str = ""


WAYS = {
    "any JSON": {},
    "a model": {"model": Reading},
    "set": {"write": "set", "map": ["a", "b"]},
    "versions": {"version_of": "a"},
}


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.mark.parametrize("way", WAYS)
async def test_every_bad_record_is_dead_lettered_though_a_later_one_replaces_it(
    app, database, topics, unique, way
):
    await topics.create(dlq_topic(unique), 1)
    topic = await topics.create(unique, 1)
    await database.create_collection("c", validator={"b": {"$ne": "refused"}})
    records, bad = [], set()
    for number in range(600):
        value = {"a": number, "b": "x"}
        if number % 50 == 7:
            value = b'{"a": %d, "b": ' % number
        elif number % 50 == 8:
            value = b'{"a": %d}' % (2**70)
        elif number % 50 == 9:
            value = b'{"a": %d, "b": "\\ud800"}' % number
        if number % 50 in {7, 8, 9}:
            bad.add(number)
        records.append((f"k{number % 10}", value))
    records.append(("k0", None))
    records.append(("k1", {"a": 1_000, "b": "refused"}))  # the one before it stands
    bad.add(601)
    await topics.send_all(topic, records)
    options = ChangelogOptions(topic=topic, collection="c", window=100, **WAYS[way])
    projection = make_projection(app, database, options)
    projection.projector._needless = 1.0
    async with started(projection):
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends), seconds=40)
        assert projection.projector.stats.coalesced > 300
    letters = map(decode_letter, await topics.read(dlq_topic(topic)))
    assert {letter.record.offset for letter in letters} == bad
    report = await verify(projection)
    assert report.clean, report.differences
    expected = {
        f"k{key}": max(n for n in range(600) if n % 10 == key and n not in bad) for key in range(1, 10)
    }
    assert {key: document["a"] for key, document in (await live(database.c)).items()} == expected


async def test_a_function_that_says_another_thing_the_second_time_costs_its_own_record_only(
    app, database, topics, unique
):
    await topics.create(dlq_topic(unique), 1)
    topic = await topics.create(unique, 1)
    asked = set()

    def moody(event):
        if event["a"] == 7 and event["a"] in asked:
            raise ValueError("not again")
        asked.add(event["a"])
        return False

    await topics.send_all(topic, [("good", {"a": 1}), ("bad", {"a": 7})])
    projection = make_projection(
        app, database, ChangelogOptions(topic=topic, collection="c", tombstone=moody)
    )
    projection.projector._needless = 1.0
    async with started(projection):
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends), seconds=20)
    assert set(await live(database.c)) == {"good"}
    (letter,) = map(decode_letter, await topics.read(dlq_topic(topic)))
    assert letter.record.key == b"bad"
