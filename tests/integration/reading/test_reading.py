"""What an agent gets: models, and None where it asked for tombstones. Everything else is dead-lettered or skipped."""

import asyncio
import json
import time

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from prom_faust.dlq.envelope import decode, dlq_topic
from prom_faust.lane.record import PlainRecord
from tests.support.worker import FaustWorker

GOOD = {"id": "k", "cpu": 1.5}


@pytest.fixture
def start(kafka, mongo, unique, tmp_path):
    env = {
        "KAFKA_URL": kafka.url,
        "MONGO_URL": mongo.url,
        "TOPIC": unique,
        "DATADIR": str(tmp_path / "data"),
        "SEEN": str(tmp_path / "seen"),
    }
    (tmp_path / "seen").touch()
    return lambda: FaustWorker("tests.integration.reading.app", tmp_path / "log", env)


async def seen(tmp_path, name, last):
    """What an agent got, once it got the record with this key."""
    deadline = time.monotonic() + 30
    while True:
        found = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
        mine = [each[1:] for each in found if each[0] == name]
        if mine and mine[-1][0] == last:
            return mine
        assert time.monotonic() < deadline, f"{found}\n{(tmp_path / 'log').read_text()[-3000:]}"
        await asyncio.sleep(0.1)


async def configure(topics, topic, max_bytes):
    """Let a topic take records up to this size."""
    change = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": max_bytes})
    await topics.admin.alter_configs([change])


async def letters(topics, topic):
    return [
        decode(PlainRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers)))
        for r in await topics.read(dlq_topic(topic))
    ]


async def test_a_stream_gets_models_and_the_rest_is_dead_lettered_whole(start, topics, unique, tmp_path):
    topic = f"{unique}.plain"
    with start() as worker:
        await asyncio.to_thread(worker.until, "Worker ready")
        await topics.send(topic, "a", GOOD, headers={"x-schema-version": b"1"})
        bad = [
            await topics.send(topic, "b", {"id": "b"}, headers={"trace": b"\xff"}),
            await topics.send(topic, "c", b"{not json"),
            await topics.send(topic, "d", None),
            await topics.send(topic, "e", {"_deleted": True}),
            await topics.send(topic, b"\xff\xfe", GOOD),
            await topics.send(topic, "f", GOOD, headers={"x-schema-version": b"one"}),
        ]
        await topics.send(topic, "z", {**GOOD, "sid": 1}, headers={"x-schema-version": b"2"})
        expected = [["a", "Reading2", {**GOOD, "sid": 7}], ["z", "Reading2", {**GOOD, "sid": 1}]]
        # Two agents on one topic: each gets the good ones, and no letter is there twice.
        assert await seen(tmp_path, "plain", "z") == expected
        assert await seen(tmp_path, "again", "z") == expected
        found = await letters(topics, topic)
        assert [letter.record.offset for letter in found] == [record.offset for record in bad]
        assert found[0].record.value == b'{"id":"b"}'
        assert found[0].record.headers == (("trace", b"\xff"),)
        assert found[0].consumer == unique
        assert "/cpu: Field required" in found[0].message
        assert found[4].record.key == b"\xff\xfe"
        worker.stop()


async def test_a_tombstone_is_none_where_it_is_asked_for_and_is_not_seen_where_not(
    start, topics, unique, tmp_path
):
    with start() as worker:
        await asyncio.to_thread(worker.until, "Worker ready")
        for name in ("kept", "asked"):
            topic = f"{unique}.{name}"
            await topics.send(topic, "a", GOOD)
            for key, value in {"b": None, "c": b"null", "d": {"_deleted": True}}.items():
                await topics.send(topic, key, value)
            await topics.send(topic, "z", GOOD)
        live = [[key, "Reading2", {**GOOD, "sid": 7}] for key in ("a", "z")]
        assert await seen(tmp_path, "kept", "z") == live
        asked = await seen(tmp_path, "asked", "z")
        assert asked == [live[0], *[[key, None, None] for key in "bcd"], live[1]]
        for name in ("kept", "asked"):
            assert await letters(topics, f"{unique}.{name}") == []
        worker.stop()


async def test_a_declared_topic_without_a_schema_buries_what_is_no_json(start, topics, unique, tmp_path):
    topic = f"{unique}.free"
    with start() as worker:
        await asyncio.to_thread(worker.until, "Worker ready")
        await topics.send(topic, "a", {"any": "thing"})
        await topics.send(topic, "b", b"{not json")
        await topics.send(topic, "z", [1])
        assert await seen(tmp_path, "free", "z") == [["a", "dict", {"any": "thing"}], ["z", "list", [1]]]
        assert [letter.record.value for letter in await letters(topics, topic)] == [b"{not json"]
        worker.stop()


async def test_a_registered_topic_that_is_not_declared_buries_as_well(start, topics, unique, tmp_path):
    topic = f"{unique}.undeclared"
    await topics.create(topic, 1, **{"cleanup.policy": "delete"})
    with start() as worker:
        await asyncio.to_thread(worker.until, "Worker ready")
        await topics.send(topic, "a", GOOD)
        await topics.send(topic, "b", {"id": "b"})
        await topics.send(topic, "z", GOOD)
        assert [key for key, *_ in await seen(tmp_path, "undeclared", "z")] == ["a", "z"]
        assert [letter.record.key for letter in await letters(topics, topic)] == [b"b"]
        worker.stop()


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
async def test_a_bad_record_is_not_committed_before_it_is_on_the_dead_letter_topic(
    start, topics, unique, tmp_path, end
):
    """The dead-letter topic takes nothing: the record comes again after a stop, and then it is buried."""
    topic = f"{unique}.plain"
    with start() as worker:
        await asyncio.to_thread(worker.until, "Worker ready")
        await topics.send(topic, "a", GOOD)
        await seen(tmp_path, "plain", "a")
        await configure(topics, dlq_topic(topic), "100")
        bad = await topics.send(topic, "b", {"id": "b"})
        await topics.send(topic, "c", GOOD)
        await asyncio.to_thread(worker.until, "tried again", 60.0)
        await asyncio.sleep(1.5)  # longer than the app's commit interval
        if end == "SIGTERM":
            print(f"SIGTERM took {worker.stop(10.0):.1f} s")
        worker.kill()
    assert (await topics.committed(unique, topic)).get(0, 0) <= bad.offset
    await configure(topics, dlq_topic(topic), "1000000")
    with start() as worker:
        assert (await seen(tmp_path, "plain", "c"))[-1][0] == "c"
        assert bad.offset in [letter.record.offset for letter in await letters(topics, topic)]
        worker.stop()
