"""Payloads that are pydantic models: what they emit, what they accept, and when the latter is less than they say."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticSerializationError, core_schema

from prom_faust.exceptions import Failure, SchemaError
from prom_faust.schema.json import REASON_LIMIT, JSONSchema, failures, pointer, validator
from prom_faust.schema.payload.plain import load_json
from prom_faust.schema.payload.type import DumpError

__all__ = ["Model", "model_schema"]

_AS_WRITTEN = frozenset(
    {
        *("any", "none", "bool", "int", "float", "str", "literal", "list", "tuple", "dict"),
        *("nullable", "union", "tagged-union", "default", "definitions", "definition-ref"),
        *("model", "model-fields", "model-field", "computed-field", "typed-dict", "typed-dict-field"),
        *("json-or-python", "lax-or-strict"),
    }
)
"""Types of pydantic's core schema that accept what their JSON Schema says; others (dates, validators) accept less."""


class Model:
    """A pydantic model.

    Args:
        cls: the model.
        exclude_none: leave fields that are None out of what is emitted.

    Raises:
        SchemaError: the model has no JSON Schema.
    """

    def __init__(self, cls: type[BaseModel], *, exclude_none: bool = False) -> None:
        cls.model_rebuild()
        self.cls: type | None = cls
        self.writer = model_schema(cls, closed=True)
        self.reader = model_schema(cls, closed=False)
        self.reads_back = not _core_types(cls.__pydantic_core_schema__) <= _AS_WRITTEN
        self._exclude_none = exclude_none
        self._validator = validator(self.writer)
        self._to_json = cls.__pydantic_serializer__.to_json
        self._validate = cls.model_validate_json

    def dump(self, value: Any) -> bytes:
        """What the model emits in JSON mode; a warning of its serializer is an error."""
        to_json = self._to_json if type(value) is self.cls else value.__pydantic_serializer__.to_json
        try:
            data: bytes = to_json(value, by_alias=True, exclude_none=self._exclude_none, warnings="error")
        except PydanticSerializationError as error:
            raise DumpError(self._why_not(to_json, value, error)) from error
        return data

    def _why_not(self, to_json: Any, value: Any, error: PydanticSerializationError) -> tuple[Failure, ...]:
        """The paths, which the serializer does not name, from the schema, where it can tell."""
        try:
            data = to_json(value, by_alias=True, exclude_none=self._exclude_none, warnings="none")
        except PydanticSerializationError:
            found: tuple[Failure, ...] = ()
        else:
            found = failures(self._validator, load_json(data))
        return found or (Failure("", " ".join(str(error).split())[:REASON_LIMIT]),)

    def load(self, data: bytes) -> Any:
        """The model."""
        try:
            return self._validate(data)
        except ValidationError as error:
            raise DumpError(
                Failure(pointer(list(fault["loc"])), fault["msg"])
                for fault in error.errors(include_url=False, include_input=False)
            ) from error


def model_schema(cls: type[BaseModel], *, closed: bool) -> JSONSchema:
    """A model's JSON Schema: of what it emits, or of what it accepts.

    What it emits is closed: a model has no other fields than its own, unless it has ``extra="allow"``.

    Raises:
        SchemaError: it has a field that JSON Schema cannot describe.
    """
    generator = _Emitted if closed else GenerateJsonSchema
    try:
        return cls.model_json_schema(
            mode="serialization" if closed else "validation", schema_generator=generator
        )
    except PydanticUserError as error:
        raise SchemaError(f"{cls.__name__} has no JSON Schema: {str(error).splitlines()[0]}") from error


class _Emitted(GenerateJsonSchema):
    """A model emits its fields and nothing else; pydantic says so of ``extra="forbid"`` only."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _closed(super().model_schema(schema))

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        return _closed(super().typed_dict_schema(schema))

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _closed(super().dataclass_schema(schema))


def _closed(described: JsonSchemaValue) -> JsonSchemaValue:
    if "properties" in described:
        described.setdefault("additionalProperties", False)
    return described


def _core_types(schema: Any) -> frozenset[str]:
    return frozenset(_walk(schema))


def _walk(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        kind = node.get("type")
        if isinstance(kind, str):
            yield kind
        if node.get("pattern") is not None:
            yield "pattern"  # two engines, two dialects
        for name, inner in node.items():
            if name not in {"metadata", "serialization", "expected", "default"}:
                yield from _walk(inner)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _walk(inner)
