"""JSON Schema as data: its type, what walks it, and the validator that is the arbiter of every send.

Validation is jsonschema-rs's, draft 2020-12 unless a schema says otherwise; nothing is fetched from a network.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import jsonschema_rs

from prom_faust.exceptions import Failure, SchemaError

__all__ = ["JSONSchema", "failures", "places", "pointer", "takes_null", "validator"]

JSONSchema = Mapping[str, Any] | bool

REASON_LIMIT = 300
"""Characters of a reason that are kept: it may quote the value."""
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_SCHEMAS = frozenset(
    {
        *("additionalProperties", "unevaluatedProperties", "propertyNames"),
        *("items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"),
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    }
)
"""Keywords that hold schemas (JSON Schema 2020-12, core, section 10, and the older spellings); others hold values."""


def validator(schema: JSONSchema) -> jsonschema_rs.Validator:
    """Compile a schema.

    Raises:
        SchemaError: it is no JSON Schema.
    """
    try:
        return jsonschema_rs.validator_for(cast(Any, schema), offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaError(f"no valid JSON Schema: {str(error).splitlines()[0]}") from error


def failures(validator: jsonschema_rs.Validator, value: Any) -> tuple[Failure, ...]:
    """Every path at which a value fails its schema, in a stable order."""
    try:
        found = {failure for error in validator.iter_errors(value) for failure in _failures(error)}
    except ValueError as error:  # it is nested too deeply to be looked through
        return (Failure("", str(error)),)
    return tuple(sorted(found))


def _failures(error: jsonschema_rs.ValidationError) -> Iterator[Failure]:
    """A missing or unexpected field is where it should or should not be, not in the object around it."""
    path = pointer(error.instance_path)
    kind: Any = error.kind
    if kind.name == "required":
        yield Failure(f"{path}{pointer([kind.property])}", "is required, and is missing")
    elif kind.name == "additionalProperties":
        for name in kind.unexpected:
            yield Failure(f"{path}{pointer([name])}", "is no field of the schema")
    elif kind.name in {"anyOf", "oneOfNotValid"}:
        reasons = dict.fromkeys(inner.message for branch in kind.context for inner in branch)
        yield Failure(path, ", nor: ".join(reasons)[:REASON_LIMIT])
    else:
        yield Failure(path, error.message[:REASON_LIMIT])


def pointer(path: list[str | int]) -> str:
    """A JSON pointer (RFC 6901); the whole value is the empty one."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def takes_null(schema: JSONSchema) -> bool:
    """Whether there is a place that takes null.

    JSON has no NaN, and writers put null in its stead: at such a place the schema cannot tell.
    """
    definitions = {
        name: schema[name]
        for name in ("$defs", "definitions")
        if isinstance(schema, Mapping) and name in schema
    }
    return any(_takes_null(place, definitions) for place in places(schema))


def _takes_null(place: JSONSchema, definitions: Mapping[str, Any]) -> bool:
    if isinstance(place, bool):
        return place
    types = place.get("type", ())
    # An open object or array: anything may stand where the schema says nothing.
    if ("object" in types and "additionalProperties" not in place) or (
        "array" in types and "items" not in place
    ):
        return True
    try:
        return validator({**definitions, **place}).is_valid(None)
    except SchemaError:  # it refers to what is not in it
        return True


def places(schema: JSONSchema) -> Iterator[JSONSchema]:
    """A schema and every schema inside of it."""
    yield schema
    if isinstance(schema, bool):
        return
    for name, inner in schema.items():
        children: Iterable[Any] = ()
        if name in _BY_NAME and isinstance(inner, Mapping):
            children = inner.values()
        elif name in _SCHEMAS:
            children = inner if isinstance(inner, list) else [inner]
        for child in children:
            if isinstance(child, Mapping | bool):
                yield from places(child)
