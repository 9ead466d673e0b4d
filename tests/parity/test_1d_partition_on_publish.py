"""Section 1d: the partition that a record is published to, on the real broker."""

import orjson
import pytest
from aiokafka.partitioner import DefaultPartitioner
from pydantic import BaseModel

from prom_faust import SchemaRegistry, partition_of
from prom_faust.exceptions import RecordKeyError
from tests.support.app import installed, sending
from tests.support.kafka import Topics

PARTITIONS = 8
KEYS = [f"host-{number}" for number in range(40)]


class State(BaseModel):
    id: str
    load: float = 0.0


@pytest.fixture
async def prom(kafka, unique):
    registry = SchemaRegistry()
    for suffix in ("by-field", "by-function", "by-hand", "kafka", "compacted"):
        registry.register(f"{unique}-{suffix}", State, version=1)
    prom = installed(unique, registry, broker=kafka.url)
    prom.topic(f"{unique}-by-field", partitions=PARTITIONS, key="id")
    prom.topic(f"{unique}-by-function", partitions=PARTITIONS, key=lambda state: state.id)
    prom.topic(f"{unique}-by-hand", partitions=PARTITIONS)
    prom.topic(f"{unique}-kafka", partitions=PARTITIONS, routing="kafka")
    prom.topic(f"{unique}-compacted", partitions=PARTITIONS, compacted=True)
    prom.topic(f"{unique}-free", partitions=PARTITIONS)
    async with sending(prom):
        yield prom


@pytest.fixture
def topic(prom, unique):
    return lambda suffix: prom.declared_topic(f"{unique}-{suffix}")


async def sent(topic, **record):
    return await (await topic.send(**record))


@pytest.mark.parametrize("suffix", ["by-field", "by-function"])
async def test_the_key_function_names_key_and_partition(topic, topics, suffix):
    target = topic(suffix)
    for key in KEYS:
        assert (await sent(target, value=State(id=key))).partition == partition_of(key, PARTITIONS)
    found = {(record.key, record.partition) for record in await topics.read(target.get_topic_name())}
    assert found == {(key.encode(), partition_of(key, PARTITIONS)) for key in KEYS}


@pytest.mark.parametrize("key", ["host-1", b"\xff\x00", 7, "é", ""], ids=repr)
async def test_an_explicit_key_is_at_home(topic, key):
    assert (await sent(topic("by-hand"), key=key, value=State(id="x"))).partition == partition_of(
        key, PARTITIONS
    )
    assert (await sent(topic("free"), key=key, value={"a": 1})).partition == partition_of(key, PARTITIONS)


async def test_an_explicit_partition_wins(topic):
    for partition in range(PARTITIONS):
        for suffix in ("by-hand", "by-field"):
            found = await sent(topic(suffix), value=State(id="host-1"), partition=partition)
            assert found.partition == partition
        found = await sent(topic("by-hand"), key="host-1", value=State(id="x"), partition=partition)
        assert found.partition == partition


async def test_two_keys_that_differ_are_an_error_and_nothing_is_produced(topic, topics):
    target = topic("by-field")
    for value in (
        State(id="x"),
        {"id": "x"},
        b'{"id":"x"}',
        bytearray(b'{"id":"x"}'),
        memoryview(b'{"id":"x"}'),
    ):
        with pytest.raises(RecordKeyError):
            await target.send(key="y", value=value)
    assert sum((await topics.ends(target.get_topic_name())).values()) == 0
    await sent(target, key="x", value=State(id="x"))


def home_of_payload(value):
    """The section's own words: the first 64 characters of the canonical JSON stand in for the key."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()[:64]
    return partition_of(text, PARTITIONS)


@pytest.mark.parametrize("suffix", ["by-hand", "free"])
async def test_without_a_key_the_payload_s_first_64_characters_choose_the_partition_only(
    topic, topics, suffix
):
    target = topic(suffix)
    for number in range(20):
        value = {"load": number / 2, "id": f"é-{number}" * 20}
        expected = home_of_payload(value)
        forms = [value, dict(reversed(value.items())), orjson.dumps(value), b" " + orjson.dumps(value)]
        if suffix == "by-hand":
            forms.append(State(**value))
        assert [(await sent(target, value=form)).partition for form in forms] == [expected] * len(forms)
    assert {record.key for record in await topics.read(target.get_topic_name())} == {None}


async def test_the_default_partitioner_of_kafka_s_clients_where_the_topic_says_so(topic, topics):
    target = topic("kafka")
    async with Topics(topics.bootstrap, DefaultPartitioner()) as client:
        for key in KEYS:
            ours = await sent(target, key=key, value=State(id=key))
            theirs = await client.send(target.get_topic_name(), key, {"id": key})
            assert ours.partition == theirs.partition


async def test_a_keyless_send_to_a_compacted_topic_is_refused(topic, topics):
    target = topic("compacted")
    for value in (State(id="x"), None):
        with pytest.raises(RecordKeyError, match="compacted"):
            await target.send(value=value)
    assert sum((await topics.ends(target.get_topic_name())).values()) == 0


async def test_every_way_to_send_goes_to_the_same_home(prom, topic, topics):
    target = topic("by-hand")
    name = target.get_topic_name()
    for key in KEYS[:10]:
        await (await prom.app.send(name, key=key, value=State(id=key)))
        await (await prom.app.topic(name).send(key=key, value=State(id=key)))
        await (await target.send(key=key.encode(), value=State(id=key)))
    records = await topics.read(name)
    assert len(records) == 30
    assert all(record.partition == partition_of(record.key, PARTITIONS) for record in records)
