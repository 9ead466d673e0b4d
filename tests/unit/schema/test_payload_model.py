"""Pydantic models of every sort: what they emit, what the schema admits, and that both can be read."""

import enum
import math
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    SerializeAsAny,
    StrictInt,
    StringConstraints,
    Tag,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
)
from pydantic.dataclasses import dataclass

from prom_faust.exceptions import DecodeError, IncompatibleSchemaError, PayloadInvalidError, SchemaError
from prom_faust.schema.payload.model import Model, model_schema
from prom_faust.schema.registry import SchemaRegistry

T = TypeVar("T")
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


def registered(cls, **options):
    return SchemaRegistry().register("t", cls, version=1, **options)


def of(kind, **config):
    """A model with one field ``a``."""
    return create_model("Payload", __config__=ConfigDict(**config), a=(kind, ...))


def round_trip(value, **options):
    version = registered(type(value), **options)
    data = bytes(version.encode(value))
    found = version.decode(data)
    assert found == value, data
    return data


def refused(value, version):
    with pytest.raises(PayloadInvalidError) as caught:
        version.encode(value)
    return [failure.path for failure in caught.value.failures]


def refused_or_read(value, version):
    """Nobody gets a record that the model cannot read."""
    try:
        data = bytes(version.encode(value))
    except PayloadInvalidError:
        return
    version.decode(data)


# -- fields -------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, -(10**40)),
        (float, -0.0),
        (str, "é\x00😀"),
        (bytes, b"text"),
        (bool, True),
        (date, date(2020, 2, 29)),
        (datetime, datetime(2020, 1, 1)),  # noqa: DTZ001 - a time without a zone is one
        (datetime, NOON),
        (AwareDatetime, NOON),
        (Decimal, Decimal("1.10")),
        (UUID, UUID(int=1)),
        (Colour, Colour.TWO),
        (Literal["x", 1], 1),
        (Literal["x"] | None, None),
        (int | str, "5"),
        (set[int], {1, 2}),
        (tuple[int, str], (1, "x")),
        (deque[int], deque([1])),
        (dict[str, list[float | None]], {"x": [1.0, None]}),
        (dict[int, float], {1: 2.0}),
        (Any, {"x": [1, None]}),
    ],
    ids=repr,
)
def test_a_value_of_a_field_goes_there_and_back(kind, value):
    round_trip(of(kind)(a=value))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, "1"),
        (int, True),
        (int, 1.5),
        (float, True),
        (float, "1.5"),
        (bool, 1),
        (bool, "true"),
        (str, 1),
        (Decimal, 1.5),
        (Decimal, "x"),
        (Decimal, "NaN"),
        (UUID, "x"),
        (date, "2020-02-30"),
        (datetime, 5),
        (datetime, "yesterday"),
        (AwareDatetime, "2020-01-01T00:00:00"),
        (Colour, "RED"),
        (Colour, True),
        (Literal[1], True),
        (Literal["x"], "X"),
        (set[int], [1, 1]),
        (tuple[int, str], [1]),
        (Annotated[int, Field(ge=0)], -1),
        (Annotated[str, Field(min_length=2)], "x"),
        (Annotated[str, Field(pattern=r"^\d+$")], "1\n"),
        (Annotated[str, Field(pattern=r"^\d+$")], "x1"),
        (Annotated[int, Field(multiple_of=3)], 4),
        (Annotated[list[int], Field(max_length=1)], [1, 2]),
    ],
    ids=repr,
)
def test_a_plain_value_that_the_field_s_schema_does_not_admit_is_refused(kind, value):
    assert refused({"a": value}, registered(of(kind)))[0].startswith("/a")


UNREADABLE = {
    "an integer written as a huge float": (of(int), {"a": 1e19}),
    "an integer written with an exponent": (of(int), b'{"a":1e308}'),
    "a float for a strict integer": (of(StrictInt), {"a": 1.0}),
    "a float in a strict model": (of(int, strict=True), {"a": 1.0}),
    "a key that is no number": (of(dict[int, int]), {"a": {"x": 1}}),
    "a key that is no bool": (of(dict[bool, int]), {"a": {"x": 1}}),
    "white space that is stripped": (
        of(Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]),
        {"a": " "},
    ),
    "white space that the model strips": (
        of(Annotated[str, Field(min_length=1)], str_strip_whitespace=True),
        {"a": " "},
    ),
    "a float for a callable discriminator": (
        of(
            Annotated[
                Annotated[int, Tag("i")] | Annotated[str, Tag("s")],
                Discriminator(lambda value: "i" if type(value) is int else "s"),
            ]
        ),
        {"a": 1.0},
    ),
    "a schema that was written over": (
        of(Annotated[int, Field(json_schema_extra={"type": "string"})]),
        {"a": "x"},
    ),
    "a default that is no value": (
        create_model("Payload", a=(int, Field(default="x", validate_default=True))),
        {},
    ),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_the_schema_admits_and_the_model_cannot_read_is_refused(what):
    cls, value = UNREADABLE[what]
    refused_or_read(value, registered(cls))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 1e19),
        (StrictInt, 1.0),
        (dict[int, int], {"x": 1}),
        (Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], " "),
        (Annotated[int, Field(json_schema_extra={"type": "number"})], 1.5),
        (float, 10**400),
    ],
    ids=range(6),
)
def test_a_model_that_was_never_validated_is_refused_or_can_be_read(kind, value):
    cls = of(kind)
    refused_or_read(cls.model_construct(a=value), registered(cls))


class Started(BaseModel):
    a: int

    def model_post_init(self, _context: Any) -> None:
        if self.a > 5:
            raise ValueError("too much")


class Built(BaseModel):
    a: int

    def __init__(self, **fields: Any) -> None:
        if fields.get("a", 0) > 5:
            raise ValueError("too much")
        super().__init__(**fields)


class Validated(BaseModel):
    a: int

    @field_validator("a")
    @classmethod
    def small(cls, value):
        if value > 5:
            raise ValueError("too much")
        return value


@pytest.mark.parametrize("cls", [Started, Built, Validated])
def test_code_of_the_model_that_refuses_refuses_the_send(cls):
    version = registered(cls)
    version.encode({"a": 5})
    refused({"a": 6}, version)
    changed = cls(a=5)
    changed.__dict__["a"] = 6
    refused(changed, version)


def test_a_validator_that_breaks_is_a_refusal_and_a_decode_error():
    class Broken(BaseModel):
        a: int

        @field_validator("a")
        @classmethod
        def check(cls, _value):
            raise RuntimeError("out of order")

    version = registered(Broken)
    refused({"a": 1}, version)
    with pytest.raises(DecodeError):
        version.decode(b'{"a":1}')


def test_a_model_too_deep_to_be_read_is_refused():
    class Node(BaseModel):
        next: "Node | None" = None

    version = registered(Node)
    for deep in (100, 250):
        nested: dict[str, Any] = {}
        for _ in range(deep):
            nested = {"next": nested}
        refused_or_read(nested, version)


@pytest.mark.parametrize(("kind", "value"), [(Colour, "red"), (UUID, str(UUID(int=1))), (date, "2020-01-01")])
def test_a_model_that_holds_a_value_of_another_type_is_refused_even_if_its_json_would_obey(kind, value):
    cls = of(kind)
    version = registered(cls)
    version.encode({"a": value})
    refused(cls.model_construct(a=value), version)


# -- models in models ---------------------------------------------------------------------------------------------


class Inner(BaseModel):
    x: int
    f: float | None = None


class Outer(BaseModel):
    inner: Inner
    more: list[Inner] = []


class Wider(Inner):
    secret: str = "s"


def test_a_nested_model_goes_there_and_back():
    assert (
        round_trip(Outer(inner=Inner(x=1), more=[Inner(x=2)]))
        == b'{"inner":{"x":1,"f":null},"more":[{"x":2,"f":null}]}'
    )


def test_a_lie_deep_inside_is_named():
    version = registered(Outer)
    lie = Inner.model_construct(x="1")
    assert refused(Outer.model_construct(inner=lie, more=[lie]), version) == ["/inner/x", "/more/0/x"]
    assert refused({"inner": {"x": 1, "z": 0}, "more": [{}]}, version) == ["/inner/z", "/more/0/x"]


def test_a_field_of_a_subclass_is_not_sent_or_is_refused():
    assert registered(Outer).encode(Outer(inner=Wider(x=1))) == b'{"inner":{"x":1,"f":null},"more":[]}'
    loose = create_model("Loose", inner=(SerializeAsAny[Inner], ...))
    assert refused(loose(inner=Wider(x=1)), registered(loose)) == ["/inner/secret"]


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    weight: float | None = None


class Zoo(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    others: list[Cat | Dog] = []


def test_unions_go_there_and_back():
    round_trip(Zoo(pet=Dog(weight=1.5), others=[Dog(), Cat()]))


def test_a_member_of_a_union_that_lies_is_refused():
    assert refused(Zoo.model_construct(pet=Dog.model_construct(weight="x")), registered(Zoo)) == ["/pet"]
    assert refused(Zoo(pet=Dog(weight=math.nan)), registered(Zoo)) == ["/pet/weight"]


def test_a_member_of_a_union_without_its_tag_is_refused():
    refused_or_read({"pet": {"weight": 1.0}}, registered(Zoo))


class Node(BaseModel):
    value: int
    next: "Node | None" = None


def test_a_recursive_model_goes_there_and_back():
    round_trip(Node(value=1, next=Node(value=2)))
    ring = Node(value=1)
    ring.next = ring
    refused(ring, registered(Node))


class Box(BaseModel, Generic[T]):
    item: T


def test_a_generic_model_is_the_type_it_was_made_for():
    version = registered(Box[int])
    assert version.encode(Box[int](item=1)) == b'{"item":1}'
    assert version.encode(Box(item=1)) == b'{"item":1}'
    assert refused(Box[str](item="x"), version) == ["/item"]
    assert refused(Box(item="x"), version) == ["/item"]


def test_a_root_model_is_its_root():
    class Readings(RootModel[list[float | None]]):
        pass

    assert round_trip(Readings([1.0, None])) == b"[1.0,null]"
    version = registered(Readings)
    assert version.encode([1.0]) == b"[1.0]"
    assert refused({"root": [1.0]}, version) == [""]
    with pytest.raises(PayloadInvalidError, match="NaN") as caught:
        version.encode(Readings([math.nan]))
    assert [failure.path for failure in caught.value.failures] == ["/0"]


# -- fields that are not the model's ------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", ["ignore", "forbid"])
def test_an_unknown_field_is_refused(extra):
    version = registered(of(int, extra=extra))
    assert refused({"a": 1, "z": 1}, version) == ["/z"]
    assert refused(b'{"a":1,"z":1}', version) == ["/z"]


def test_an_unknown_field_goes_there_and_back_where_the_model_allows_it():
    cls = of(int, extra="allow")
    assert round_trip(cls(a=1, z=[None, {"y": 2}])) == b'{"a":1,"z":[null,{"y":2}]}'
    assert registered(cls).encode({"a": 1, "z": 1}) == b'{"a":1,"z":1}'


@pytest.mark.parametrize("hidden", [math.nan, [math.inf], {"y": math.nan}, (math.nan,)], ids=repr)
def test_nan_in_an_extra_is_refused(hidden):
    cls = of(int, extra="allow")
    version = registered(cls)
    assert refused(cls(a=1, z=hidden), version)[0].startswith("/z")
    assert refused({"a": 1, "z": hidden}, version)[0].startswith("/z")


@pytest.mark.parametrize("value", [object, object(), b"\xff", "\ud800"], ids=range(4))
def test_an_extra_without_json_is_refused(value):
    cls = of(int, extra="allow")
    refused(cls(a=1, z=value), registered(cls))


def test_extras_of_a_type_are_of_that_type():
    class Numbers(BaseModel):
        model_config = ConfigDict(extra="allow")
        __pydantic_extra__: dict[str, float]

    version = registered(Numbers)
    assert version.encode({"x": 1.5}) == b'{"x":1.5}'
    for value in ("x", None, math.nan):
        assert refused({"x": value}, version) == ["/x"]


# -- names --------------------------------------------------------------------------------------------------------


def test_an_alias_is_the_name_on_the_wire():
    cls = create_model("Payload", a=(int, Field(alias="A")))
    assert round_trip(cls(A=1)) == b'{"A":1}'
    assert refused({"a": 1}, registered(cls)) == ["/A", "/a"]


@pytest.mark.parametrize(
    "field",
    [
        Field(alias="written", validation_alias="read"),
        Field(serialization_alias="written"),
        Field(validation_alias=AliasPath("a", 0)),
        Field(validation_alias=AliasChoices("x", "y"), serialization_alias="z"),
    ],
    ids=range(4),
)
def test_a_required_field_that_is_written_under_a_name_it_is_not_read_under_is_refused(field):
    with pytest.raises(SchemaError, match="a is written as"):
        registered(create_model("Payload", a=(int, field)))


def test_an_optional_one_is_refused_as_well_for_its_value_would_be_lost():
    with pytest.raises(SchemaError):
        registered(
            create_model("Payload", a=(int, Field(default=0, alias="written", validation_alias="read")))
        )


# -- what is computed or written by hand --------------------------------------------------------------------------


class Computed(BaseModel):
    a: int

    @computed_field
    @property
    def twice(self) -> int:
        return 2 * self.a


class ComputedNaN(BaseModel):
    a: int

    @computed_field
    @property
    def share(self) -> float | None:
        return math.nan if self.a else None


def test_a_computed_field_is_sent_and_belongs_to_the_schema():
    assert round_trip(Computed(a=1)) == b'{"a":1,"twice":2}'
    version = registered(Computed)
    assert refused({"a": 1}, version) == ["/twice"]
    assert refused({"a": 1, "twice": "2"}, version) == ["/twice"]


def test_a_computed_field_that_the_model_itself_would_refuse_is_refused_at_registration():
    class Closed(Computed):
        model_config = ConfigDict(extra="forbid")

    for cls in (Closed, create_model("Around", inner=(Closed, ...))):
        with pytest.raises(IncompatibleSchemaError, match="twice"):
            registered(cls)


def test_nan_in_a_computed_field_is_refused():
    version = registered(ComputedNaN)
    assert version.encode(ComputedNaN(a=0)) == b'{"a":0,"share":null}'
    refused(ComputedNaN(a=1), version)


class WrittenNaN(BaseModel):
    a: float | None

    @field_serializer("a")
    def write(self, value):
        return math.nan if value == 1 else value


def test_nan_that_a_serializer_gives_is_refused():
    version = registered(WrittenNaN)
    assert version.encode(WrittenNaN(a=None)) == b'{"a":null}'
    refused(WrittenNaN(a=1), version)


def test_null_that_a_serializer_gives_for_nan_on_purpose_is_sent():
    class Careful(BaseModel):
        a: float | None

        @field_serializer("a")
        def write(self, value) -> float | None:
            return None if value is None or math.isnan(value) else value

    assert registered(Careful).encode(Careful(a=math.nan)) == b'{"a":null}'


@dataclass
class Reading:
    x: float | None = None


def test_nan_in_a_dataclass_or_a_deque_is_refused():
    cls = create_model("Payload", a=(Reading | None, None), b=(deque[float | None], deque()))
    version = registered(cls)
    version.encode(cls(a=Reading(1.0), b=deque([1.0])))
    refused(cls(a=Reading(math.nan)), version)
    refused(cls(b=deque([math.nan])), version)


@pytest.mark.parametrize("mode", ["constants", "strings"])
def test_nan_is_refused_however_the_model_would_write_it(mode):
    cls = of(float | None, ser_json_inf_nan=mode)
    refused(cls(a=math.nan), registered(cls))


def test_what_a_serializer_adds_is_refused_at_registration_or_at_the_send():
    class Adding(BaseModel):
        a: int

        @model_serializer(mode="wrap")
        def write(self, handler):
            return handler(self) | {"z": 1}

    assert refused(Adding(a=1), registered(Adding)) == ["/z"]


def test_a_serializer_that_the_model_cannot_read_is_refused_at_registration():
    class Writing(BaseModel):
        a: float

        @field_serializer("a")
        def write(self, value) -> str:
            return str(value)

    with pytest.raises(IncompatibleSchemaError, match="/a"):
        registered(Writing)


def test_a_serializer_that_breaks_is_a_refusal():
    class Broken(BaseModel):
        a: int

        @field_serializer("a")
        def write(self, _value) -> int:
            raise KeyError("x")

    refused(Broken(a=1), registered(Broken))


def test_a_type_without_json_schema_is_refused_at_registration():
    with pytest.raises(SchemaError, match="has no JSON Schema"):
        registered(of(Callable[[], int]))


# -- None ---------------------------------------------------------------------------------------------------------


def test_exclude_none_leaves_fields_out():
    cls = create_model("Payload", a=(int, ...), b=(int | None, None))
    assert round_trip(cls(a=1), exclude_none=True) == b'{"a":1}'
    assert registered(cls, exclude_none=True).encode({"a": 1, "b": None}) == b'{"a":1,"b":null}'
    assert refused(cls.model_construct(a=None), registered(cls, exclude_none=True)) == ["/a"]


def test_exclude_none_does_not_hide_nan():
    cls = of(float | None)
    version = registered(create_model("Payload", __base__=cls, a=(float | None, None)), exclude_none=True)
    refused({"a": math.nan}, version)
    refused(version.type.cls(a=math.nan), version)


def test_a_required_field_that_exclude_none_leaves_out_is_refused():
    cls = of(int | None)
    assert refused(cls(a=None), registered(cls, exclude_none=True)) == ["/a"]


def test_exclude_none_never_turns_none_into_a_default():
    cls = create_model("Payload", a=(int | None, 5))
    try:
        version = registered(cls, exclude_none=True)
        data = bytes(version.encode(cls(a=None)))
    except (SchemaError, PayloadInvalidError):
        return
    assert version.decode(data) == cls(a=None)


# -- the schema ---------------------------------------------------------------------------------------------------


def test_what_is_emitted_is_closed_and_what_is_accepted_is_the_model_s():
    kind = Model(Outer)
    assert kind.writer["additionalProperties"] is False
    assert kind.writer["$defs"]["Inner"]["additionalProperties"] is False
    assert "additionalProperties" not in kind.reader
    assert model_schema(of(int, extra="allow"), closed=True)["additionalProperties"] is True


def test_a_validator_is_not_applied_twice_to_what_is_sent():
    version = registered(of(Annotated[int, BeforeValidator(lambda value: value * 2)]))
    assert version.encode({"a": 1}) == b'{"a":1}'
