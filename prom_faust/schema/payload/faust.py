"""Payloads that are ``faust.Record`` classes."""

from types import UnionType
from typing import Any, Union, get_args, get_origin

import faust
from faust.models.base import Model as FaustModel
from faust.utils.json import dumps as faust_dumps
from pydantic import BaseModel, ConfigDict, Field, create_model

from prom_faust.exceptions import Failure, SchemaError
from prom_faust.schema.json import JSONSchema
from prom_faust.schema.payload.model import Model
from prom_faust.schema.payload.plain import load_json
from prom_faust.schema.payload.type import DumpError

__all__ = ["Record", "is_record"]

METADATA = "__faust"
"""Where Faust writes the name of a record's class, so that readers need not say it."""


def is_record(cls: Any) -> bool:
    """Whether a class is a Faust record."""
    return isinstance(cls, type) and issubclass(cls, faust.Record)


class Record:
    """A Faust record class; its schema is that of a pydantic model with the same fields.

    Args:
        cls: the class.

    Raises:
        SchemaError: a field's type has no JSON Schema.
    """

    def __init__(self, cls: type[faust.Record]) -> None:
        self.cls: type | None = cls
        self._record = cls
        records: dict[type, type[BaseModel]] = {}
        self._mirror = Model(_mirror(cls, records))
        self.certain = None if any(map(_is_strict, records)) else self._mirror.certain
        self.writer: JSONSchema = self._mirror.writer
        self.reader: JSONSchema = self._mirror.reader

    def dump(self, value: Any, *, strict: bool = True) -> bytes:  # noqa: ARG002 - Faust's writer has one way
        """What Faust's JSON codec emits for it."""
        try:
            text: str | bytes = faust_dumps(value.to_representation())
        except (TypeError, ValueError, AttributeError) as error:
            raise DumpError([Failure("", f"no JSON: {error}")]) from error
        return text.encode() if isinstance(text, str) else text

    def load(self, data: bytes) -> Any:
        """The record; its fields are checked first, for Faust does not."""
        self._mirror.load(data)
        try:
            return self._record.from_data(load_json(data), preferred_type=self._record)
        except Exception as error:  # a record's constructor is a user's
            raise DumpError([Failure("", f"no {self._record.__name__}: {error}")]) from error


def _is_strict(cls: Any) -> bool:
    """Whether a record accepts less than the types of its fields say."""
    return bool(cls._options.validation) or hasattr(cls, "__post_init__")


def _mirror(cls: type[faust.Record], known: dict[type, type[BaseModel]]) -> type[BaseModel]:
    """A pydantic model with the wire names, types and defaults of a record."""
    if cls in known:
        return known[cls]
    options = cls._options  # Faust's own place for what a record's fields are
    fields: dict[str, Any] = {}
    for name, kind in options.fields.items():
        if kind is cls or cls in _inner(kind):
            raise SchemaError(f"{cls.__name__}.{name} refers to its own class: use a pydantic model")
        descriptor = options.descriptors[name]
        if {descriptor.input_name, descriptor.output_name} != {name}:
            raise SchemaError(f"{cls.__name__}.{name} has another name on the wire: use a pydantic model")
        optional = name in options.optionalset
        # Names that pydantic would not take as fields ("_id", "model_config") are fine as aliases.
        fields[f"f{len(fields)}"] = (
            _mirrored(kind, known),
            Field(
                default=options.defaults.get(name) if optional else ...,
                alias=name,
            ),
        )
    if options.include_metadata:
        fields["metadata"] = (dict[str, str], Field(default={}, alias=METADATA))
    mirror: type[BaseModel] = create_model(cls.__name__, __config__=ConfigDict(extra="ignore"), **fields)
    known[cls] = mirror
    return mirror


def _inner(kind: Any) -> tuple[Any, ...]:
    return tuple(inner for part in get_args(kind) for inner in (part, *_inner(part)))


def _mirrored(kind: Any, known: dict[type, type[BaseModel]]) -> Any:
    """A field's type with pydantic models in the place of records."""
    if is_record(kind):
        return _mirror(kind, known)
    parts = get_args(kind)
    if not any(isinstance(part, type) and issubclass(part, FaustModel) for part in _inner(kind)):
        return kind
    mirrored = tuple(_mirrored(part, known) for part in parts)
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        return Union[mirrored]  # noqa: UP007 - built at run time
    return origin[mirrored]  # list, dict and the like, whose parts were just read
