from datetime import datetime
from typing import Annotated, Literal, Union

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from prom_faust.schema.compatibility import incompatibilities


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cat(Closed):
    kind: Literal["cat"]
    lives: int


class Dog(Closed):
    kind: Literal["dog"]
    name: str


class DogWithAge(Closed):
    kind: Literal["dog"]
    name: str
    age: int = 0


class NumberedDog(Closed):
    kind: Literal["dog"]
    name: int


class Cow(Closed):
    kind: Literal["cow"]
    milk: float


class Tree(Closed):
    value: int
    children: list["Tree"] = []


class WideTree(Closed):
    value: int | None
    children: list["WideTree"] = []


class Point(Closed):
    x: int


class Point3(Closed):
    x: int
    z: int


def tagged(*models):
    return Annotated[Union[models], Field(discriminator="kind")]  # noqa: UP007


def field(annotation, default=..., extra="forbid"):
    """The schema of a model with this field, beside another one that never changes."""
    fields = {"same": (str, ...), "field": (annotation, default)}
    return create_model("Model", __config__=ConfigDict(extra=extra), **fields).model_json_schema()


def without(extra="forbid"):
    return create_model("Model", __config__=ConfigDict(extra=extra), same=(str, ...)).model_json_schema()


def found(reader, writer):
    return [(finding.path, finding.rule) for finding in incompatibilities(reader, writer)]


OPTIONAL = field(int | None, None)

COMPATIBLE = {
    "an-optional-field-added-to-a-closed-writer": (field(int, 0, extra="ignore"), without()),
    "an-optional-field-added-to-a-closed-pair": (OPTIONAL, without()),
    "a-field-removed-from-an-open-reader": (without("ignore"), OPTIONAL),
    "a-default-given": (field(int, 3), field(int)),
    "an-optional-value": (field(int | None), field(int)),
    "a-wider-number": (field(float), field(int)),
    "a-wider-literal": (field(Literal["a", "b", "c"]), field(Literal["a", "c"])),
    "any-text-instead-of-a-literal": (field(str), field(Literal["a", "c"])),
    "any-text-instead-of-a-time": (field(str), field(datetime)),
    "a-time-or-a-literal": (field(datetime | Literal["never"]), field(Literal["never"])),
    "a-wider-union": (field(int | str | None), field(str | None)),
    "a-bound-said-otherwise": (field(Annotated[int, Field(ge=1)]), field(Annotated[int, Field(gt=0)])),
    "a-nested-model": (field(Point | None), field(Point)),
    "a-wider-tagged-union": (field(tagged(Cat, Dog, Cow)), field(tagged(Cat, Dog))),
    "a-tagged-union-instead-of-one": (field(tagged(Cat, Dog)), field(Dog)),
    "a-tagged-model-grows": (field(tagged(Cat, DogWithAge)), field(tagged(Cat, Dog))),
    "a-recursive-model": (WideTree.model_json_schema(), Tree.model_json_schema()),
    "a-dict-with-listed-keys": (field(dict[Literal["a", "b"], int]), field(dict[Literal["a"], int])),
    "a-list-instead-of-a-tuple": (field(list[int | str]), field(tuple[int, str])),
    "a-list-instead-of-a-set": (field(list[int]), field(set[int])),
}

INCOMPATIBLE = {
    "an-optional-field-added-to-an-open-pair": (
        field(int, 0, extra="ignore"),
        without("ignore"),
        [("/field", "open-object")],
    ),
    "a-field-unknown-to-a-closed-reader": (without(), OPTIONAL, [("/field", "property-removed")]),
    "a-reader-is-closed": (without(), without("ignore"), [("", "closed-object")]),
    "required-added": (field(int), without(), [("/field", "required-added")]),
    "type-changed": (field(int), field(str), [("/field", "type-changed")]),
    "a-narrower-literal": (field(Literal["a"]), field(Literal["a", "b"]), [("/field", "enum-narrowed")]),
    "a-literal-instead-of-text": (field(Literal["a"]), field(str), [("/field", "enum-narrowed")]),
    "a-time-instead-of-text": (field(datetime), field(str), [("/field", "format-added")]),
    "no-longer-optional": (
        field(int),
        OPTIONAL,
        [("/field", "required-added"), ("/field", "type-narrowed")],
    ),
    "a-narrower-union": (field(int | None), field(int | str | None), [("/field", "type-narrowed")]),
    "a-nested-model": (field(Point3), field(Point), [("/field/z", "required-added")]),
    "a-list-of-models": (field(list[Point3]), field(list[Point]), [("/field/*/z", "required-added")]),
    "a-dict-of-models": (
        field(dict[str, Point3]),
        field(dict[str, Point]),
        [("/field/*/z", "required-added")],
    ),
    "a-narrower-tagged-union": (
        field(tagged(Cat, Dog)),
        field(tagged(Cat, Dog, Cow)),
        [("/field", "union-narrowed")],
    ),
    "a-tagged-model-changes": (
        field(tagged(Cat, NumberedDog)),
        field(tagged(Cat, Dog)),
        [("/field/name", "type-changed")],
    ),
    "a-recursive-model": (
        Tree.model_json_schema(),
        WideTree.model_json_schema(),
        [("/value", "type-narrowed")],
    ),
    "a-tuple": (field(tuple[int, str]), field(tuple[int, int]), [("/field/1", "type-changed")]),
    "a-set": (field(set[int]), field(list[int]), [("/field", "unique-added")]),
}


@pytest.mark.parametrize(("reader", "writer"), COMPATIBLE.values(), ids=COMPATIBLE)
def test_a_model_reads_what_another_one_writes(reader, writer):
    assert found(reader, writer) == []


@pytest.mark.parametrize(("reader", "writer", "expected"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_a_model_may_refuse_what_another_one_writes(reader, writer, expected):
    assert found(reader, writer) == expected
