"""Payloads that are plain JSON, under a JSON Schema as it was written; and any value that is no model's."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from pydantic import BaseModel

from prom_faust.exceptions import Failure
from prom_faust.schema.json import JSONSchema, failures, validator
from prom_faust.schema.payload.type import DumpError

__all__ = ["NOT_A_NUMBER", "PlainJson", "dump_json", "load_json", "not_finite"]

NOT_A_NUMBER = "NaN and the infinities are no JSON numbers"


class PlainJson:
    """A raw JSON Schema: what it emits is what it accepts.

    Args:
        schema: the schema.
    """

    cls: type | None = None
    reads_back = False

    def __init__(self, schema: JSONSchema) -> None:
        self.writer = self.reader = schema
        self._validator = validator(schema)

    def dump(self, value: Any) -> bytes:
        """The JSON of a value."""
        return dump_json(value)

    def load(self, data: bytes) -> Any:
        """The value, checked: there is no model that would."""
        value = load_json(data)
        if not self._validator.is_valid(value):
            raise DumpError(failures(self._validator, value))
        return value


def dump_json(value: Any) -> bytes:
    """The JSON of a plain value; models may stand inside of it.

    Raises:
        DumpError: it has none: a type that JSON does not know, an integer of more than 64 bits.
    """
    try:
        return orjson.dumps(value, default=_dump_model)
    except (TypeError, ValueError) as error:  # orjson's own error is a TypeError, pydantic's a ValueError
        raise DumpError([Failure("", f"no JSON: {error.__cause__ or error}")]) from error


def _dump_model(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, warnings="error")
    raise TypeError(f"{type(value).__name__} is no JSON type")


def load_json(data: bytes) -> Any:
    """The value of some JSON.

    Raises:
        DumpError: it is no JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DumpError([Failure("", f"not JSON: {error}")]) from error


def not_finite(value: Any, path: str = "") -> Iterator[Failure]:
    """Every NaN and infinity in a value; JSON writers put null in their stead without a word."""
    if isinstance(value, float) and not math.isfinite(value):
        yield Failure(path, NOT_A_NUMBER)
    elif isinstance(value, BaseModel):
        yield from not_finite(dict(value), path)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from not_finite(inner, f"{path}/{name}")
    elif isinstance(value, list | tuple | set | frozenset):
        for index, inner in enumerate(value):
            yield from not_finite(inner, f"{path}/{index}")
