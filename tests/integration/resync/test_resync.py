"""Lost history on a real broker: deletes that the cleaner took before they were read."""

import asyncio
import time

import pytest
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import TopicRecreatedError
from prom_faust.lane.record import TopicPartition
from prom_faust.local import KafkaServer, free_port
from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.verify import verify
from tests.support.kafka import Topics
from tests.support.projection import applied, eventually, live, make_app, projecting

SHORT = {
    "delete.retention.ms": "1000",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "200",
    "min.compaction.lag.ms": "0",
}
WINDOW = 4.0
"""Seconds: a shorter retention is taken for this."""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    """A broker whose cleaner comes ten times a second."""
    config = {"log.cleaner.backoff.ms": "100", "log.segment.delete.delay.ms": "100"}
    with KafkaServer(tmp_path_factory.mktemp("kafka"), free_port(), broker_config=config) as server:
        yield server


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


async def settled(projection, topics):
    ends = await topics.ends(projection.options.topic)
    await eventually(lambda: applied(projection, ends))


async def found_again(projection, name):
    async def check():
        positions = await projection.collection.load_positions(name.topic)
        return name not in projection.lane.losses.since and positions[name.partition].lost_since is None

    await eventually(check)


async def test_a_delete_that_was_cleaned_away_during_an_outage_is_made_good(
    app, topics, unique, database, caplog
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
        await topics.send(topic, "filler", {"a": 0})  # a segment is only cleaned when another one is begun
        return [record.key for record in await topics.read(topic) if record.key == b"gone"] == []

    await eventually(cleaned, seconds=30, every=0.3)
    await asyncio.sleep(max(0.0, WINDOW + 0.5 - (time.monotonic() - stopped)))
    print("cleaned after", time.monotonic() - stopped)
    async with projecting(app, database, options) as projection:
        await eventually(lambda: owned(projection))
        name = TopicPartition(topic, 0)
        await found_again(projection, name)
        assert set(await live(database.c)) == {"kept", "bad", "filler"}
        assert await database.c.count_documents({"_key": "gone", "_deleted": True}) == 1
        report = await verify(projection)
        assert report.clean, report.differences
    print(caplog.text)


async def owned(projection):
    return projection.lane.partitions
