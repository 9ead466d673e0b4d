"""Leaving tagged fields out of dead letters: what a letter shows of a record that holds personal data. Pure.

A field is tagged in its schema: ``Field(json_schema_extra={"tags": ["pii"]})``, or in a JSON Schema
``"tags": ["pii"]`` or Confluent's ``"confluent:tags"``. A bad record often does not fit its schema: where it has no
room for the tagged fields below a place, all that stands there is left out. What the schema does not name stays.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from pydantic import BaseModel
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.dlq.reason import reason_of
from prom_faust.exceptions import ConfigurationError, RecordError
from prom_faust.lane.record import PlainRecord, Record
from prom_faust.schema.json import JSONSchema

__all__ = ["HASHED", "REDACTED", "Redactor", "names_of"]

REDACTED = "<redacted>"
HASHED = b"sha256:"
"""How a record key begins that stands in a letter as its hash."""

TAGS = ("tags", "confluent:tags")
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
SAME_PLACE = ("allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas", "dependencies")
OBJECT = ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames")
ARRAY = ("prefixItems", "items", "additionalItems", "unevaluatedItems", "contains")
TEXT = ("contentSchema",)
BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})


class _Node(NamedTuple):
    """A schema inside of the document that its references are resolved in."""

    schema: Mapping[str, Any]
    root: Mapping[str, Any]

    def inner(self, keywords: Iterable[str]) -> "Iterator[_Node]":
        """The schemas under some keywords."""
        for keyword in keywords:
            found = self.schema.get(keyword)
            if keyword in BY_NAME and isinstance(found, Mapping):
                yield from self._nodes(found.values())
            else:
                yield from self._nodes(found if isinstance(found, list) else [found])

    def _nodes(self, schemas: Iterable[Any]) -> "Iterator[_Node]":
        return (_Node(schema, self.root) for schema in schemas if isinstance(schema, Mapping))

    def of_name(self, name: str) -> "Iterator[_Node]":
        """The schemas of a property."""
        schema = self.schema
        named = [schema["properties"][name]] if name in schema.get("properties", ()) else []
        patterns = schema.get("patternProperties", {})
        named += [inner for pattern, inner in patterns.items() if _matches(pattern, name)]
        if named:
            yield from self._nodes(named)
        else:
            yield from self.inner(("additionalProperties", "unevaluatedProperties"))

    def of_index(self, index: int) -> "Iterator[_Node]":
        """The schemas of an array's element."""
        items = self.schema.get("items")
        first = self.schema.get("prefixItems", items if isinstance(items, list) else [])
        if index < len(first):
            yield from self._nodes([first[index]])
            yield from self.inner(("contains",))
        else:
            rest = ("additionalItems", "unevaluatedItems", "contains")
            yield from self.inner(rest if isinstance(items, list) else ("items", *rest))


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # ECMAScript's, which is not Python's
        return True


class Redactor:
    """Redacts the letters of one sink.

    Args:
        schemas: models and JSON Schemas of the values, of all versions that may be on the topic. A field that is
            tagged in one of them is left out.
        tags: the tags.
        key: the field that is the record's key; None where it is not known, or a function's.

    Attributes:
        names: the names of all fields.

    Raises:
        ConfigurationError: no field has one of the tags, or a model has no JSON Schema.
    """

    def __init__(
        self, schemas: Iterable[type[BaseModel] | JSONSchema], tags: Collection[str], *, key: str | None
    ) -> None:
        self._tags = frozenset(tags)
        self._roots = [_Node(root, root) for schema in schemas for root in _documents(schema)]
        self._reaching: dict[int, bool] = {}
        if not any(map(self._reaches, self._roots)):
            raise ConfigurationError(
                f"redact={tuple(tags)!r}: no field is tagged so, in the model or the topic's schema. Tag one, as in "
                'Field(json_schema_extra={"tags": ["pii"]}), or leave redact= out'
            )
        self.names = _names(self._roots)
        self._key = key
        self._key_is_tagged = key is not None and any(
            self._reaches(node) for place in _same_place(self._roots) for node in place.of_name(key)
        )

    # -- letters ---------------------------------------------------------------------------------------------

    def redact(self, letter: DeadLetter, error: RecordError) -> DeadLetter:
        """A letter without the tagged fields, and with a message that holds no values.

        Its value is the same, byte for byte, and it can be replayed, where it holds none of them.

        Args:
            letter: the letter.
            error: what is wrong with its record.
        """
        record = letter.record
        value, left_out, known = self._value(record.value)
        key = record.key
        if key is not None and (self._key_is_tagged or not known or _holds(key, left_out)):
            key = HASHED + hashlib.sha256(key).hexdigest().encode()
        redacted = (key, value) != (record.key, record.value)
        return replace(
            letter,
            record=_with(record, key, value) if redacted else record,
            message=reason_of(error, self.names),
            redacted=letter.redacted or redacted,
        )

    def _value(self, value: bytes | None) -> tuple[bytes | None, list[Any], bool]:
        """The bytes that may be shown, what was left out, and whether it is known that the key is none of it."""
        if not value:
            return value, [], self._key is not None
        left_out: list[Any] = []
        try:
            shown = self._shown(json.loads(value, object_pairs_hook=_unique), self._roots, left_out)
            if not left_out:
                return value, [], True
            return json.dumps(shown, separators=(",", ":")).encode(), left_out, True
        except (
            ValueError,
            RecursionError,
        ):  # no JSON; a name twice, of which a reader sees one; nested too deeply
            return json.dumps(REDACTED).encode(), [], self._key is not None

    # -- values ----------------------------------------------------------------------------------------------

    def _shown(self, value: Any, nodes: Iterable[_Node], left_out: list[Any]) -> Any:
        """What may be shown of a value at a place that these schemas speak of."""
        nodes = _same_place(nodes)
        if any(self._is_tagged(node) for node in nodes) or self._misplaced(value, nodes):
            left_out.append(value)
            return REDACTED
        if isinstance(value, dict):
            return {
                name: self._shown(inner, [each for node in nodes for each in node.of_name(name)], left_out)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [
                self._shown(inner, [each for node in nodes for each in node.of_index(index)], left_out)
                for index, inner in enumerate(value)
            ]
        return value

    def _misplaced(self, value: Any, nodes: Sequence[_Node]) -> bool:
        """Whether tagged fields belong below this place, and the value has no room for them: it may be one itself."""
        if value is None:
            return False
        if isinstance(value, dict) and self._below(nodes, ("propertyNames",)):
            return True
        mine = OBJECT if isinstance(value, dict) else ARRAY if isinstance(value, list) else ()
        return not self._below(nodes, mine) and self._below(nodes, (*OBJECT, *ARRAY, *TEXT))

    def _below(self, nodes: Iterable[_Node], keywords: Iterable[str]) -> bool:
        return any(self._reaches(inner) for node in nodes for inner in node.inner(keywords))

    def _reaches(self, node: _Node) -> bool:
        """Whether there is a tagged field in a schema."""
        known = self._reaching.get(id(node.schema))
        if known is None:
            known = self._reaching[id(node.schema)] = any(map(self._is_tagged, _reachable([node])))
        return known

    def _is_tagged(self, node: _Node) -> bool:
        tags = [node.schema.get(name) for name in TAGS]
        named = {tag for found in tags if isinstance(found, list | str) for tag in _listed(found)}
        # What a reference means that is not in the document nobody knows here.
        return not self._tags.isdisjoint(named) or _reference(node) == "lost"


def names_of(model: type[BaseModel] | None) -> frozenset[str]:
    """The names of all fields of a model; none where it cannot be said."""
    try:
        return frozenset() if model is None else _names([_Node(root, root) for root in _documents(model)])
    except Exception:  # noqa: BLE001 - what describes a model may be a user's, and names only say more
        return frozenset()


def _names(roots: Iterable[_Node]) -> frozenset[str]:
    named = [node.schema.get("properties") for node in _reachable(roots)]
    return frozenset(name for found in named if isinstance(found, Mapping) for name in found)


def _listed(found: list[Any] | str) -> list[str]:
    return [found] if isinstance(found, str) else [tag for tag in found if isinstance(tag, str)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ: of a name that is there twice the letter's bytes would hold both values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _holds(key: bytes, values: Iterable[Any]) -> bool:
    """Whether a record key tells one of these values."""
    text = key.decode(errors="replace")
    return any(str(scalar) in text for value in values for scalar in _scalars(value) if str(scalar))


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _scalars(inner)
    elif value is not None and not isinstance(value, bool):
        yield value


def _with(record: Record, key: bytes | None, value: bytes | None) -> PlainRecord:
    return PlainRecord(
        record.topic, record.partition, record.offset, record.timestamp, key, value, tuple(record.headers)
    )


# -- schemas -------------------------------------------------------------------------------------------------


def _same_place(nodes: Iterable[_Node]) -> list[_Node]:
    """All schemas that speak of the same place as these: behind references, and in every branch."""
    return _closure(nodes, lambda node: node.inner(SAME_PLACE))


def _reachable(nodes: Iterable[_Node]) -> list[_Node]:
    """All schemas inside of these."""
    return _closure(nodes, lambda node: node.inner((*SAME_PLACE, *OBJECT, *ARRAY, *TEXT)))


def _closure(nodes: Iterable[_Node], step: Callable[[_Node], Iterable[_Node]]) -> list[_Node]:
    found: dict[int, _Node] = {}
    open_nodes = list(nodes)
    while open_nodes:
        node = open_nodes.pop()
        if id(node.schema) not in found:
            found[id(node.schema)] = node
            open_nodes += step(node)
            if isinstance(target := _reference(node), _Node):
                open_nodes.append(target)
    return list(found.values())


def _reference(node: _Node) -> _Node | Literal["lost"] | None:
    """What a schema refers to (RFC 6901 fragments only), None where it refers to nothing, or that it is lost."""
    for keyword in REFERENCES:
        reference = node.schema.get(keyword)
        if not isinstance(reference, str):
            continue
        target: Any = node.root
        for step in unquote(reference).removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        inside = reference == "#" or reference.startswith("#/")
        return _Node(target, node.root) if inside and isinstance(target, Mapping) else "lost"
    return None


def _documents(schema: type[BaseModel] | JSONSchema) -> Iterator[Mapping[str, Any]]:
    """The JSON Schemas of a type: of a model what it reads, under every name, and what it writes."""
    if isinstance(schema, type):
        try:
            for mode in ("validation", "serialization"):
                yield schema.model_json_schema(schema_generator=_EveryName, mode=mode)
        except PydanticUserError as error:
            reason = str(error).splitlines()[0]
            raise ConfigurationError(
                f"redact=: {schema.__name__} has no JSON Schema in which tags could be found: {reason}"
            ) from error
    elif isinstance(schema, Mapping):
        yield schema


class _EveryName(GenerateJsonSchema):
    """Describes a field under each name that it is read or written under, and not the first of them only."""

    def model_fields_schema(self, schema: core_schema.ModelFieldsSchema) -> JsonSchemaValue:
        return self._named(super().model_fields_schema(schema), schema["fields"])

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        return self._named(super().typed_dict_schema(schema), schema["fields"])

    def dataclass_args_schema(self, schema: core_schema.DataclassArgsSchema) -> JsonSchemaValue:
        fields = {field["name"]: field for field in schema["fields"]}
        return self._named(super().dataclass_args_schema(schema), fields)

    def _named(self, described: JsonSchemaValue, fields: Mapping[str, Any]) -> JsonSchemaValue:
        properties = described.setdefault("properties", {})
        for name, field in fields.items():
            inner = self.generate_inner(field)
            for path in _paths(name, field):
                found = _at(path[1:], inner)
                known = properties.get(path[0])
                if known != found:
                    properties[path[0]] = found if known is None else {"allOf": [known, found]}
        return described


def _paths(name: str, field: Mapping[str, Any]) -> list[list[Any]]:
    """Where a field may stand: its name, its alias for writing, and one path for each of those for reading."""
    read = field.get("validation_alias", name)
    choices = read if isinstance(read, list) and read and isinstance(read[0], list) else [read]
    paths = [[name], [field.get("serialization_alias", name)]]
    return paths + [choice if isinstance(choice, list) else [choice] for choice in choices]


def _at(path: Sequence[str | int], schema: JsonSchemaValue) -> JsonSchemaValue:
    """A schema of what holds this one at a path."""
    for step in reversed(path):
        schema = {"items": schema} if isinstance(step, int) else {"properties": {step: schema}}
    return schema
