"""G1: no path around the schema. Every send path of Faust times every bad payload, on the real broker."""

import asyncio
import json
import time

import orjson
import pytest

from prom_faust import partition_of
from prom_faust.schema.json import validator
from tests.support.worker import FaustWorker

MODES = {
    "plain": {},
    "exactly once": {"processing_guarantee": "exactly_once"},
    "threaded producer": {"producer_threaded": True},
    "published on commit": {"stream_publish_on_commit": True},
}
FAUST_CODEC = {"table", "topic.send, another schema"}
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "cpu": {"type": "number"}, "sid": {"type": ["integer", "null"]}},
    "required": ["id", "cpu"],
    "additionalProperties": False,
}


@pytest.fixture(params=MODES, ids=[mode.replace(" ", "-") for mode in MODES])
async def senders(request, kafka, mongo, unique, tmp_path, topics):
    results = tmp_path / "results"
    results.touch()
    env = {
        "KAFKA_URL": kafka.url,
        "MONGO_URL": mongo.url,
        "TOPIC": unique,
        "DATADIR": str(tmp_path / "data"),
        "RESULTS": str(results),
        "SETTINGS": json.dumps(MODES[request.param]),
    }
    with FaustWorker("tests.integration.sends.app", tmp_path / "log", env) as worker:
        await asyncio.to_thread(worker.until, "Worker ready")

        async def attempts(payloads):
            """Let the app try; what each sender got."""
            results.write_text("")
            await topics.send(f"{unique}.go", "k", payloads.encode())
            deadline = time.monotonic() + 60
            while not results.read_text().endswith("done\n"):
                assert time.monotonic() < deadline, f"{results.read_text()}\n{worker.tail()}"
                await asyncio.sleep(0.1)
            return [json.loads(line) for line in results.read_text().splitlines()[:-1]]

        attempts.worker = worker
        attempts.on_commit = request.param != "plain"
        attempts.topics = (f"{unique}.target", f"{unique}-table-changelog")
        yield attempts


async def test_no_bad_payload_passes_by_any_path_and_every_good_one_does(senders, topics):
    await no_bad_payload_passes(senders, topics)
    await every_good_payload_passes_with_its_version(senders, topics)


async def no_bad_payload_passes(senders, topics):
    before = await topics.ends(senders.topics[0])
    found = await senders("bad")
    assert len(found) > 150
    passed = [each for each in found if each["error"] is None and not (is_tombstone(each))]
    assert passed == []
    for each in found:
        if each["path"] in FAUST_CODEC and each["payload"] in {"changed after validation", "never validated"}:
            continue  # refused as well, but by Faust's own codec, which knows no pydantic models
        if not is_tombstone(each):
            assert each["error"] == "PayloadInvalidError", each
            assert " v3: " in each["message"], each
    if senders.on_commit:
        await asyncio.sleep(3.5)  # longer than the commit interval, at which attached messages are published
    assert await topics.ends(senders.topics[0]) == before
    # Into a compacted changelog the deletions are no bad payloads.
    for record in await topics.read(senders.topics[1]):
        assert record.value is None or orjson.loads(record.value) in ({"_deleted": True}, None)
    assert senders.worker.process.poll() is None


def is_tombstone(each):
    return each["path"] == "table" and each["payload"] in {"deletion", "null", "null in bytes"}


async def every_good_payload_passes_with_its_version(senders, topics):
    before = [len(await topics.read(name)) for name in senders.topics]
    found = await senders("good")
    failed = [each for each in found if each["error"] is not None]
    assert [each for each in failed if (each["path"] not in FAUST_CODEC or each["payload"] != "model")] == []
    expected = [
        sum(1 for each in found if (each["path"] == "table") is is_table and each["error"] is None)
        for is_table in (False, True)
    ]
    records = []
    deadline = time.monotonic() + 30
    while [len(read) for read in records] != expected and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        found = [await topics.read(name) for name in senders.topics]
        records = [read[count:] for read, count in zip(found, before, strict=True)]
    assert [len(read) for read in records] == expected, before
    check = validator(SCHEMA)
    for record in [*records[0], *records[1]]:
        versions = [value for name, value in record.headers if name == "x-schema-version"]
        assert versions == [b"3"]
        if record.topic == senders.topics[0]:
            assert record.partition == partition_of("k", 8)
        assert check.is_valid(orjson.loads(record.value))
