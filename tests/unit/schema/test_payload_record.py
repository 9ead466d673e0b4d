"""``faust.Record`` classes as schemas."""

import math
from datetime import datetime
from decimal import Decimal
from typing import Any

import faust
import pytest
from faust.models.fields import IntegerField
from pydantic import BaseModel

from prom_faust.exceptions import DecodeError, PayloadInvalidError, SchemaError
from prom_faust.schema.payload.faust import Record, is_record
from prom_faust.schema.registry import SchemaRegistry


class Point(faust.Record):
    x: int
    f: float | None = None


class Order(faust.Record):
    id: str
    note: str = "none"
    total: float | None = None
    point: Point | None = None
    points: list[Point] = []  # noqa: RUF012 - a field's default


class Bare(faust.Record, include_metadata=False):
    id: str
    at: datetime | None = None
    price: Decimal | None = None


class Dated(faust.Record, coerce=True, isodates=True):
    at: datetime


class Wider(Order):
    z: int = 1


def registered(cls):
    return SchemaRegistry().register("t", cls, version=1)


ORDER = registered(Order)


def refused(value, version=ORDER):
    with pytest.raises(PayloadInvalidError) as caught:
        version.encode(value)
    return [failure.path for failure in caught.value.failures]


def test_what_is_a_record():
    assert is_record(Order)
    for other in (Order(id="x"), BaseModel, dict, None, "Order"):
        assert not is_record(other)


@pytest.mark.parametrize(
    "value",
    [
        Order(id="x"),
        Order(id="x", total=1.5, point=Point(x=1), points=[Point(x=2, f=0.5)]),
        Bare(id="x"),
        Bare(id="x", at=datetime(2020, 1, 1), price=Decimal("1.10")),  # noqa: DTZ001
        Dated(at=datetime(2020, 1, 1)),  # noqa: DTZ001
    ],
    ids=repr,
)
def test_a_record_goes_out_as_faust_writes_it_and_is_read_as_faust_reads_it(value):
    version = registered(type(value))
    data = bytes(version.encode(value))
    assert data == type(value).dumps(value, serializer="json")
    found = version.decode(data)
    assert type(found) is type(value)
    assert found.to_representation() == type(value).loads(data, serializer="json").to_representation()


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        (Order(id=5), ["/id"]),
        (Order(id="x", total="1"), ["/total"]),
        (Order(id="x", points=[Point(x=1), Point(x="y")]), ["/points/1/x"]),
        ({}, ["/id"]),
        ({"id": "x", "z": 1}, ["/z"]),
        (b'{"id":true}', ["/id"]),
        (Wider(id="x"), ["/z"]),
        (None, [""]),
        (Point(x=1), [""]),
    ],
    ids=repr,
)
def test_a_record_that_does_not_obey_its_annotations_is_refused(value, paths):
    found = refused(value)
    assert [path for path in paths if path not in found] == []


@pytest.mark.parametrize("nan", [math.nan, math.inf])
@pytest.mark.parametrize(
    "build",
    [
        lambda nan: Order(id="x", total=nan),
        lambda nan: Order(id="x", point=Point(x=1, f=nan)),
        lambda nan: Order(id="x", points=[Point(x=1, f=nan)]),
        lambda nan: {"id": "x", "total": nan},
        lambda nan: {"id": "x", "points": [{"x": 1, "f": nan}]},
    ],
    ids=range(5),
)
def test_nan_in_a_record_is_refused(build, nan):
    refused(build(nan))


def test_the_name_of_the_class_may_go_along_and_says_nothing_to_the_reader():
    for name in ("os.system", "no.such.class", ""):
        found = ORDER.decode(bytes(ORDER.encode({"id": "x", "__faust": {"ns": name}})))
        assert type(found) is Order
    assert refused({"id": "x", "__faust": "Order"}) == ["/__faust"]


def test_without_metadata_its_field_is_unknown():
    assert refused({"id": "x", "__faust": {"ns": "x"}}, registered(Bare)) == ["/__faust"]


def test_what_is_read_is_checked_for_faust_does_not():
    for data in (
        b'{"id":5}',
        b'{"id":null}',
        b"{}",
        b"null",
        b"[]",
        b"",
        b"\xff",
        b'{"id":"x","points":[{"x":"y"}]}',
    ):
        with pytest.raises(DecodeError):
            ORDER.decode(data)


def test_a_record_that_its_own_class_cannot_build_is_refused():
    class Strict(faust.Record):
        a: int

        def __post_init__(self) -> None:
            if self.a > 5:
                raise KeyError("too much")

    version = registered(Strict)
    version.encode({"a": 5})
    refused({"a": 6}, version)


def test_names_that_pydantic_does_not_take_as_fields_are_fine():
    class Document(faust.Record):
        _id: str
        model_config: int
        schema: Any = None

    names = set(Record(Document).writer["properties"])
    assert {"model_config", "schema"} <= names
    assert registered(Document).decode(b'{"_id":"x","model_config":1}').model_config == 1


@pytest.mark.parametrize(
    "names", [{"output_name": "A"}, {"input_name": "A"}, {"input_name": "A", "output_name": "A"}]
)
def test_a_record_that_is_written_under_a_name_is_refused_or_read_under_it(names):
    class Renamed(faust.Record):
        a: int = IntegerField(required=True, **names)

    try:
        version = registered(Renamed)
        data = bytes(version.encode(Renamed(1)))
    except (SchemaError, PayloadInvalidError):
        return
    assert version.decode(data).a == 1


def test_a_record_that_refers_to_itself_is_refused_with_the_way_out():
    class Node(faust.Record):
        next: "Node | None" = None

    with pytest.raises(SchemaError):
        registered(Node)


def test_a_record_without_json_is_refused():
    version = registered(
        type("Loose", (faust.Record,), {"__annotations__": {"a": Any}, "__module__": __name__})
    )
    for value in (object(), "\ud800", 10**30):
        refused(version.type.cls(a=value), version)
