"""The codec and the schema as Faust calls them, on an app without a broker."""

import math

import faust
import pytest
from faust.exceptions import ValueDecodeError
from faust.types.tuples import Message
from pydantic import BaseModel

from prom_faust import RegistryCodec, RegistrySchema, SchemaRegistry
from prom_faust.exceptions import DecodeError, PayloadInvalidError
from prom_faust.schema.faust import RecordSkipped
from prom_faust.schema.header import SCHEMA_VERSION_HEADER, schema_version
from tests.support.app import NOWHERE, installed

NAME = SCHEMA_VERSION_HEADER


class First(BaseModel):
    id: str


class Second(First):
    note: str | None = None


class Row(faust.Record, include_metadata=False):
    id: str


@pytest.fixture
def app():
    return faust.App("schema", broker="kafka://127.0.0.1:1")


@pytest.fixture
def registry():
    registry = SchemaRegistry()
    registry.register("t", First, version=1)
    registry.register("t", Second, version=2)
    return registry


@pytest.fixture
def schema(registry):
    return RegistrySchema(registry, "t")


def message(value, *, topic="t", headers=()):
    return Message(topic, 0, 0, 0.0, 0, headers, b"k", value, None)


# -- the codec, alone ---------------------------------------------------------------------------------------------


async def test_the_codec_alone_checks_what_a_topic_sends_and_reads_it_by_the_latest_version(app, registry):
    topic = app.topic("t", value_serializer=registry.codec("t"))
    sent = topic.as_future_message(key="k", value=First(id="x")).message
    assert (sent.key, sent.value) == (b"k", b'{"id":"x"}')
    assert topic.schema.loads_value(app, message(sent.value)) == Second(id="x")
    for value in (
        {"id": 5},
        {"id": "x", "z": 1},
        bytearray(b"{}"),
        First.model_construct(id=5),
        math.nan,
        None,
    ):
        with pytest.raises(PayloadInvalidError):
            topic.as_future_message(key="k", value=value)


async def test_bytes_go_around_a_codec_alone_for_faust_does_not_ask_it_and_not_around_install(registry):
    codec = registry.codec("t")
    alone = faust.App("alone", broker=NOWHERE).topic("t", value_serializer=codec)
    assert alone.as_future_message(key="k", value=b"{}").message.value == b"{}"
    for options in ({"value_serializer": codec}, {"schema": faust.Schema(value_serializer=codec)}, {}):
        topic = installed("with", registry).app.topic("t", **options)
        with pytest.raises(PayloadInvalidError):
            topic.as_future_message(key="k", value=b"{}")
        assert topic.as_future_message(key="k", value=b'{"id":"x"}').message.value == b'{"id":"x"}'


async def test_a_record_that_names_a_serializer_of_its_own_is_checked_as_others_are():
    class Named(faust.Record, serializer="json"):
        id: str

    registry = SchemaRegistry()
    registry.register("t", Named, version=1)
    for options in ({}, {"value_type": Named}, {"value_serializer": registry.codec("t")}):
        topic = installed("with", registry).app.topic("t", **options)
        sent = topic.as_future_message(key="k", value=Named(id="x")).message
        assert schema_version(sent.headers) == 1
        with pytest.raises(PayloadInvalidError):
            topic.as_future_message(key="k", value=Named(id=5))


def test_what_the_codec_writes_it_reads(registry):
    codec = registry.codec("t")
    for value in (Second(id="x", note="y"), {"id": "x"}, b'{"id":"x"}'):
        assert isinstance(codec.loads(codec.dumps(value)), Second)
    plain = SchemaRegistry()
    plain.register("t", {"type": "object"}, version=1)
    assert plain.codec("t").loads(plain.codec("t").dumps({"a": 1})) == {"a": 1}


def test_the_codec_refuses_what_it_cannot_read(registry):
    for data in (b"", b"{}", b"null", b"\xff"):
        with pytest.raises(DecodeError):
            registry.codec("t").loads(data)


def test_a_record_that_the_codec_cannot_read_is_a_decode_error_of_faust(app, registry):
    topic = app.topic("t", value_serializer=registry.codec("t"))
    with pytest.raises(ValueDecodeError):
        topic.schema.loads_value(app, message(b"{}"))


def test_a_codec_can_be_cloned_and_chained(registry):
    codec = registry.codec("t")
    assert codec.clone().dumps({"id": "x"}) == b'{"id":"x"}'
    chained = codec | faust.serializers.codecs.get_codec("binary")
    assert chained.loads(chained.dumps({"id": "x"})) == Second(id="x")
    assert isinstance(codec, RegistryCodec)


# -- the schema: sending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serializer", [None, "json", "raw"])
@pytest.mark.parametrize(
    ("value", "number"),
    [
        (First(id="x"), 1),
        (Second(id="x"), 2),
        ({"id": "x"}, 2),
        (b'{"id": "x"}', 2),
        (memoryview(b'{"id": "x"}'), 2),
    ],
    ids=range(5),
)
def test_a_value_is_sent_with_its_version(app, schema, value, number, serializer):
    data, headers = schema.dumps_value(app, value, serializer=serializer, headers={"a": b"1"})
    assert schema.registry.get("t", number).decode(bytes(data))
    assert list(headers) == [("a", b"1"), (NAME, b"%d" % number)]


def test_what_does_not_obey_is_refused_with_topic_version_and_every_path(app, schema):
    with pytest.raises(PayloadInvalidError) as caught:
        schema.dumps_value(app, {"id": 5, "z": 1}, headers=None)
    error = caught.value
    assert (error.topic, error.version, [failure.path for failure in error.failures]) == (
        "t",
        2,
        ["/id", "/z"],
    )
    for part in ("t v2", "/id", "/z"):
        assert part in str(error)


@pytest.mark.parametrize("serializer", ["pickle_restricted", "binary"])
def test_another_serializer_s_bytes_are_checked_as_they_are(app, schema, serializer):
    with pytest.raises(PayloadInvalidError):
        schema.dumps_value(app, b'"x"', serializer=serializer, headers=None)


def test_the_codec_given_for_one_send_keeps_the_version_of_the_class(app, registry, schema):
    _, headers = schema.dumps_value(app, First(id="x"), serializer=registry.codec("t"), headers=None)
    assert schema_version(headers) == 1


@pytest.mark.parametrize("value", [None, b"null", {"_deleted": True}, b'{"_deleted":true}'], ids=repr)
def test_a_tombstone_goes_to_a_compacted_topic_only(app, registry, schema, value):
    data, headers = RegistrySchema(registry, "t", compacted=True).dumps_value(
        app, value, headers=[("a", b"1")]
    )
    assert data == (b'{"_deleted":true}' if isinstance(value, dict) else value)
    assert list(headers) == [("a", b"1")]
    with pytest.raises(PayloadInvalidError):
        schema.dumps_value(app, value, headers=None)


def test_a_topic_without_a_schema_goes_faust_s_way(app, registry):
    for topic in ("other", None):
        data, headers = RegistrySchema(registry, topic).dumps_value(app, {"a": 1}, headers={"a": b"1"})
        assert data == b'{"a":1}'
        assert headers == {"a": b"1"}


def test_with_the_policy_off_nothing_is_looked_at(app):
    registry = SchemaRegistry()
    registry.register("t", First, version=1, policy="off")
    schema = RegistrySchema(registry, "t")
    assert schema.dumps_value(app, {"a": 1}, headers=None) == (b'{"a":1}', None)
    assert schema.loads_value(app, message(b'{"a":1}')) == {"a": 1}


@pytest.mark.parametrize(
    ("key", "expected"),
    [("é", "é".encode()), (b"\xff", b"\xff"), (7, b"7"), (-7, b"-7"), ("", b""), (None, None)],
    ids=repr,
)
def test_a_key_goes_on_the_wire_as_partition_of_takes_it(app, schema, key, expected):
    assert schema.dumps_key(app, key, headers=None)[0] == expected


@pytest.mark.parametrize("kind", [str, bytes, int])
def test_a_number_and_its_digits_are_one_key_whatever_the_key_type(app, registry, kind):
    schema = RegistrySchema(registry, "t", key_type=kind)
    assert schema.dumps_key(app, 7, headers=None)[0] == schema.dumps_key(app, "7", headers=None)[0] == b"7"


def test_a_key_of_another_serializer_is_that_serializer_s(app, registry):
    schema = RegistrySchema(registry, "t", key_serializer="json")
    assert schema.dumps_key(app, "x", headers=None)[0] == b'"x"'


# -- the schema: reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [(), None, [(NAME, b"1")], {NAME: b"1"}, [(NAME, b"9")]], ids=repr)
def test_a_record_is_read_by_the_latest_version(app, schema, headers):
    assert schema.loads_value(app, message(b'{"id":"x"}', headers=headers)) == Second(id="x")


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"{}", ()),
        (b"", ()),
        (None, ()),
        (b"null", ()),
        (b'{"_deleted":true}', ()),
        (b"\xff", ()),
        (b'{"id":"x"}', [(NAME, b"x")]),
        (b'{"id":"x"}', [(NAME, b"1"), (NAME, b"1")]),
        (b'{"id":"x"}', [(NAME, None)]),
    ],
    ids=repr,
)
def test_a_record_that_is_none_is_a_decode_error_of_faust(app, schema, value, headers):
    with pytest.raises(ValueDecodeError) as caught:
        schema.loads_value(app, message(value, headers=headers))
    assert not isinstance(caught.value, RecordSkipped)


@pytest.mark.parametrize("value", [None, b"null", b'{"_deleted":true,"id":5}'])
def test_a_tombstone_is_seen_only_where_it_is_asked_for(app, registry, value):
    with pytest.raises(RecordSkipped):
        RegistrySchema(registry, "t", compacted=True).loads_value(app, message(value))
    asking = RegistrySchema(registry, "t", compacted=True, allow_empty=True)
    assert asking.loads_value(app, message(value)) is None


def test_a_channel_of_several_topics_reads_each_by_its_own_schema(app, registry):
    registry.register("u", {"type": "object"}, version=1)
    schema = RegistrySchema(registry, None)
    assert schema.loads_value(app, message(b'{"id":"x"}')) == Second(id="x")
    assert schema.loads_value(app, message(b'{"a":1}', topic="u")) == {"a": 1}


def test_with_a_value_type_what_is_read_is_faust_s_business_and_what_is_sent_is_checked(app):
    registry = SchemaRegistry()
    registry.register("t", Row, version=1)
    schema = RegistrySchema(registry, "t", value_type=Row)
    data, headers = schema.dumps_value(app, Row(id="x"), headers=None)
    assert (data, schema_version(headers)) == (b'{"id":"x"}', 1)
    assert schema.loads_value(app, message(bytes(data))) == Row(id="x")
    with pytest.raises(PayloadInvalidError):
        schema.dumps_value(app, Row(id=5), headers=None)


async def test_a_stream_gets_models_and_none_for_tombstones(app, registry):
    schema = RegistrySchema(registry, "t", compacted=True, allow_empty=True)
    events = [
        await schema.decode(app, message(value), propagate=True) for value in (b'{"id":"x"}', None, b"null")
    ]
    assert [event.value for event in events] == [Second(id="x"), None, None]
