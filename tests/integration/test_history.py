"""Lost history on the real broker: a sink that would be silently stale stops with a named error instead."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.admin import DeleteGroupsRequest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import (
    GroupExpiredError,
    PartitionCountError,
    PositionLostError,
    TopicRecreatedError,
)
from prom_faust.sink.options import ChangelogOptions
from tests.support.drivers import with_both_drivers
from tests.support.projection import applied, eventually, make_app, projecting


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


async def crash_of(projection, *, seconds=25.0):
    """The error with which the lane stops the worker."""

    async def reason():
        return projection.lane.crash_reason

    return await eventually(reason, seconds=seconds)


async def project_some(app, topics, topic, database, count=20):
    options = ChangelogOptions(topic=topic, collection="c")
    await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(count)])
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
    return options


async def recreate(topics, topic, count, partitions=1):
    await topics.delete(topic)
    await topics.create(topic, partitions)
    await topics.send_all(topic, [(f"k{i}", {"b": i}) for i in range(count)])


@pytest.mark.parametrize("count", [5, 50], ids=["shorter", "longer"])
async def test_a_topic_recreated_while_the_worker_is_stopped(app, topics, unique, database, count):
    topic = await topics.create(unique, 1)
    options = await project_some(app, topics, topic, database)
    await recreate(topics, topic, count)
    async with projecting(app, database, options) as projection:
        error = await crash_of(projection)
    assert isinstance(error, TopicRecreatedError | GroupExpiredError)
    assert "recreated" in str(error)
    assert "sink rebuild c" in str(error)
    assert await database.c.count_documents({"b": {"$exists": True}}) == 0


@pytest.mark.parametrize("count", [5, 50], ids=["shorter", "longer"])
async def test_a_topic_recreated_under_a_running_worker(app, topics, unique, database, count):
    topic = await topics.create(unique, 1)
    options = ChangelogOptions(topic=topic, collection="c")
    await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(20)])
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
        await recreate(topics, topic, count)
        error = await crash_of(projection)
    assert isinstance(error, TopicRecreatedError | GroupExpiredError)
    assert "recreated" in str(error)
    assert "sink rebuild c" in str(error)


async def test_a_recreated_topic_is_seen_by_its_timestamps_even_if_offsets_fit(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    options = await project_some(app, topics, topic, database)
    group = f"{unique}.changelog:c"
    await recreate(topics, topic, 50)
    await commit(topics, group, topic, 20)
    async with projecting(app, database, options) as projection:
        error = await crash_of(projection)
    assert isinstance(error, TopicRecreatedError)
    assert "timestamp" in str(error)


async def commit(topics, group, topic, offset):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=topics.bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="none"
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.commit({TopicPartition(topic, 0): offset})
    await consumer.stop()


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
async def test_a_changed_partition_count(app, topics, unique, database, running):
    topic = await topics.create(unique, 1)
    options = await project_some(app, topics, topic, database)
    if not running:
        await topics.grow(topic, 3)
    async with projecting(app, database, options) as projection:
        if running:
            await eventually(lambda: owns(projection))
            await topics.grow(topic, 3)
        error = await crash_of(projection)
    assert isinstance(error, PartitionCountError)
    assert "had 1 partitions and has 3 now" in str(error)
    assert "sink rebuild c" in str(error)


async def owns(projection):
    return projection.lane.partitions


async def test_a_group_that_lost_its_offsets(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    options = await project_some(app, topics, topic, database)
    for _ in range(100):
        response = await topics.admin._send_request(
            delete_group(f"{unique}.changelog:c"), await coordinator(topics, unique)
        )
        if response.results[0][1] == 0:
            break
        await asyncio.sleep(0.1)
    async with projecting(app, database, options) as projection:
        error = await crash_of(projection)
    assert isinstance(error, GroupExpiredError)


def delete_group(group):
    return DeleteGroupsRequest([group])


async def coordinator(topics, unique):
    return await topics.admin.find_coordinator(f"{unique}.changelog:c")


async def test_a_worker_that_goes_on_after_a_restart_is_not_stopped(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    await topics.create(dlq_topic(topic), 1)
    options = await project_some(app, topics, topic, database)
    await topics.send_all(topic, [("k0", {"a": 99})])
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
        await asyncio.sleep(2.5)
        assert projection.lane.crash_reason is None
    assert (await database.c.find_one({"_key": "k0"}))["a"] == 99


async def test_a_database_restored_from_a_backup_is_caught_up(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    options = await project_some(app, topics, topic, database)
    backup = {
        name: await database.get_collection(name).find().to_list(None) for name in ("c", "_prom_positions")
    }
    await project_some(app, topics, topic, database, count=30)
    for name, documents in backup.items():
        await database.get_collection(name).delete_many({})
        await database.get_collection(name).insert_many(documents)
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
    found = {document["_key"]: document["_src"]["o"] async for document in database.c.find()}
    assert found == {f"k{i}": 20 + i for i in range(30)}


@with_both_drivers
async def test_an_emptied_database_is_a_named_error(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    options = await project_some(app, topics, topic, database)
    await database.c.drop()
    await database.get_collection("_prom_positions").drop()
    async with projecting(app, database, options) as projection:
        error = await crash_of(projection)
    assert isinstance(error, PositionLostError)
    assert "sink rebuild c" in str(error)


async def test_what_is_applied_is_not_read_again_after_a_crash_before_the_commit(
    app, topics, unique, database
):
    topic = await topics.create(unique, 1)
    options = await project_some(app, topics, topic, database)
    await commit(topics, f"{unique}.changelog:c", topic, 3)  # as after a crash before the last commit
    async with projecting(app, database, options) as projection:
        await eventually(lambda: owns(projection))
        assert next(iter(projection.lane.partitions.values())).polled_to == 20
