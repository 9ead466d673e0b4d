"""What the handler of an event may send into its transaction."""

import pytest
from pydantic import BaseModel

from prom_faust import PayloadInvalidError, SchemaRegistry
from prom_faust.events.event import Message
from prom_faust.events.sending.faust import Outbox
from prom_faust.exceptions import RecordKeyError, SendRefusedError
from tests.support.app import installed

registry = SchemaRegistry()
NOTHING = {"key": None, "value": None, "partition": None, "timestamp": None, "headers": None}


@registry.schema("people", version=3)
class Person(BaseModel):
    name: str


@pytest.fixture
async def prom():
    prom = installed("shop", registry)
    prom.topic("people", partitions=4, compacted=True, key="name")
    return prom


@pytest.fixture
def outbox(prom):
    return Outbox(prom)


async def test_a_message_has_the_key_and_the_version_of_its_topic(prom, outbox):
    await outbox.send(
        prom.declared_topic("people"), **{**NOTHING, "value": Person(name="a"), "headers": {"h": b"1"}}
    )
    await outbox.send("plain", **{**NOTHING, "value": 5, "timestamp": 1.5, "partition": 2})
    first, second = outbox.close()
    assert (first.topic, first.key, first.value, first.partition) == ("people", b"a", b'{"name":"a"}', None)
    assert dict(first.headers) == {"h": b"1", "x-schema-version": b"3"}
    assert second == Message("plain", None, b"5", partition=2, timestamp=1500)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"value": {"name": 5}}, PayloadInvalidError),
        ({"value": {"name": "a"}, "key": "b"}, RecordKeyError),
        ({"value": None}, RecordKeyError),
        ({"value": Person(name="a"), "partition": 4}, SendRefusedError),
        ({"value": Person(name="a" * 1_100_000)}, SendRefusedError),
    ],
)
async def test_what_its_topic_refuses_is_refused_at_once_and_is_not_in_the_transaction(
    outbox, message, error
):
    with pytest.raises(error):
        await outbox.send("people", **{**NOTHING, **message})
    assert list(outbox.close()) == []


async def test_a_message_without_key_and_value_is_refused(prom, outbox):
    raw = prom.topic("raw", value_serializer="raw")
    with pytest.raises(SendRefusedError, match="needs a key or a value"):
        await outbox.send(raw, **NOTHING)


async def test_after_the_handler_has_returned_nothing_is_taken(outbox):
    outbox.close()
    with pytest.raises(SendRefusedError, match="before it returns"):
        await outbox.send("plain", **{**NOTHING, "value": 5})


async def test_what_is_no_topic_is_refused(outbox):
    with pytest.raises(SendRefusedError, match="a topic or its name"):
        await outbox.send(5, **NOTHING)
