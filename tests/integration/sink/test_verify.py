"""Verification on real servers: a collection is broken on purpose, and each break is named."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from prom_faust.dlq.envelope import DeadLetter, State, dlq_topic
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import TopicError, UnreachableError
from prom_faust.lane.record import PlainRecord
from prom_faust.local import free_port
from prom_faust.sink.decode import decoder
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.plan import KeyPlan, plan_write
from prom_faust.sink.rebuild import rebuild
from prom_faust.sink.verify import Kind, NotSettledError, verify
from tests.support.drivers import with_both_drivers
from tests.support.projection import make_app, make_projection, project, projecting


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture
async def topic(topics, unique):
    await topics.create(dlq_topic(unique), 2, **{"cleanup.policy": "delete"})
    return await topics.create(unique, 2)


@pytest.fixture
async def projection(app, database, topics, topic):
    await topics.send_all(topic, [(f"k{i % 40}", {"a": i, "b": {"c": [i]}}) for i in range(400)])
    await topics.send_all(topic, [(f"k{i}", None) for i in range(5)])
    await topics.send_all(topic, [(f"k{i}", b"{not json") for i in range(10, 13)])
    return await project(app, database, topics, ChangelogOptions(topic=topic, collection="c"))


async def found(projection):
    report = await verify(projection)
    assert not report.clean
    return {(difference.kind, difference.key) for difference in report.differences}


@with_both_drivers
async def test_a_projected_collection_equals_its_topic(projection):
    report = await verify(projection)
    assert report.clean, report.differences
    assert (report.records, report.letters, report.dead) == (408, 3, 3)
    assert (report.keys, report.documents, report.markers) == (35, 35, 5)
    assert report.differences == ()


async def test_progress_names_each_step(projection):
    stages = []
    await verify(projection, progress=lambda stage, done, total: stages.append(stage))
    assert set(stages) == {"reading the topic", "reading dead letters", "folding", "comparing"}


@with_both_drivers
async def test_a_removed_document_is_missing(projection, database):
    await database.c.delete_one({"_key": "k20"})
    assert await found(projection) == {(Kind.MISSING, "k20")}


@with_both_drivers
async def test_an_added_document_is_extra(projection, database):
    source = {"t": projection.options.topic, "p": 0, "o": 1, "n": 1}
    await database.c.insert_one({"_key": "k99", "a": 1, "_ts": 1, "_src": source})
    assert await found(projection) == {(Kind.EXTRA, "k99")}


async def test_a_foreign_document_is_extra(projection, database):
    result = await database.c.insert_one({"hello": "world"})
    assert await found(projection) == {(Kind.EXTRA, str(result.inserted_id))}


async def test_a_changed_field_is_different_and_both_values_are_named(projection, database):
    await database.c.update_one({"_key": "k20"}, {"$set": {"b.c": ["changed"]}})
    (difference,) = (await verify(projection)).differences
    assert (difference.kind, difference.key) == (Kind.DIFFERENT, "k20")
    assert difference.reason == "b: expected {'c': [380]}, found {'c': ['changed']}"


async def test_a_changed_position_is_different(projection, database):
    await database.c.update_one({"_key": "k20"}, {"$inc": {"_src.n": -1}})
    assert await found(projection) == {(Kind.DIFFERENT, "k20")}


async def test_a_resurrected_document_is_extra(projection, database):
    await database.c.update_one(
        {"_key": "k3"}, {"$unset": {"_deleted": 1, "_deleted_at": 1}, "$set": {"a": 3}}
    )
    assert await found(projection) == {(Kind.EXTRA, "k3")}


async def test_a_document_at_an_older_record_is_different(projection, database, topics):
    older = next(r for r in await topics.read(projection.options.topic) if r.key == b"k20")
    change = decoder(projection.options)(older)
    await database.c.delete_one({"_key": "k20"})
    write = plan_write(KeyPlan("k20", [change]), None, versioned=False)
    assert await projection.collection.write([write], now=0) == []
    assert await found(projection) == {(Kind.DIFFERENT, "k20")}


async def test_a_position_that_the_log_never_reached_is_different(projection, database):
    await database.c.update_one({"_key": "k20"}, {"$set": {"_src.n": 1 << 40}})
    assert await found(projection) == {(Kind.DIFFERENT, "k20")}


async def test_every_difference_is_counted_and_the_first_are_named(projection, database):
    await database.c.delete_many({"_deleted": {"$exists": False}})
    report = await verify(projection)
    assert report.missing == 35
    assert len(report.differences) == 20


async def test_poison_without_its_letter_is_named(projection, topics):
    letters = dlq_topic(projection.options.topic)
    ends = await topics.ends(letters)
    await topics.admin.delete_records(
        {KafkaPartition(letters, number): RecordsToDelete(end) for number, end in ends.items() if end}
    )
    assert await found(projection) == {(Kind.POISON, f"k{i}") for i in range(10, 13)}


async def test_a_replayed_letter_counts_at_its_position(projection, topics, app):
    bad = next(r for r in await topics.read(projection.options.topic) if r.value == b"{not json")
    fixed = PlainRecord(bad.topic, bad.partition, bad.offset, bad.timestamp, bad.key, b'{"a": "fixed"}')
    letter = DeadLetter(fixed, projection.group, "E", "m", state=State.REPLAYED)
    publisher = DeadLetterPublisher(projection.lane.clients)
    assert await publisher.publish([letter]) == [None]
    await publisher.close()
    assert await found(projection) == {(Kind.DIFFERENT, bad.key.decode())}
    change = decoder(projection.options)(fixed)
    write = plan_write(KeyPlan(change.key, [change]), None, versioned=False)
    assert await projection.collection.write([write], now=0) == []
    assert (await verify(projection)).clean


async def test_letters_of_another_group_do_not_count(projection, topics):
    good = [r for r in await topics.read(projection.options.topic) if r.key == b"k20"][-1]
    publisher = DeadLetterPublisher(projection.lane.clients)
    assert await publisher.publish([DeadLetter(good, "another", "E", "m")]) == [None]
    await publisher.close()
    report = await verify(projection)
    assert (report.clean, report.letters) == (True, 3)


async def clean_away(topics, topic, before):
    """What the cleaner does to the older records of a key, done at once."""
    await topics.admin.delete_records({KafkaPartition(topic, 0): RecordsToDelete(before)})


async def test_a_document_outlives_its_record_when_a_dead_letter_replaced_it(app, database, topics, unique):
    await topics.create(dlq_topic(unique), 1)
    await topics.create(unique, 1, **{"cleanup.policy": "compact,delete"})
    await topics.send_all(unique, [("a", {"x": 1}), ("a", b"{")])
    projection = await project(app, database, topics, ChangelogOptions(topic=unique, collection="c"))
    await clean_away(topics, unique, 1)
    report = await verify(projection)
    assert (report.clean, report.retained, report.records) == (True, 1, 1)
    assert report.differences[0].kind is Kind.RETAINED


async def test_a_document_outlives_its_record_when_a_lower_version_replaced_it(app, database, topics, unique):
    await topics.create(dlq_topic(unique), 1)
    await topics.create(unique, 1, **{"cleanup.policy": "compact,delete"})
    await topics.send_all(
        unique, [("a", {"v": 7}), ("b", {"v": 7}), ("b", None), ("a", {"v": 3}), ("b", {"v": 3})]
    )
    options = ChangelogOptions(topic=unique, collection="c", version_of="v")
    projection = await project(app, database, topics, options)
    assert (await verify(projection)).clean
    await clean_away(topics, unique, 3)
    report = await verify(projection)
    assert (report.clean, report.retained, report.documents) == (True, 2, 1)


async def test_versions_decide_and_nulls_inherit(app, database, topics, topic):
    states = [{"v": 3}, {"v": 9}, None, {"v": 5}, {"v": 9}, {"v": 10}, {"v": 10, "late": True}]
    pairs = [(f"k{i}", state) for i in range(len(states)) for state in states[: i + 1]]
    await topics.send_all(topic, pairs)
    options = ChangelogOptions(topic=topic, collection="c", version_of="v")
    report = await verify(await project(app, database, topics, options))
    assert report.clean, report.differences
    assert (report.keys, report.markers) == (4, 3)


async def test_fields_of_other_writers_are_free(app, database, topics, topic):
    await topics.send(topic, "a", {"x": 1, "y": 2})
    options = ChangelogOptions(topic=topic, collection="c", map=["x", "y", "z"], write="set")
    projection = await project(app, database, topics, options)
    await database.c.update_one({"_key": "a"}, {"$set": {"theirs": 1}})
    assert (await verify(projection)).clean
    await database.c.update_one({"_key": "a"}, {"$set": {"z": 1}})
    assert await found(projection) == {(Kind.DIFFERENT, "a")}


async def test_integer_keys_are_keys(app, database, topics, topic):
    await topics.send_all(topic, [(str(i), {"x": i}) for i in range(10)])
    options = ChangelogOptions(topic=topic, collection="c", record_key="json")
    projection = await project(app, database, topics, options)
    await database.c.delete_one({"_key": 3})
    assert await found(projection) == {(Kind.MISSING, 3)}


async def test_a_log_that_ends_in_an_aborted_transaction_is_read_to_its_end(projection, topics, unique):
    producer = AIOKafkaProducer(bootstrap_servers=topics.bootstrap, transactional_id=unique)
    await producer.start()
    try:
        await producer.begin_transaction()
        for partition in range(2):
            await producer.send_and_wait(unique, b'{"a": -1}', key=b"k20", partition=partition)
        await producer.abort_transaction()
    finally:
        await producer.stop()
    report = await verify(projection, wait=0)
    assert (report.clean, report.records) == (True, 408)


async def test_a_sink_that_lags_is_not_verified(projection, topics):
    sent = await topics.send(projection.options.topic, "k20", {"a": "new"})
    with pytest.raises(NotSettledError, match="is not settled") as caught:
        await verify(projection, wait=0)
    assert caught.value.lag == {sent.partition: 1}


async def test_a_topic_that_is_not_there_is_named(app, database, unique):
    with pytest.raises(TopicError, match="there is no topic"):
        await verify(make_projection(app, database, ChangelogOptions(topic=unique, collection="c")))


async def test_an_unreachable_broker_is_named(database, tmp_path, unique):
    app = make_app(unique, f"kafka://127.0.0.1:{free_port()}", tmp_path)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1"):
        await verify(make_projection(app, database, ChangelogOptions(topic=unique, collection="c")))


async def test_what_changes_meanwhile_is_no_difference(app, database, topics, topic):
    await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(200)])
    stop = asyncio.Event()

    async def produce():
        count = 0
        while not stop.is_set():
            count += 1
            value = None if count % 3 == 0 else {"a": count}
            await topics.send(topic, f"k{count % 250}", value)

    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
        producing = asyncio.create_task(produce())
        try:
            for _ in range(3):
                report = await verify(projection)
                assert report.clean, report.differences
        finally:
            stop.set()
            await producing


@with_both_drivers
async def test_a_rebuild_starts_over(projection, app, database, topics):
    await database.c.update_many({}, {"$set": {"a": "broken"}})
    removed = await rebuild(projection)
    assert (removed.documents, removed.positions, removed.offsets) == (40, 2, 2)
    assert await topics.committed(projection.group, projection.options.topic) == {}
    again = await project(app, database, topics, projection.options)
    report = await verify(again)
    assert (report.clean, report.keys) == (True, 35)
