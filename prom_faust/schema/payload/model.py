"""Payloads that are pydantic models: what they emit, and what they accept."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from prom_faust.exceptions import Failure, SchemaError
from prom_faust.schema.json import REASON_LIMIT, JSONSchema, failures, places, pointer, validator
from prom_faust.schema.payload.certain import certain_schema
from prom_faust.schema.payload.plain import load_json
from prom_faust.schema.payload.type import DumpError

__all__ = ["Model", "model_schema"]


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
        _check_names(cls)
        self.cls: type | None = cls
        self.writer = model_schema(cls, closed=True)
        self.reader = model_schema(cls, closed=False)
        if exclude_none:
            _check_defaults(cls, self.reader)
        self.certain = certain_schema(cls.__pydantic_core_schema__, self.writer)
        self._exclude_none = exclude_none
        self._validator = validator(self.writer)
        self._to_json = cls.__pydantic_serializer__.to_json
        self._validate = cls.__pydantic_validator__.validate_json

    def dump(self, value: Any, *, strict: bool = True) -> bytes:
        """What the model emits in JSON mode; a warning of its serializer is an error."""
        to_json = self._to_json if type(value) is self.cls else value.__pydantic_serializer__.to_json
        try:
            return self._dump(to_json, value, "error" if strict else "none")
        except Exception as error:  # its serializers are a user's
            raise DumpError(self._why_not(to_json, value, error)) from error

    def _dump(self, to_json: Any, value: Any, warnings: Literal["error", "none"]) -> bytes:
        data: bytes = to_json(value, by_alias=True, exclude_none=self._exclude_none, warnings=warnings)
        return data

    def _why_not(self, to_json: Any, value: Any, error: Exception) -> tuple[Failure, ...]:
        """The paths, which the serializer does not name, from the schema, where it can tell."""
        try:
            found = failures(self._validator, load_json(self._dump(to_json, value, "none")))
        except Exception:  # noqa: BLE001 - see above; the first error says enough
            found = ()
        return found or (Failure("", " ".join(str(error).split())[:REASON_LIMIT]),)

    def load(self, data: bytes) -> Any:
        """The model."""
        try:
            return self._validate(data)
        except ValidationError as error:
            raise DumpError(
                Failure(pointer(list(fault["loc"])), fault["msg"])
                for fault in error.errors(include_url=False, include_input=False, include_context=False)
            ) from error
        except Exception as error:  # its validators are a user's
            raise DumpError([Failure("", f"{type(error).__name__}: {error}"[:REASON_LIMIT])]) from error


def _check_names(cls: type[BaseModel]) -> None:
    """A field must be read under the name that it is written under, or its value is lost without a word."""
    for name, field in cls.model_fields.items():
        written = field.serialization_alias or name
        read = field.validation_alias if field.validation_alias is not None else name
        choices = read.choices if isinstance(read, AliasChoices) else [read]
        by_name = cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
        if written not in choices and not (by_name and written == name):
            raise SchemaError(
                f"{cls.__name__}.{name} is written as {written!r} and not read under that name: add it to the "
                "validation alias"
            )


def _check_defaults(cls: type[BaseModel], reader: JSONSchema) -> None:
    """A field that is left out because it is None must not come back as something else."""
    for place in places(reader):
        for name, field in (place.get("properties", {}) if isinstance(place, Mapping) else {}).items():
            if isinstance(field, Mapping) and field.get("default") is not None and _admits_none(field):
                raise SchemaError(
                    f"exclude_none leaves {cls.__name__}'s field {name!r} out where it is None, and it would be read "
                    f"as its default {field['default']!r}: make the default None"
                )


def _admits_none(field: Mapping[str, Any]) -> bool:
    branches = [field, *field.get("anyOf", [])]
    return any(branch.get("type") == "null" for branch in branches if isinstance(branch, Mapping))


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
