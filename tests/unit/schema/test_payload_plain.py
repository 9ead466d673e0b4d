import enum
import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import BaseModel

from prom_faust.exceptions import SchemaError
from prom_faust.schema.payload.plain import NOT_A_NUMBER, PlainJson, dump_json, load_json, not_finite
from prom_faust.schema.payload.type import DumpError

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


class Inner(BaseModel):
    f: float | None = None


class Text(bytes):
    """Bytes of a class of their own."""


class Named(enum.Enum):
    ONE = 1


@dataclass
class Reading:
    f: float


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [None, True, "é"]}, '{"b":1,"a":[null,true,"é"]}'.encode()),
        ({"a": Inner(f=1)}, b'{"a":{"f":1.0}}'),
        ([Inner()], b'[{"f":null}]'),
        ((1, 2.0, -0.0), b"[1,2.0,-0.0]"),
        (datetime(2020, 1, 1, tzinfo=UTC), b'"2020-01-01T00:00:00+00:00"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (Named.ONE, b"1"),
        ("", b'""'),
        (2**64 - 1, b"18446744073709551615"),
    ],
    ids=repr,
)
def test_a_plain_value_has_one_json(value, expected):
    assert dump_json(value) == expected


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, {"a": {1}}, 2**64, -(2**63) - 1, "\ud800", b"x", {"a": b"x"}, 1j],
    ids=range(9),
)
def test_a_value_without_json_is_refused(value):
    with pytest.raises(DumpError) as caught:
        dump_json(value)
    assert caught.value.failures[0].reason.startswith("no JSON: ")


def test_a_lie_of_a_model_inside_of_a_plain_value_is_refused():
    with pytest.raises(DumpError):
        dump_json({"a": Inner.model_construct(f="x")})


@pytest.mark.parametrize(
    "data", [b"", b"{", b"NaN", b"\xff", b"\xef\xbb\xbf1", b"[1,]", b"1 2", b"1e400", b"tru"]
)
def test_bytes_that_are_no_json_are_refused(data):
    with pytest.raises(DumpError) as caught:
        load_json(data)
    assert caught.value.failures[0].reason.startswith("not JSON: ")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Text])
def test_json_is_read_from_bytes_of_every_kind(kind):
    assert load_json(kind(b'{"a":1}')) == {"a": 1}


@pytest.mark.parametrize("nan", [math.nan, math.inf, -math.inf])
def test_nan_is_found_wherever_it_is(nan):
    value = {"a": nan, "b": [1.0, nan, (nan,)], "c": {"d": Inner(f=nan)}, "e": {nan}}
    found = list(not_finite(value))
    assert [failure.path for failure in found] == ["/a", "/b/1", "/b/2/0", "/c/d/f", "/e/0"]
    assert {failure.reason for failure in found} == {NOT_A_NUMBER}
    assert [failure.path for failure in not_finite(nan)] == [""]


@pytest.mark.parametrize("value", [Reading(math.nan), deque([math.nan])], ids=repr)
def test_nan_is_found_in_whatever_json_is_made_of(value):
    assert list(not_finite(value))


def test_paths_to_nan_are_json_pointers():
    assert [failure.path for failure in not_finite({"a/b~c": math.nan})] == ["/a~1b~0c"]


def test_numbers_and_what_is_none_are_no_nan():
    assert list(not_finite({"a": [1, 1.5, -0.0, None, "NaN", True, Inner()]})) == []


def test_a_json_schema_writes_and_reads_as_it_was_written():
    kind = PlainJson(SCHEMA)
    assert kind.writer is kind.reader is SCHEMA
    assert kind.dump({"a": 1}) == b'{"a":1}'
    assert kind.load(b'{"a":1,"z":null}') == {"a": 1, "z": None}


def test_what_is_read_is_checked():
    with pytest.raises(DumpError) as caught:
        PlainJson(SCHEMA).load(b'{"a":"x"}')
    assert [failure.path for failure in caught.value.failures] == ["/a"]


def test_what_is_no_schema_is_refused():
    with pytest.raises(SchemaError):
        PlainJson({"type": 5})
