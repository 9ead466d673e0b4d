"""Payloads by chance: what is sent obeys the schema of its version, and the model reads it.

The validator here is the package's own, compiled again from the schema as it is published, and is asked what it says
of the bytes that were let through.
"""

import math
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema_rs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field

from prom_faust.exceptions import DecodeError, PayloadInvalidError
from prom_faust.schema.registry import SchemaRegistry
from prom_faust.schema.tombstone import is_tombstone
from prom_faust.schema.version import SchemaVersion


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    x: int
    y: float | None = None


class Nested(BaseModel):
    inner: Inner
    many: list[Inner] = []
    named: dict[str, Inner | None] = {}


class Optional(BaseModel):
    a: int | None = None
    b: str | None = "b"
    c: list[float | None] | None = None


class Chosen(BaseModel):
    colour: Colour
    level: Literal["low", "high", 3]
    either: int | str | bool


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    weight: float | None = None


class Tagged(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Constrained(BaseModel):
    count: Annotated[int, Field(ge=0, le=100)]
    share: Annotated[float, Field(gt=0, lt=1)]
    code: Annotated[str, Field(min_length=1, max_length=5)]
    some: Annotated[list[int], Field(min_length=1, max_length=3)]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Ignoring(BaseModel):
    model_config = ConfigDict(extra="ignore")
    a: int


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    a: int
    inner: Inner


class Aliased(BaseModel):
    process_id: str = Field(alias="processId")
    mem_mb: float = Field(default=0.0, alias="mem-mb")


class Computed(BaseModel):
    a: int

    @computed_field
    @property
    def even(self) -> bool:
        return self.a % 2 == 0


class Typed(BaseModel):
    at: datetime
    day: date
    price: Decimal
    id: UUID


class Series(RootModel[list[Inner]]):
    pass


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
INNERS = st.builds(Inner, x=INTEGERS, y=st.none() | NUMBERS)

VALID: dict[type[BaseModel], st.SearchStrategy[BaseModel]] = {
    Nested: st.builds(
        Nested,
        inner=INNERS,
        many=st.lists(INNERS, max_size=3),
        named=st.dictionaries(TEXT, st.none() | INNERS, max_size=3),
    ),
    Optional: st.builds(
        Optional,
        a=st.none() | INTEGERS,
        b=st.none() | TEXT,
        c=st.none() | st.lists(st.none() | NUMBERS, max_size=3),
    ),
    Chosen: st.builds(
        Chosen,
        colour=st.sampled_from(Colour),
        level=st.sampled_from(["low", "high", 3]),
        either=INTEGERS | TEXT | st.booleans(),
    ),
    Tagged: st.builds(
        Tagged,
        pet=st.builds(Cat, kind=st.just("cat"), lives=INTEGERS)
        | st.builds(Dog, kind=st.just("dog"), weight=st.none() | NUMBERS),
    ),
    Constrained: st.builds(
        Constrained,
        count=st.integers(0, 100),
        share=st.floats(0, 1, exclude_min=True, exclude_max=True),
        code=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
        some=st.lists(INTEGERS, min_size=1, max_size=3),
    ),
    Open: st.builds(
        lambda a, extras: Open(a=a, **extras),
        INTEGERS,
        st.dictionaries(TEXT.map("x{}".format), JSON, max_size=3),
    ),
    Ignoring: st.builds(Ignoring, a=INTEGERS),
    Closed: st.builds(Closed, a=INTEGERS, inner=INNERS),
    Aliased: st.builds(lambda name, mem: Aliased(processId=name, **{"mem-mb": mem}), TEXT, NUMBERS),
    Computed: st.builds(Computed, a=INTEGERS),
    Typed: st.builds(
        Typed,
        at=st.datetimes() | st.datetimes(timezones=st.just(UTC)),
        day=st.dates(),
        price=st.decimals(allow_nan=False, allow_infinity=False, places=2),
        id=st.uuids(),
    ),
    Series: st.builds(Series, st.lists(INNERS, max_size=3)),
}
VERSIONS = {
    cls: SchemaRegistry().register(cls.__name__.lower(), cls, version=number)
    for number, cls in enumerate(VALID, start=1)
}
VALIDATORS = {
    cls: jsonschema_rs.validator_for(orjson.loads(orjson.dumps(version.schema)))
    for cls, version in VERSIONS.items()
}

ODD = st.sampled_from([math.nan, object(), b"\xff", "\ud800", 10**30, 1.0, True])
each_model = pytest.mark.parametrize("cls", VALID, ids=lambda cls: cls.__name__)
often = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def let_through(cls: type[BaseModel], value: Any) -> bytes | None:
    """What would be sent, which then obeys and can be read; None where it is refused."""
    version = VERSIONS[cls]
    try:
        data = bytes(version.encode(value))
    except PayloadInvalidError as error:
        return refused(version, error)
    assert VALIDATORS[cls].is_valid(orjson.loads(data)), data
    try:
        version.decode(data)
    except DecodeError as error:
        raise AssertionError(f"sent, and cannot be read: {data!r}: {error}") from error
    return data


def refused(version: SchemaVersion, error: PayloadInvalidError) -> None:
    assert (error.topic, error.version) == (version.topic, version.number)
    assert error.failures


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from paths(inner, (*path, step))


def changed(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    """A copy in which the value at a path is what the change makes of it."""
    if not path:
        return change(value)
    copy = deepcopy(value)
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = change(holder[path[-1]])
    return copy


@each_model
@given(data=st.data())
@often
def test_a_valid_instance_goes_there_and_back(cls, data):
    value = data.draw(VALID[cls])
    sent = let_through(cls, value)
    assert sent is not None
    assert VERSIONS[cls].decode(sent) == value


@each_model
@given(data=st.data())
@often
def test_its_json_goes_the_same_way_as_a_dict_and_as_bytes(cls, data):
    sent = bytes(VERSIONS[cls].encode(data.draw(VALID[cls])))
    assert let_through(cls, sent) == sent
    assert let_through(cls, orjson.loads(sent)) is not None


@each_model
@given(JSON)
@often
def test_any_json_is_refused_or_obeys_and_can_be_read(cls, value):
    as_dict, as_bytes = let_through(cls, value), let_through(cls, orjson.dumps(value))
    assert as_dict == as_bytes


@each_model
@given(st.binary(max_size=30))
@often
def test_any_bytes_are_refused_or_obey_and_can_be_read(cls, data):
    let_through(cls, data)


@given(st.binary(max_size=30) | JSON.map(orjson.dumps))
@often
def test_what_deletes_is_json(data):
    if is_tombstone(data):
        assert orjson.loads(data) is None or orjson.loads(data)["_deleted"] is True


@each_model
@given(data=st.data())
@often
def test_a_payload_that_was_changed_is_refused_or_obeys_and_can_be_read(cls, data):
    value = orjson.loads(bytes(VERSIONS[cls].encode(data.draw(VALID[cls]))))
    path = data.draw(st.sampled_from(list(paths(value))))
    other = data.draw(JSON | st.sampled_from([1e19, -1e30, 1.0, True, "1", "", {}, [], 2**63]))
    wrong = changed(value, path, lambda _: other)
    let_through(cls, wrong)
    let_through(cls, orjson.dumps(wrong))


@each_model
@given(data=st.data())
@often
def test_a_field_that_is_missing_or_unknown_is_refused_unless_the_schema_says_so(cls, data):
    value = orjson.loads(bytes(VERSIONS[cls].encode(data.draw(VALID[cls]))))
    objects = [path for path in paths(value) if isinstance(at(value, path), dict)]
    if not objects:
        return
    path = data.draw(st.sampled_from(objects))
    wider = changed(value, path, lambda found: {**found, "no such field": data.draw(JSON)})
    let_through(cls, wider)
    fields = list(at(value, path))
    if fields:
        gone = data.draw(st.sampled_from(fields))
        let_through(cls, changed(value, path, lambda found: {k: v for k, v in found.items() if k != gone}))


@each_model
@given(data=st.data())
@often
def test_nan_anywhere_is_refused(cls, data):
    value = orjson.loads(bytes(VERSIONS[cls].encode(data.draw(VALID[cls]))))
    path = data.draw(st.sampled_from(list(paths(value))))
    nan = data.draw(st.sampled_from([math.nan, math.inf, -math.inf, [math.nan], {"n": math.inf}]))
    assert let_through(cls, changed(value, path, lambda _: nan)) is None


@each_model
@given(data=st.data())
@often
def test_a_model_that_was_tampered_with_is_refused_or_obeys_and_can_be_read(cls, data):
    value = data.draw(VALID[cls])
    name = data.draw(st.sampled_from(sorted(value.__dict__)))
    value.__dict__[name] = data.draw(JSON | ODD)
    let_through(cls, value)


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value
