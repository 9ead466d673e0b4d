"""A snapshot is the fold of its topic; replaying it sets nothing back and brings nothing back."""

import asyncio

import pytest

from prom_faust.dlq.envelope import DeadLetter, State, dlq_topic
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import ConfigurationError, TopicError
from prom_faust.lane.record import PlainRecord
from prom_faust.publish.gate import Gate
from prom_faust.publish.rules import Rules
from prom_faust.schema.registry import SchemaRegistry
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.replay import Outcome
from prom_faust.sink.snapshot import replay_snapshot, snapshot, snapshot_topic
from prom_faust.sink.verify import verify
from tests.support.projection import applied, eventually, live, make_app, make_projection, started

GATE = Gate(SchemaRegistry(), Rules())


def silent(*_):
    pass


class Case:
    def __init__(self, projection, topics, database):
        self.projection, self.topics, self.database = projection, topics, database
        self.topic = projection.options.topic
        self.copies = snapshot_topic(self.topic)

    async def take(self):
        return await snapshot(
            self.projection, GATE, self.projection.settings, to=self.copies, progress=silent
        )

    async def replay(self, **options):
        outcome = Outcome()
        await replay_snapshot(self.projection, self.copies, outcome, progress=silent, **options)
        return dict(outcome.counts), outcome

    async def settled(self):
        ends = await self.topics.ends(self.topic)
        await eventually(lambda: applied(self.projection, ends))


@pytest.fixture
def make(tmp_path, kafka, unique, topics, database):
    async def make(**options):
        await topics.create(unique, 2)
        await topics.create(dlq_topic(unique), 1, **{"cleanup.policy": "delete"})
        app = make_app(unique, kafka.url, tmp_path)
        options = ChangelogOptions(topic=unique, collection="c", **options)
        return Case(make_projection(app, database, options), topics, database)

    return make


async def test_it_holds_the_last_record_of_every_live_key_and_where_it_stood(make, topics):
    case = await make()
    await topics.send(case.topic, "a", {"v": 1})
    last = await topics.send(case.topic, "a", {"v": 2}, headers={"x-schema-version": b"1"}, timestamp=77)
    await topics.send(case.topic, "b", {"v": 1})
    await topics.send(case.topic, "b", None)
    await topics.send(case.topic, "c", b"no json")
    taken = await case.take()
    assert (taken.records, taken.read) == (1, 5)
    (copy,) = await topics.read(case.copies)
    assert (copy.key, copy.value, copy.partition) == (b"a", b'{"v":2}', last.partition)
    headers = dict(copy.headers)
    assert headers["x-schema-version"] == b"1"
    source = [headers[f"x-source-{name}"] for name in ("topic", "partition", "offset", "timestamp")]
    assert source == [case.topic.encode(), *(b"%d" % n for n in (last.partition, last.offset, 77))]


async def test_a_replayed_letter_is_in_it_with_its_mended_value(make, topics):
    case = await make()
    bad = await topics.send(case.topic, "a", b"no json")
    mended = PlainRecord(case.topic, bad.partition, bad.offset, bad.timestamp, b"a", b'{"mended":true}')
    letter = DeadLetter(mended, case.projection.group, "E", "m", state=State.REPLAYED)
    publisher = DeadLetterPublisher(case.projection.clients)
    assert await publisher.publish([letter]) == [None]
    await publisher.close()
    assert (await case.take()).records == 1
    (copy,) = await topics.read(case.copies)
    assert copy.value == b'{"mended":true}'


async def test_a_replay_that_finds_a_rebuild_in_its_swap_waits_for_its_end(make, topics, database):
    case = await make()
    await topics.send(case.topic, "a", {"v": 1})
    await case.take()
    rebuilds = database["_prom_rebuilds"]
    await rebuilds.insert_one({"_id": "c", "topic": case.topic, "redo": {"0": 0}})
    replay = asyncio.create_task(case.replay())
    await asyncio.sleep(1.5)
    assert not replay.done()
    assert await live(database.c) == {}
    await rebuilds.update_one({"_id": "c"}, {"$unset": {"redo": ""}, "$inc": {"swaps": 1}})
    counts, _ = await replay
    assert counts == {"applied": 1}
    assert set(await live(database.c)) == {"a"}


@pytest.mark.parametrize("options", [{}, {"version_of": "v"}], ids=["by position", "by version"])
async def test_replayed_under_live_traffic_it_sets_nothing_back(make, topics, database, options):
    case = await make(**options)
    keys = [f"k{number}" for number in range(30)]
    versions = iter(range(1, 1_000_000))

    async def send(key, *, delete=False):
        await topics.send(case.topic, key, None if delete else {"v": next(versions)})

    for key in keys:
        await send(key)
    await case.take()
    stop = asyncio.Event()

    async def traffic():
        number = 0
        while not stop.is_set():
            number += 1
            await send(keys[number % 20], delete=number % 3 == 0)

    async with started(case.projection):
        await case.settled()
        await database.c.delete_many({"_key": {"$in": keys[20:]}})  # what the snapshot is to bring
        sending = asyncio.create_task(traffic())
        counts, _ = await case.replay(rate=60)
        stop.set()
        await sending
        await case.settled()
        report = await verify(case.projection)
        assert report.clean, report.differences
        assert counts["applied"] >= 10
        assert sum(counts.values()) == 30
        assert set(keys[20:]) <= set(await live(database.c))


async def test_one_older_than_its_tombstones_stand_is_refused(make, topics, database):
    case = await make()
    await topics.send(case.topic, "a", {"v": 1})
    await case.take()
    await topics.configure(case.topic, **{"cleanup.policy": "compact", "delete.retention.ms": "1"})
    counts, outcome = await case.replay()
    assert counts == {"too old": 1}
    assert "delete.retention.ms" in outcome.shown[0].reason
    assert await live(database.c) == {}


async def test_a_record_that_is_no_copy_is_refused_and_a_null_passed_over(make, topics):
    case = await make()
    await topics.create(case.copies, 1)
    await topics.send(case.copies, "a", {"v": 1})
    await topics.send(case.copies, "b", None)
    counts, outcome = await case.replay()
    assert counts == {"refused": 1}
    assert "x-source-topic" in outcome.shown[0].reason


async def test_copies_of_another_topic_are_refused(make, topics):
    case = await make()
    await topics.create(case.copies, 1)
    source = {"headers": 0, "topic": "other", "partition": 0, "offset": 0, "timestamp": 1}
    headers = {f"x-source-{name}": str(value).encode() for name, value in source.items()}
    await topics.send(case.copies, "a", {"v": 1}, headers={**headers, "x-snapshot-at": b"1"})
    counts, outcome = await case.replay()
    assert counts == {"refused": 1}
    assert "of topic other" in outcome.shown[0].reason


async def test_a_topic_that_is_not_there_is_said(make):
    case = await make()
    with pytest.raises(TopicError, match="there is no topic"):
        await case.replay()


async def test_a_topic_is_no_snapshot_of_itself(make):
    case = await make()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        await snapshot(case.projection, GATE, case.projection.settings, to=case.topic, progress=silent)
