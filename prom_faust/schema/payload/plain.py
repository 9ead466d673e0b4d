"""Payloads that are plain JSON, under a JSON Schema as it was written; and any value that is no model's."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Literal

import orjson
from pydantic import BaseModel

from prom_faust.exceptions import Failure
from prom_faust.schema.json import JSONSchema, failures, pointer, validator
from prom_faust.schema.payload.type import DumpError

__all__ = ["NOT_A_NUMBER", "PlainJson", "dump_json", "load_json", "not_finite"]

NOT_A_NUMBER = "NaN and the infinities are no JSON numbers"


class PlainJson:
    """A raw JSON Schema: what it emits is what it accepts.

    Args:
        schema: the schema.
    """

    cls: type | None = None

    def __init__(self, schema: JSONSchema) -> None:
        self.writer = self.reader = schema
        self.certain: JSONSchema | None = schema
        self._validator = validator(schema)

    def dump(self, value: Any, *, strict: bool = True) -> bytes:
        """The JSON of a value."""
        return dump_json(value, strict=strict)

    def load(self, data: bytes) -> Any:
        """The value, checked: there is no model that would."""
        value = load_json(data)
        if not self._validator.is_valid(value):
            raise DumpError(failures(self._validator, value))
        return value


def dump_json(value: Any, *, strict: bool = True) -> bytes:
    """The JSON of a plain value; models may stand inside of it, or be all of it.

    Args:
        value: the value.
        strict: whether a warning of a model's serializer is an error.

    Raises:
        DumpError: it has none: a type that JSON does not know, an integer of more than 64 bits.
    """
    warnings: Literal["error", "none"] = "error" if strict else "none"

    def default(inner: Any) -> Any:
        if isinstance(inner, BaseModel):
            return inner.model_dump(mode="json", by_alias=True, warnings=warnings)
        raise TypeError(f"{type(inner).__name__} is no JSON type")

    try:
        return orjson.dumps(value, default=default)
    except Exception as error:  # orjson's own is a TypeError; a model's serializer is a user's
        raise DumpError([Failure("", f"no JSON: {error.__cause__ or error}")]) from error


def load_json(data: bytes) -> Any:
    """The value of some JSON.

    Raises:
        DumpError: it is no JSON.
    """
    try:
        return orjson.loads(data if type(data) is bytes else bytes(data))  # it takes no subclasses
    except orjson.JSONDecodeError as error:
        raise DumpError([Failure("", f"not JSON: {error}")]) from error


def not_finite(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[Failure]:
    """Every NaN and infinity in a value; JSON writers put null in their stead without a word."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield Failure(pointer([*path]), NOT_A_NUMBER)
        return
    for name, inner in _parts(value):
        yield from not_finite(inner, (*path, name) if name is not None else path)


def _parts(value: Any) -> Iterator[tuple[str | int | None, Any]]:
    """What a value is made of, as it is written: of a model what its serializers and computed fields give."""
    if isinstance(value, str | bytes | bytearray | memoryview | int) or value is None:
        return
    if isinstance(value, BaseModel):
        yield None, value.model_dump(by_alias=True, warnings="none")
    elif hasattr(value, "to_representation"):  # a Faust record
        yield None, value.to_representation()
    elif isinstance(value, Enum):
        yield None, value.value
    elif is_dataclass(value):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value))
    elif isinstance(value, Mapping):
        yield from ((str(name), inner) for name, inner in value.items())
    elif isinstance(value, Collection):
        yield from enumerate(value)
