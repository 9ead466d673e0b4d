"""The keywords of JSON Schema 2020-12 that are understood: what their operands look like, and where schemas hide."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

__all__ = [
    "ALL_TYPES",
    "NUMBERS",
    "JSONSchema",
    "in_words",
    "is_standard_format",
    "same_value",
    "schemas_in",
    "sort_out",
    "types_of",
]

JSONSchema: TypeAlias = Mapping[str, Any] | bool

NUMBERS = frozenset({"integer", "fraction"})
ALL_TYPES = frozenset({"null", "boolean", "string", "array", "object"}) | NUMBERS
"""The types of a value. JSON Schema's ``number`` is the integers (1.0 is one) and the fractions: no value has two."""

_TYPE_NAMES = ALL_TYPES - {"fraction"} | {"number"}

ANNOTATIONS = frozenset(
    {
        *("title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly"),
        *("$comment", "discriminator", "$id", "$schema", "$anchor", "$dynamicAnchor", "$vocabulary", "$defs"),
        *("definitions", "contentEncoding", "contentMediaType", "contentSchema"),
    }
)
"""Keywords that refuse nothing; so do those that begin with ``x-``."""

_STANDARD_FORMATS = frozenset(
    {
        *("date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4"),
        *("ipv6", "uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template", "json-pointer"),
        *("relative-json-pointer", "regex"),
    }
)


def is_standard_format(name: str) -> bool:
    """Whether a format is one of the specification's, all of which are about strings only."""
    return name in _STANDARD_FORMATS


def _is_schema(operand: Any) -> bool:
    return isinstance(operand, Mapping | bool)


def _is_number(operand: Any) -> bool:
    return isinstance(operand, int | float) and not isinstance(operand, bool) and math.isfinite(operand)


def _is_count(operand: Any) -> bool:
    return _is_number(operand) and operand >= 0 and operand == int(operand)


def _is_text(operand: Any) -> bool:
    return isinstance(operand, str)


def _is_names(operand: Any) -> bool:
    return isinstance(operand, list | tuple) and all(map(_is_text, operand))


def _is_schemas(operand: Any) -> bool:
    return isinstance(operand, list | tuple) and bool(operand) and all(map(_is_schema, operand))


def _is_schema_map(operand: Any) -> bool:
    return (
        isinstance(operand, Mapping)
        and all(map(_is_text, operand))
        and all(map(_is_schema, operand.values()))
    )


def _is_type(operand: Any) -> bool:
    names = [operand] if isinstance(operand, str) else operand
    return _is_names(names) and bool(names) and _TYPE_NAMES.issuperset(names)


_SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "$ref": _is_text,
    "type": _is_type,
    "enum": lambda operand: isinstance(operand, list | tuple),
    "const": lambda _: True,
    "multipleOf": lambda operand: _is_number(operand) and operand > 0,
    "pattern": _is_text,
    "format": _is_text,
    "uniqueItems": lambda operand: isinstance(operand, bool),
    "required": _is_names,
    "dependentRequired": lambda operand: (
        isinstance(operand, Mapping) and all(map(_is_names, operand.values()))
    ),
    **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], _is_number),
    **dict.fromkeys(["minLength", "maxLength", "minItems", "maxItems"], _is_count),
    **dict.fromkeys(["minProperties", "maxProperties", "minContains", "maxContains"], _is_count),
    **dict.fromkeys(["not", "if", "then", "else", "items", "contains"], _is_schema),
    **dict.fromkeys(["additionalProperties", "propertyNames"], _is_schema),
    **dict.fromkeys(["unevaluatedItems", "unevaluatedProperties"], _is_schema),
    **dict.fromkeys(["allOf", "anyOf", "oneOf", "prefixItems"], _is_schemas),
    **dict.fromkeys(["properties", "patternProperties", "dependentSchemas"], _is_schema_map),
}

_TOGETHER = (
    {"properties", "patternProperties", "additionalProperties"},
    {"prefixItems", "items"},
)
"""Keywords that say which of them applies to a member: with one of them odd, the others say nothing sure."""


def sort_out(schema: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a schema's keywords into those that are understood and odd ones; annotations are left out.

    Odd are unknown keywords, and known ones whose operand has another shape, as in earlier drafts.
    """
    meant = {
        key: value for key, value in schema.items() if key not in ANNOTATIONS and not key.startswith("x-")
    }
    odd = {key for key, value in meant.items() if key not in _SHAPES or not _SHAPES[key](value)}
    for group in _TOGETHER:
        if odd & group:
            odd |= group & meant.keys()
    known = {key: value for key, value in meant.items() if key not in odd}
    return known, {key: meant[key] for key in meant if key in odd}


def schemas_in(keyword: str, operand: Any) -> Iterator[tuple[str, ...]]:
    """Where schemas are inside the operand of a known keyword: the steps that lead to each."""
    shape = _SHAPES[keyword]
    if shape is _is_schema:
        yield (keyword,)
    elif shape is _is_schemas:
        yield from ((keyword, str(index)) for index in range(len(operand)))
    elif shape is _is_schema_map:
        yield from ((keyword, name) for name in operand)


def types_of(operand: str | list[str] | None) -> frozenset[str]:
    """The types that a ``type`` admits; without one, all.

    >>> sorted(types_of(["number", "null"]))
    ['fraction', 'integer', 'null']
    """
    if operand is None:
        return ALL_TYPES
    names = frozenset([operand] if isinstance(operand, str) else operand)
    return names - {"number"} | NUMBERS if "number" in names else names


def in_words(types: frozenset[str]) -> str:
    """Types under their names in JSON Schema.

    >>> in_words(frozenset({"integer", "fraction", "string"}))
    'number or string'
    """
    if types == ALL_TYPES:
        return "anything"
    names = types - NUMBERS | {"number"} if types >= NUMBERS else types
    return " or ".join(sorted(name.replace("fraction", "number") for name in names)) or "nothing"


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0 and never true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    return bool(one == other)
