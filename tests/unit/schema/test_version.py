"""What a version lets pass: values of every sort, and bytes of every sort."""

import enum
import math
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from prom_faust.exceptions import DecodeError, PayloadInvalidError
from prom_faust.schema.registry import SchemaRegistry
from prom_faust.schema.version import Checked

DEEP = 3_000


class Payload(BaseModel):
    a: int
    b: float | None = None
    c: list[Any] = []


class Other(BaseModel):
    a: int


class OtherText(BaseModel):
    a: str


class Text(bytes):
    """Bytes of a class of their own."""


class Liar(bytes):
    """Bytes that say they are others."""

    def __bytes__(self):
        return b'{"a":"x"}'


class One(enum.IntEnum):
    ONE = 1


@dataclass
class Reading:
    b: float | None


def registered(schema, topic="t", number=1, **options):
    return SchemaRegistry().register(topic, schema, version=number, **options)


VERSION = registered(Payload)
CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}


def refused(value, version=VERSION):
    with pytest.raises(PayloadInvalidError) as caught:
        version.encode(value)
    assert (caught.value.topic, caught.value.version) == (version.topic, version.number)
    return [failure.path for failure in caught.value.failures]


def test_what_it_is_called():
    assert VERSION.subject == "t-value"
    assert (VERSION.topic, VERSION.number, VERSION.compatibility) == ("t", 1, "backward")


# -- what goes through --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Payload(a=1), b'{"a":1,"b":null,"c":[]}'),
        ({"a": 1}, b'{"a":1}'),
        ({"c": (1, 2.5), "a": -0.0}, b'{"c":[1,2.5],"a":-0.0}'),
        ({"a": One.ONE}, b'{"a":1}'),
        ({"a": 2**63 - 1}, b'{"a":9223372036854775807}'),
        (Payload(a=10**30), b'{"a":1000000000000000000000000000000,"b":null,"c":[]}'),
        (Other(a=1), b'{"a":1}'),
        ({"a": 1, "c": [Other(a=2)]}, b'{"a":1,"c":[{"a":2}]}'),
    ],
    ids=repr,
)
def test_a_value_becomes_the_json_that_was_checked(value, expected):
    assert VERSION.encode(value) == expected
    VERSION.decode(expected)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1}',
        b' {"b" : 1e2, "a" : 1.0 }\r\n',
        b'{"a":1,"c":["\\u00e9\\ud83d\\ude00\\u0000"]}',
        b'{"a":-0}',
    ],
)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Text])
def test_bytes_stay_as_they_are(data, kind):
    found = VERSION.encode(kind(data))
    assert found == data
    assert type(found) is Checked
    VERSION.decode(data)


def test_a_view_with_steps_is_sent_as_it_reads():
    assert VERSION.encode(memoryview(b'{x"xax"x:x1x}x')[::2]) == b'{"a":1}'


def test_what_is_checked_is_what_is_sent_whatever_a_class_says_of_itself():
    assert refused(Liar(b'{"a":1}')) == ["/a"]


def test_later_changes_of_a_buffer_do_not_reach_what_was_checked():
    buffer = bytearray(b'{"a":1}')
    found = VERSION.encode(buffer)
    buffer[5:6] = b"x"
    assert found == b'{"a":1}'


def test_what_was_checked_knows_for_what():
    found = VERSION.encode({"a": 1})
    assert (found.topic, found.version) == ("t", VERSION)


def test_what_was_checked_can_be_read():
    for version in (VERSION, registered({"type": "object"}), registered({})):
        assert version.decode(version.encode({"a": 1})) is not None


# -- what does not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({}, ["/a"]),
        ({"a": "1"}, ["/a"]),
        ({"a": True}, ["/a"]),
        ({"a": 1.5}, ["/a"]),
        ({"a": None}, ["/a"]),
        ({"a": 1, "z": 1}, ["/z"]),
        ({"b": "x", "c": 5, "z": 0}, ["/a", "/b", "/c", "/z"]),
        ({"a": 1, "b": True}, ["/b"]),
        (None, [""]),
        (1, [""]),
        ([{"a": 1}], [""]),
        ("x", [""]),
        ('{"a":1}', [""]),
        (OtherText(a="1"), ["/a"]),
        (Payload.model_construct(a="1"), ["/a"]),
        (Payload.model_construct(a=None, b="x"), ["/a", "/b"]),
        (Payload.model_construct(), ["/a"]),
    ],
    ids=repr,
)
def test_a_value_that_does_not_obey_is_refused_with_every_path(value, paths):
    assert refused(value) == paths


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {"a": object()},
        {"a": Decimal(1)},
        {"a": 1, "c": {1, 2}},
        {1: 1, "a": 1},
        {"a": 10**30},
        {"a": 1, "c": [b"x"]},
        {"a": 1, "c": ["\ud800"]},
        {"a": 1, "\ud800": 1},
        "\ud800",
        Payload.model_construct(a=1, c=["\ud800"]),
        Payload(a=1, c=[object()]),
        type("Unknown", (), {})(),
    ],
    ids=range(13),
)
def test_a_value_without_json_is_refused(value):
    refused(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"nul",
        b"NaN",
        b"{'a':1}",
        b'{"a":1',
        b'{"a":1}}',
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":1}\x00',
        b'{"a":1}//',
        b'{"a":1}{"a":1}',
        b'{"a":1,"b":NaN}',
        b'{"a":1,"b":-Infinity}',
        b'{"a":1,"b":1e400}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":1,"c":["\xff"]}',
        b'{"a":1,"c":["\xed\xa0\x80"]}',
        b'{"a":1,"c":["\\ud800"]}',
        b'{"a":1,"c":["\n"]}',
        b'{"a":1,"c":' + b"[" * DEEP + b"]" * DEEP + b"}",
    ],
    ids=lambda data: repr(data[:30]),
)
def test_bytes_that_are_no_json_are_refused(data):
    assert refused(data) == [""]


def test_the_last_of_two_fields_of_one_name_counts_as_it_does_for_readers():
    assert refused(b'{"a":1,"a":"x"}') == ["/a"]
    assert VERSION.decode(VERSION.encode(b'{"a":"x","a":1}')).a == 1


@pytest.mark.parametrize("deep", [150, 210, 300, 500, 1_000])
def test_nesting_is_refused_or_can_be_read(deep):
    data = b'{"a":1,"c":' + b"[" * deep + b"]" * deep + b"}"
    for schema in (
        Payload,
        CLOSED | {"properties": {"a": {}, "c": {"type": "array", "items": {"type": "array"}}}},
    ):
        version = registered(schema)
        try:
            version.encode(data)
        except PayloadInvalidError:
            continue
        version.decode(data)


@pytest.mark.parametrize("deep", [150, 300, 500, 900])
def test_nesting_in_a_payload_that_is_wrong_anyway_is_a_refusal(deep):
    class Flat(BaseModel):
        c: list[float]

    refused(b'{"c":' + b"[" * deep + b"]" * deep + b"}", registered(Flat))


@pytest.mark.parametrize("deep", [150, 199, 200, 220, 250])
def test_nesting_in_a_model_is_refused_or_can_be_read(deep):
    nested: list[Any] = []
    for _ in range(deep):
        nested = [nested]
    try:
        data = bytes(VERSION.encode(Payload(a=1, c=nested)))
    except PayloadInvalidError:
        return
    VERSION.decode(data)


def test_a_value_that_holds_itself_is_refused():
    ring: dict[str, Any] = {"a": 1}
    ring["c"] = [ring]
    refused(ring)
    model = Payload(a=1)
    model.c.append(model)
    refused(model)


def test_a_deep_value_is_refused_with_the_error_of_a_refusal():
    nested: list[Any] = []
    for _ in range(DEEP):
        nested = [nested]
    refused({"a": 1, "c": nested})


# -- NaN, which JSON writers turn into null -----------------------------------------------------------------------


@pytest.mark.parametrize("nan", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("build", "paths"),
    [
        (lambda nan: Payload(a=1, b=nan), ["/b"]),
        (lambda nan: Payload(a=1, c=[1.0, {"x": [nan]}]), ["/c/1/x/0"]),
        (lambda nan: Payload(a=1, c=[Payload(a=2, b=nan)]), ["/c/0/b"]),
        (lambda nan: Payload(a=1, c=[(nan,)]), ["/c/0/0"]),
        (lambda nan: Payload.model_construct(a=1, b=nan), ["/b"]),
        (lambda nan: {"a": 1, "b": nan}, ["/b"]),
        (lambda nan: {"a": 1, "c": [[nan]]}, ["/c/0/0"]),
        (lambda nan: {"a": 1, "c": [Payload(a=2, b=nan)]}, ["/c/0/b"]),
        (lambda nan: {"a": nan}, ["/a"]),
        (lambda nan: nan, [""]),
    ],
    ids=range(10),
)
def test_nan_is_refused_by_its_name(build, paths, nan):
    with pytest.raises(PayloadInvalidError, match="NaN") as caught:
        VERSION.encode(build(nan))
    assert [failure.path for failure in caught.value.failures] == paths


@pytest.mark.parametrize(
    "hidden",
    [
        Reading(math.nan),
        [Reading(math.nan)],
        deque([math.nan]),
        enum.Enum("Constants", {"NAN": math.nan}).NAN,
        frozenset([math.nan]),
    ],
    ids=repr,
)
def test_nan_is_refused_also_inside_of_what_is_no_list_and_no_dict(hidden):
    with pytest.raises(PayloadInvalidError):
        VERSION.encode(Payload(a=1, c=[hidden]))
    with pytest.raises(PayloadInvalidError):
        VERSION.encode({"a": 1, "c": [hidden]})


@pytest.mark.parametrize(
    "schema", [{"type": "array"}, {"type": "array", "prefixItems": [{"type": "number"}]}]
)
def test_nan_is_refused_where_a_schema_says_nothing_of_items(schema):
    refused([1.0, math.nan], registered(schema))


def test_nan_is_refused_where_a_schema_says_nothing_of_fields():
    assert refused({"a": math.nan}, registered({"type": "object"})) == ["/a"]


def test_a_real_null_beside_is_no_nan():
    assert VERSION.encode({"a": 1, "b": None, "c": [None]}) == b'{"a":1,"b":null,"c":[null]}'


# -- models that were changed behind pydantic's back --------------------------------------------------------------


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    a: int
    b: float | None = None


@pytest.mark.parametrize(
    ("name", "value"), [("a", "x"), ("a", 1.5), ("a", None), ("b", math.nan), ("b", "x")]
)
def test_a_frozen_model_that_was_changed_is_refused(name, value):
    model = Frozen(a=1)
    model.__dict__[name] = value
    assert f"/{name}" in refused(model, registered(Frozen))


def test_what_was_put_into_a_model_is_not_sent():
    model = Frozen(a=1)
    model.__dict__["z"] = 1
    assert registered(Frozen).encode(model) == b'{"a":1,"b":null}'


def test_a_subclass_with_another_field_is_refused_and_one_without_is_not():
    wider = type("Wider", (Frozen,), {"__annotations__": {"z": int}, "__module__": __name__})
    same = type("Same", (Frozen,), {"__module__": __name__})
    version = registered(Frozen)
    assert refused(wider(a=1, z=2), version) == ["/z"]
    assert version.encode(same(a=1)) == b'{"a":1,"b":null}'


# -- reading ------------------------------------------------------------------------------------------------------


def test_a_record_that_is_none_is_named_with_its_paths():
    with pytest.raises(DecodeError, match=r"not a Payload: .*/a"):
        VERSION.decode(b'{"b":1}')
    with pytest.raises(DecodeError, match="not a t v1"):
        registered(CLOSED).decode(b'{"b":1}')


@pytest.mark.parametrize("data", [b"", b"\xff", b"null", b"[]", b"{", b'{"a":NaN}'])
def test_bytes_of_any_sort_are_read_or_are_a_decode_error(data):
    with pytest.raises(DecodeError):
        VERSION.decode(data)
    with pytest.raises(DecodeError):
        registered(CLOSED).decode(data)


def test_unchecked_bytes_are_those_of_the_value():
    assert VERSION.dump({"a": "x"}) == b'{"a":"x"}'
    assert VERSION.dump(b"garbage") == b"garbage"
    with pytest.raises(PayloadInvalidError):
        VERSION.dump(object())
