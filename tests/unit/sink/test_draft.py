"""Documents that are encoded later: none of them fails then."""

import enum
import json
import math
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasGenerator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)

from benchmarks.schema import Process
from prom_faust.exceptions import RecordError
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder, drafter
from prom_faust.sink.draft import DRAFT, can_wait, is_plain
from prom_faust.sink.options import ChangelogOptions

TEXTS = st.one_of(
    st.text(max_size=8), st.sampled_from(["_id", "$a", "a.b", "", "\0", "\ud800", "1e9", "9" * 20, "\\u0000"])
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**63, 2**63 - 1, -(2**63), 10**18, 10**17, 10**25, 0.1]),
)
LITERALS = st.sampled_from(
    [b"1e309", b"-1E+400", b"1e5", b"1" + b"0" * 400, b"1" + b"0" * 400 + b".5", b"Infinity", b"NaN", b"1e22"]
)


def dump(value):
    """As a careless producer writes it: any integer, half a surrogate pair, and bytes as they are."""
    match value:
        case bytes():
            return value
        case dict():
            return b"{" + b",".join(dump(name) + b":" + dump(inner) for name, inner in value.items()) + b"}"
        case list():
            return b"[" + b",".join(map(dump, value)) + b"]"
    return json.dumps(value).encode()


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, LITERALS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


class Inner(BaseModel):
    model_config = ConfigDict(extra="allow")

    number: int | None = None


class Loose(BaseModel):
    """One field of every kind, none of them required."""

    a: Any = None
    integer: int = 0
    number: float = 0.0
    text: str = ""
    truth: bool = False
    kind: Literal["x", "y", 1, True] | None = None
    inner: Inner | None = None
    many: list[Inner | int | str] = []
    named: dict[str, float] = {}
    type: int | None = None
    metadata: dict[str, Any] = {}
    default: int = Field(default=1, alias="fields", serialization_alias="written")


FIELDS = st.dictionaries(
    st.one_of(st.sampled_from([*Loose.model_fields, "fields", "_id"]), TEXTS),
    st.one_of(VALUES, st.dictionaries(st.sampled_from(["number", "x"]), VALUES, max_size=2)),
    max_size=4,
)


def compared(options, value):
    """Whether a draft was made of a record; what can be said of it must be what the decoder says."""
    record = PlainRecord("t", 0, 5, key=b"k", value=value)
    try:
        draft = drafter(options)(record)
    except RecordError as error:
        with pytest.raises(type(error)):
            decoder(options)(record)
        return False
    change = decoder(options)(record)  # which must not fail if there is a draft
    if draft.body != DRAFT:
        assert draft == change
        return False
    assert (draft.key, draft.n, draft.version, draft.deletes) == (change.key, change.n, change.version, False)
    assert change.body
    return True


@settings(max_examples=600, deadline=None)
@given(FIELDS.map(dump))
@example(b'{"a": {"_id": 1}}')
@example(b'{"_id": 1}')
@example(b'{"\\u005fid": 1}')
@example(b'{"a": 1e309}')
@example(b'{"integer": 1e22}')
@example(b'{"number": "1e999"}')
@example(b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}")
@example(b"[1]")
@example(b"3")
@example(b"")
@example(b'{"_deleted": true}')
@pytest.mark.parametrize("model", [None, Loose, Inner])
@pytest.mark.parametrize("mapped", [None, ["a", "text"]])
def test_what_is_drafted_can_be_encoded_and_what_is_bad_is_found_at_once(model, mapped, value):
    compared(ChangelogOptions(topic="t", collection="c", model=model, map=mapped), value)


@pytest.mark.parametrize("model", [None, Process])
def test_most_documents_can_wait(model):
    fields = {"id": "a", "host": "h", "name": "n", "pid": 1, "state": "running", "cpu": 1.5, "memory": 2**40}
    fields |= {"threads": 3, "started": 1_700_000_000_000, "command": "/bin/sh -c 'x'"}
    options = ChangelogOptions(topic="t", collection="c", model=model)
    assert compared(options, orjson.dumps(fields))
    assert not compared(options, orjson.dumps({**fields, "command": "x" * 70_000}))
    assert not compared(options, orjson.dumps({**fields, "memory": 2**63 - 1}))


def test_versions_keys_and_tombstones_are_decided_at_once():
    options = ChangelogOptions(
        topic="t", collection="c", key_of="id", version_of="v", tombstone=lambda event: event.get("gone")
    )
    assert compared(options, b'{"id": "k", "v": 7}')
    for bad in (b'{"id": "other", "v": 7}', b'{"id": "k"}', b'{"id": "k", "v": "x"}', b"{"):
        with pytest.raises(RecordError):
            drafter(options)(PlainRecord("t", 0, 0, key=b"k", value=bad))
    assert drafter(options)(PlainRecord("t", 0, 0, key=b"k", value=b'{"id":"k","v":1,"gone":true}')).deletes


class Colour(enum.Enum):
    RED = "red"


class WithDecimal(BaseModel):
    a: Decimal


class WithDate(BaseModel):
    a: datetime


class WithEnum(BaseModel):
    a: Colour


class WithEnumLiteral(BaseModel):
    a: Literal[Colour.RED]


class WithSet(BaseModel):
    a: set[int]


class WithNumberedNames(BaseModel):
    a: dict[int, int]


class WithValidator(BaseModel):
    a: int

    @field_validator("a")
    @classmethod
    def large(cls, value):
        return value + 2**63


class WithModelValidator(BaseModel):
    @model_validator(mode="after")
    def change(self):
        return self


class WithSerializer(BaseModel):
    a: int

    @field_serializer("a")
    def large(self, value):
        return value + 2**63


class WithInnerSerializer(BaseModel):
    metadata: list[WithSerializer]


class WithAnnotation(BaseModel):
    fields: Annotated[int, PlainSerializer(lambda value: value + 2**63)]


class WithComputed(BaseModel):
    a: int

    @computed_field
    @property
    def large(self) -> int:
        return self.a + 2**63


class WithInit(BaseModel):
    a: int

    def model_post_init(self, _):
        self.a += 2**63


class WithLongNames(BaseModel):
    model_config = ConfigDict(alias_generator=AliasGenerator(serialization_alias=lambda name: name * 100))

    a: int


class WithId(BaseModel):
    a: int = Field(serialization_alias="_id")


class WithDump(BaseModel):
    a: int

    def model_dump(self, **_):
        return {"a": math.inf}


class OfWithDump(WithDump):
    b: int


class Root(RootModel[dict[str, int]]):
    pass


@pytest.mark.parametrize(
    "model",
    [
        *(WithDecimal, WithDate, WithEnum, WithEnumLiteral, WithSet, WithNumberedNames, WithValidator),
        *(WithModelValidator, WithSerializer, WithInnerSerializer, WithAnnotation, WithComputed, WithInit),
        *(WithLongNames, WithId, WithDump, OfWithDump, Root),
    ],
    ids=lambda model: model.__name__,
)
def test_a_model_that_does_more_than_check_never_waits(model):
    assert not is_plain(model)
    assert not can_wait(model, None)


@pytest.mark.parametrize("model", [Process, Loose, Inner])
def test_a_model_that_only_checks_can_wait(model):
    assert is_plain(model)
    assert can_wait(model, ["a"])


def test_no_document_of_a_map_that_can_fail_waits():
    assert not can_wait(None, lambda event: event)
    assert not can_wait(None, Inner)
    options = ChangelogOptions(topic="t", collection="c", write="insert")
    assert not compared(options, b'{"a": 1}')
