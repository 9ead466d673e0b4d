"""Lost history on the real broker: deletes that were gone before they were read, and a log that begins later."""

import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import GroupExpiredError, TopicRecreatedError
from prom_faust.lane.freshness import LEAST_WINDOW, Synced
from prom_faust.lane.record import TopicPartition
from prom_faust.sink.mend import exactly, marker_in_place
from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.verify import NotSettledError, verify
from tests.support.projection import applied, eventually, live, make_app, make_projection, projecting

SHORT = {
    "delete.retention.ms": "1000",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "200",
}
BOTH = {"cleanup.policy": "compact,delete"}
"""Records can be deleted from the begin of such a topic's log."""


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture
async def quick_cleaner(topics):
    """The broker's cleaner comes ten times a second instead of every 15 s."""
    await alter(topics, ConfigResourceType.BROKER, "1", **{"log.cleaner.backoff.ms": "100"})
    yield
    await alter(topics, ConfigResourceType.BROKER, "1")


async def alter(topics, kind, name, **config):
    responses = await topics.admin.alter_configs([ConfigResource(kind, name, configs=config)])
    assert [resource[0] for response in responses for resource in response.resources] == [0], responses


async def settled(projection, topics):
    ends = await topics.ends(projection.options.topic)
    await eventually(lambda: applied(projection, ends))


async def lost_since(projection):
    positions = await projection.collection.positions.load_positions(projection.options.topic)
    return positions[0].lost_since


async def made_good(projection):
    name = TopicPartition(projection.options.topic, 0)

    async def check():
        owned = name in projection.lane.partitions
        return owned and name not in projection.lane.losses.since and await lost_since(projection) is None

    await eventually(check)


async def begin_later(topics, topic, offset):
    await topics.admin.delete_records({KafkaPartition(topic, 0): RecordsToDelete(offset)})


async def test_a_delete_that_was_cleaned_away_during_an_outage_is_made_good(
    app, topics, unique, database, quick_cleaner, caplog
):
    topic = await topics.create(unique, 1, **SHORT)
    await topics.create(dlq_topic(topic), 1)
    options = ChangelogOptions(topic=topic, collection="c")
    await topics.send_all(topic, [("gone", {"a": 1}), ("kept", {"a": 2}), ("bad", {"a": 3})])
    async with projecting(app, database, options) as projection:
        await settled(projection, topics)
    stopped = time.monotonic()
    await topics.send_all(topic, [("gone", None), ("bad", b"{")])

    async def cleaned():
        await topics.send(topic, "filler", {"a": 0})  # only a segment that another one follows is cleaned
        away = time.monotonic() - stopped > LEAST_WINDOW / 1000
        return away and b"gone" not in [record.key for record in await topics.read(topic)]

    await eventually(cleaned, seconds=40, every=0.3)
    async with projecting(app, database, options) as projection:
        await made_good(projection)
        await settled(projection, topics)
        assert set(await live(database.c)) == {"kept", "bad", "filler"}
        marker = await database.c.find_one({"_key": "gone"})
        assert (marker["_deleted"], marker["_src"]["o"]) == (True, 0)
        assert (await verify(projection)).clean
    assert caplog.text.count("deletes of 1 partitions may have been missed") == 1
    assert caplog.text.count("1 documents without one are removed") == 1


async def lose(app, topics, database, options, gone, later):
    """A sink that has stopped, and a log that begins behind where it stopped, with these records."""
    topic = await topics.create(options.topic, 1, **BOTH)
    await topics.create(dlq_topic(topic), 1)
    await topics.send_all(topic, gone)
    async with projecting(app, database, options) as projection:
        await settled(projection, topics)
    await topics.send_all(topic, [("never seen", {"a": 0})])
    await begin_later(topics, topic, len(gone) + 1)
    await topics.send_all(topic, later)


async def test_a_log_that_begins_behind_the_applied_offset_is_made_good(app, topics, unique, database):
    unique_value = Index({"u": 1}, unique=True)
    options = ChangelogOptions(topic=unique, collection="c", indexes=[unique_value])
    gone = [("a", {"u": 1}), ("b", {"u": 2}), ("c", {"u": 3})]
    # What "d" waits for, a document has that the log does not explain any more.
    await lose(app, topics, database, options, gone, [("b", {"u": 2}), ("d", {"u": 1})])
    stopped = make_projection(app, database, options)
    assert await lost_since(stopped) is None
    async with projecting(app, database, options) as projection:
        await made_good(projection)
        await settled(projection, topics)
        assert {key: found["u"] for key, found in (await live(database.c)).items()} == {"b": 2, "d": 1}
        assert await topics.ends(dlq_topic(unique)) == {0: 0}
        assert (await verify(projection)).clean


async def test_a_sink_that_lags_for_longer_than_deletes_stand_is_made_good_while_it_runs(
    app, topics, unique, database, caplog
):
    topic = await topics.create(unique, 1, **{"delete.retention.ms": "1000"})
    await topics.create(dlq_topic(topic), 1)
    options = ChangelogOptions(topic=topic, collection="c", indexes=[Index({"u": 1}, unique=True)])
    async with projecting(app, database, options) as projection:
        await topics.send_all(topic, [("a", {"u": 1}), ("b", {"u": 1})])  # "b" waits for the value of "a"
        await eventually(told_of_loss(caplog))
        await topics.send(topic, "a", {"u": 2})
        await settled(projection, topics)
        await made_good(projection)
        assert {key: found["u"] for key, found in (await live(database.c)).items()} == {"a": 2, "b": 1}


def told_of_loss(caplog):
    async def check():
        return "deletes of 1 partitions may have been missed" in caplog.text

    return check


async def test_a_log_that_ends_in_the_marker_of_a_transaction_is_applied_to_its_end(
    app, topics, unique, database
):
    topic = await topics.create(unique, 1, **{"delete.retention.ms": "1000"})
    producer = AIOKafkaProducer(bootstrap_servers=topics.bootstrap, transactional_id=unique)
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"{}", key=b"a")
    finally:
        await producer.stop()
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:

        async def synced():
            found = (await projection.collection.positions.load_positions(topic)).get(0)
            return found is not None and found.synced is not None and found.synced.end == 2 and found

        assert (await eventually(synced)).applied == 1


async def test_what_was_begun_is_gone_on_with_until_it_is_done(app, topics, unique, database):
    options = ChangelogOptions(topic=unique, collection="c", size=1)
    pairs = [(f"k{i}", {}) for i in range(60)]
    await lose(app, topics, database, options, pairs, [("k7", {}), ("k8", b"{")])
    letters = dlq_topic(unique)
    await alter(topics, ConfigResourceType.TOPIC, letters, **{"max.message.bytes": "1"})
    # A letter that cannot be published holds the sink up, and it is not swept before all is applied.
    async with projecting(app, database, options) as projection:
        await eventually(lambda: stuck(projection))
    first = await lost_since(projection)
    assert first is not None
    assert len(await live(database.c)) == 60
    await alter(topics, ConfigResourceType.TOPIC, letters)
    async with projecting(app, database, options) as projection:
        await eventually(lambda: database.c.count_documents({"_deleted": True}), every=0.01)
    assert await lost_since(projection) in {first, None}  # stopped in the middle of the sweep, most often
    async with projecting(app, database, options) as projection:
        await made_good(projection)
    assert set(await live(database.c)) == {"k7", "k8"}


async def stuck(projection):
    return projection.lane.losses.since and any(each.error for each in projection.lane.partitions.values())


async def crash_of(projection):
    async def reason():
        return projection.lane.crash_reason

    return await eventually(reason)


async def test_a_recreated_topic_is_not_taken_for_one_that_lost_deletes(app, topics, unique, database):
    options = ChangelogOptions(topic=unique, collection="c")
    await lose(app, topics, database, options, [("a", {}), ("b", {})], [("c", {})])
    await topics.delete(unique)
    await topics.create(unique, 1, **BOTH)
    await topics.send_all(unique, [(f"new{i}", {}) for i in range(9)])
    await begin_later(topics, unique, 8)
    async with projecting(app, database, options) as projection:
        assert isinstance(await crash_of(projection), TopicRecreatedError | GroupExpiredError)
    assert await lost_since(projection) is None
    assert set(await live(database.c)) == {"a", "b"}


async def test_a_log_that_turns_out_to_be_another_one_takes_no_document_away(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    options = ChangelogOptions(topic=topic, collection="c")
    await topics.send_all(topic, [("a", {}), ("b", {})])
    # The lane looks every ten minutes: nothing but the reading itself can see it.
    async with projecting(app, database, options, history_interval=600.0) as projection:
        await settled(projection, topics)
        await database.c.update_one({"_key": "a"}, {"$set": {"_key": "unexplained"}})
        await projection.collection.positions.mark_lost(topic, {0: Synced(1, 2)})
        await database.get_collection("_prom_positions").update_one({}, {"$set": {"end": 10}})
        projection.lane.losses.since[TopicPartition(topic, 0)] = 1
        assert isinstance(await crash_of(projection), TopicRecreatedError)
    assert await lost_since(projection) == 1
    assert set(await live(database.c)) == {"unexplained", "b"}


async def test_a_document_that_was_written_again_since_it_was_read_stays(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    options = ChangelogOptions(topic=topic, collection="c")
    await topics.send_all(topic, [("a", {"x": 1}), ("b", {"x": 1})])
    async with projecting(app, database, options) as projection:
        await settled(projection, topics)
        (read,) = [batch async for batch in projection.collection.standing(topic, [0])]
        await topics.send(topic, "a", {"x": 2})
        await settled(projection, topics)
        mended = [
            (exactly(each), marker_in_place(each["_key"], each["_src"], None, deleted_at=1)) for each in read
        ]
        assert await projection.collection.replace_exactly(mended) == 1
        assert {key: found["x"] for key, found in (await live(database.c)).items()} == {"a": 2}
    await projection.collection.positions.mark_lost(topic, {0: Synced(1, 3)})
    with pytest.raises(NotSettledError, match="partitions 0 may hold deleted keys"):
        await verify(projection, wait=0)
