"""Section 2b: what is published is valid and names its version, on the real broker."""

import math

import pytest
from pydantic import BaseModel

from prom_faust import PayloadInvalidError, SchemaRegistry
from prom_faust.exceptions import SendRefusedError
from prom_faust.schema.header import SCHEMA_VERSION_HEADER
from tests.support.app import installed, sending

NAME = SCHEMA_VERSION_HEADER


class First(BaseModel):
    id: str
    load: float | None = None


class Second(First):
    note: str = "none"


@pytest.fixture
async def prom(kafka, unique):
    registry = SchemaRegistry()
    for suffix in ("events", "states"):
        registry.register(f"{unique}-{suffix}", First, version=1)
        registry.register(f"{unique}-{suffix}", Second, version=3)
    registry.register(f"{unique}-warned", First, version=1, policy="warn")
    registry.register(f"{unique}-free", First, version=1, policy="off")
    prom = installed(unique, registry, broker=kafka.url)
    for suffix in ("events", "states", "warned", "free", "plain"):
        prom.topic(f"{unique}-{suffix}", partitions=1, compacted=suffix == "states")
    async with sending(prom):
        yield prom


@pytest.fixture
def topic(prom, unique):
    return lambda suffix="events": prom.declared_topic(f"{unique}-{suffix}")


async def last(topic, topics, **record):
    """What stands on the broker after a send."""
    sent = await (await topic.send(**record))
    return next(r for r in await topics.read(topic.get_topic_name()) if r.offset == sent.offset)


async def end(topic, topics):
    return sum((await topics.ends(topic.get_topic_name())).values())


@pytest.mark.parametrize(
    ("value", "expected", "version"),
    [
        (First(id="x"), b'{"id":"x","load":null}', b"1"),
        (Second(id="x", load=1.5), b'{"id":"x","load":1.5,"note":"none"}', b"3"),
        ({"note": "y", "id": "x"}, b'{"note":"y","id":"x"}', b"3"),
        (b' {"id" : "x"}', b' {"id" : "x"}', b"3"),
        (bytearray(b'{"id":"x"}'), b'{"id":"x"}', b"3"),
        (memoryview(b'{"id":"x"}'), b'{"id":"x"}', b"3"),
    ],
    ids=range(6),
)
async def test_what_is_valid_goes_through_with_its_version_exactly_once(
    topic, topics, value, expected, version
):
    record = await last(topic(), topics, key="k", value=value)
    assert record.value == expected
    assert record.headers == ((NAME, version),)


@pytest.mark.parametrize(
    "headers", [{"a": b"1", "b": b""}, [("a", b"1"), ("a", b"2"), (NAME, b"1")]], ids=["dict", "list"]
)
async def test_the_caller_s_headers_go_along_and_are_untouched(topic, topics, headers):
    before = headers.copy()
    record = await last(topic(), topics, key="k", value={"id": "x"}, headers=headers)
    given = list(before.items()) if isinstance(before, dict) else before
    assert [pair for pair in record.headers if pair[0] != NAME] == [pair for pair in given if pair[0] != NAME]
    assert [name for name, _ in record.headers].count(NAME) == 1
    assert headers == before


INVALID = [
    {},
    {"id": 5},
    {"id": "x", "z": 1},
    {"id": "x", "load": math.nan},
    {"id": "x", "load": "1"},
    First(id="x", load=math.inf),
    First.model_construct(id=5),
    b"",
    b"null",
    b"{",
    b'{"id":5}',
    b'{"id":"x","load":NaN}',
    b'\xef\xbb\xbf{"id":"x"}',
    b'{"id":"\xff"}',
    bytearray(b'{"id":5}'),
    memoryview(b"x"),
    '{"id":"x"}',
    None,
    5,
    [],
    object(),
    {"_deleted": True},
    b'{"_deleted":true}',
]


async def test_what_is_invalid_is_refused_on_every_way_and_the_end_offset_stays(prom, topic, topics):
    target = topic()
    name = target.get_topic_name()
    await last(target, topics, key="k", value={"id": "x"})
    before = await end(target, topics)
    for value in INVALID:
        for send in (
            lambda value: target.send(key="k", value=value),
            lambda value: prom.app.send(name, key="k", value=value),
            lambda value: prom.app.send(target, key="k", value=value, headers={NAME: b"1"}),
            lambda value: prom.app.topic(name).send(key="k", value=value),
            lambda value: prom.app.topic(name, value_serializer="raw").send(key="k", value=value),
        ):
            with pytest.raises(PayloadInvalidError, match=name):
                await send(value)
        with pytest.raises(PayloadInvalidError):
            target.send_soon(key="k", value=value)
    for value in (b'{"id":5}', b"", None):  # beneath the topic: what tables and other code of Faust call
        with pytest.raises(PayloadInvalidError):
            await prom.app.producer.send(name, b"k", value, None, None, {NAME: b"3"})
    assert await end(target, topics) == before


@pytest.mark.parametrize(
    "headers",
    [
        {NAME: b"2"},
        {NAME: b"x"},
        {NAME: "1"},
        {NAME: 1},
        [(NAME, b"1"), (NAME, b"1")],
        [(NAME, b"1"), (NAME, b"3")],
        [(NAME, None)],
    ],
    ids=repr,
)
async def test_a_header_that_names_no_version_is_refused(topic, topics, headers):
    with pytest.raises(PayloadInvalidError, match="version"):
        await topic().send(key="k", value={"id": "x"}, headers=headers)
    assert await end(topic(), topics) == 0


@pytest.mark.parametrize("headers", [{NAME.encode(): b"1"}, {"a": "text"}, {"a": 1}, [("a",)], 5], ids=repr)
async def test_headers_that_kafka_cannot_take_are_an_error_to_the_caller(topic, topics, headers):
    with pytest.raises(Exception):  # noqa: B017, PT011 - whichever; it must be the caller's
        await (await topic().send(key="k", value={"id": "x"}, headers=headers))
    assert await end(topic(), topics) == 0
    assert (await last(topic(), topics, key="k", value={"id": "x"})).value == b'{"id":"x"}'


@pytest.mark.parametrize("value", [None, b"null", {"_deleted": True}, b'{"_deleted":true}'], ids=repr)
async def test_a_tombstone_goes_to_a_compacted_topic_without_a_version(topic, topics, value):
    record = await last(topic("states"), topics, key="k", value=value, headers={"a": b"1", NAME: b"1"})
    assert record.value == (b'{"_deleted":true}' if isinstance(value, dict) else value)
    assert record.headers == (("a", b"1"),)


@pytest.mark.parametrize(
    "value", [{"_deleted": 1}, {"_deleted": "true"}, b"", b"nul", {"a": {"_deleted": True}}], ids=repr
)
async def test_what_is_like_a_tombstone_does_not(topic, topics, value):
    with pytest.raises(SendRefusedError):
        await topic("states").send(key="k", value=value)
    assert await end(topic("states"), topics) == 0


async def test_policies(topic, topics):
    record = await last(topic("warned"), topics, key="k", value={"id": 5})
    assert (record.value, record.headers) == (b'{"id":5}', ())
    record = await last(topic("warned"), topics, key="k", value={"id": "x"})
    assert record.headers == ((NAME, b"1"),)
    for suffix in ("free", "plain"):
        record = await last(topic(suffix), topics, key="k", value={"id": 5}, headers={"a": b"1"})
        assert (record.value, record.headers) == (b'{"id":5}', (("a", b"1"),))
