"""Section 2c: ``heartbeat.received`` v1 and ``process.state`` v1, as the event hub registers them."""

import math

import pytest

from agents.models import Heartbeat, ProcessState, registry
from prom_faust import PayloadInvalidError
from prom_faust.schema.header import SCHEMA_VERSION_HEADER
from tests.support.app import installed, sending

HEARTBEAT = {"pid": 7, "name": "sleep", "host": "box", "cpu_pct": 1.5, "mem_mb": 2.25, "sid": 3}
STATE = {
    "processId": "box:7:1",
    "name": "sleep",
    "host": "box",
    "pid": 7,
    "sid": 3,
    "cpu_pct": 1.5,
    "mem_mb": 2.25,
    "last_seen_ts": 1_700_000_000_000,
    "status": "alive",
}
TOPICS = {"heartbeat.received": (Heartbeat, HEARTBEAT), "process.state": (ProcessState, STATE)}

both = pytest.mark.parametrize("topic", TOPICS)


@both
def test_it_is_version_1_and_backward_compatible(topic):
    first = registry.get(topic, 1)
    assert (first.number, first.compatibility, first.type.cls) == (1, "backward", TOPICS[topic][0])
    assert registry.find(topic).policy == "enforce"


@both
def test_its_fields_and_which_of_them_must_be_there(topic):
    _, payload = TOPICS[topic]
    schema = registry.get(topic, 1).schema
    assert set(schema["properties"]) == set(payload)
    assert set(schema["required"]) == set(payload) - {"sid"}
    assert schema["additionalProperties"] is False


def test_a_state_is_alive_or_stale():
    assert registry.get("process.state", 1).schema["properties"]["status"]["enum"] == ["alive", "stale"]


@both
def test_its_payload_is_valid_with_and_without_a_session(topic):
    model, payload = TOPICS[topic]
    registry.validate(topic, payload)
    registry.validate(topic, model(**payload))
    without = {name: value for name, value in payload.items() if name != "sid"}
    registry.validate(topic, without)
    assert registry.get(topic, 1).decode(bytes(registry.get(topic, 1).encode(model(**without)))) == model(
        **without
    )
    assert b"sid" not in registry.get(topic, 1).encode(model(**without))


@both
def test_a_payload_without_a_field_with_another_type_or_with_another_field_is_not(topic):
    _, payload = TOPICS[topic]
    for name in payload:
        wrongs = [{**payload, name: []}, {**payload, name: math.nan}]
        if name != "sid":
            wrongs += [{key: value for key, value in payload.items() if key != name}, {**payload, name: None}]
        for wrong in wrongs:
            with pytest.raises(PayloadInvalidError) as caught:
                registry.validate(topic, wrong)
            assert {failure.path for failure in caught.value.failures} == {f"/{name}"}
    with pytest.raises(PayloadInvalidError, match="/colour"):
        registry.validate(topic, {**payload, "colour": "red"})


@pytest.mark.parametrize(
    ("topic", "change"),
    [
        ("heartbeat.received", {"pid": -1}),
        ("heartbeat.received", {"cpu_pct": -0.1}),
        ("heartbeat.received", {"mem_mb": "2"}),
        ("heartbeat.received", {"pid": True}),
        ("heartbeat.received", {"pid": 7.5}),
        ("process.state", {"status": "dead"}),
        ("process.state", {"last_seen_ts": "now"}),
        ("process.state", {"last_seen_ts": 1.5}),
        ("process.state", {"processId": 7}),
    ],
)
def test_values_out_of_range_are_not(topic, change):
    with pytest.raises(PayloadInvalidError) as caught:
        registry.validate(topic, {**TOPICS[topic][1], **change})
    assert [failure.path for failure in caught.value.failures] == [f"/{name}" for name in change]


@both
async def test_on_the_wire(kafka, topics, unique, topic):
    model, payload = TOPICS[topic]
    prom = installed(unique, registry, broker=kafka.url)
    target = prom.topic(topic, partitions=8, compacted=topic == "process.state", key_type=str)
    async with sending(prom):
        sent = await (await target.send(key=unique, value=model(**payload)))
        before = await topics.ends(topic)
        with pytest.raises(PayloadInvalidError):
            await target.send(key=unique, value={**payload, "pid": "7"})
        assert await topics.ends(topic) == before
        (record,) = [record for record in await topics.read(topic) if record.key == unique.encode()]
    assert (record.partition, record.offset) == (sent.partition, sent.offset)
    assert record.headers == ((SCHEMA_VERSION_HEADER, b"1"),)
    assert registry.get(topic, 1).decode(record.value) == model(**payload)
