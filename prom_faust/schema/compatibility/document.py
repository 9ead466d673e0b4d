"""A schema and every schema in it, by JSON pointer: what they say, what their references mean, what they admit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

import jsonschema_rs

from prom_faust.schema.compatibility.incompatibility import escape
from prom_faust.schema.compatibility.keywords import JSONSchema, is_standard_format, schemas_in, sort_out

__all__ = ["Document", "Node", "admits", "followed", "matches"]

_URI = "urn:prom-faust:document"
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One schema at its place in a document. There is one node per place, so identity is equality.

    Attributes:
        document: where it stands.
        pointer: at which JSON pointer.
        schema: its text.
        known: the assertions that are understood, by keyword.
        odd: the others.
    """

    document: "Document"
    pointer: str
    schema: JSONSchema
    known: Mapping[str, Any]
    odd: Mapping[str, Any]

    def child(self, *steps: str) -> "Node":
        """The schema at some steps below this one, which must be there."""
        return self.document.at(self.pointer + "".join(f"/{escape(step)}" for step in steps))

    def children(self, keyword: str) -> list["Node"]:
        """The schemas inside one keyword."""
        if keyword not in self.known:
            return []
        return [self.child(*steps) for steps in schemas_in(keyword, self.known[keyword])]

    @property
    def target(self) -> "Node | None":
        """What ``$ref`` refers to; None where that is not a plain pointer into this document."""
        return self.document.resolve(self.known["$ref"])


@dataclass(frozen=True, eq=False)
class Document:
    """A whole schema; its nodes and validators are made once.

    ``worked_out`` is for what others conclude about sets of its nodes, so that they do it once.

    >>> document = Document({"$ref": "#/$defs/name", "$defs": {"name": {"type": "string"}}})
    >>> document.at("").target.known
    {'type': 'string'}
    """

    schema: JSONSchema
    worked_out: dict[frozenset[Node], Any] = field(default_factory=dict, repr=False)
    _nodes: dict[str, Node | None] = field(default_factory=dict, repr=False)
    _validators: dict[str, jsonschema_rs.Draft202012Validator | None] = field(
        default_factory=dict, repr=False
    )
    _hazards: dict[str, "Hazards"] = field(default_factory=dict, repr=False)

    def at(self, pointer: str) -> Node:
        """The node at a JSON pointer.

        Raises:
            LookupError: there is no schema.
        """
        node = self._find(pointer)
        if node is None:
            raise LookupError(pointer)
        return node

    def _find(self, pointer: str) -> Node | None:
        if pointer not in self._nodes:
            schema = _walk(self.schema, pointer)
            known, odd = sort_out(schema) if isinstance(schema, Mapping) else ({}, {})
            found = isinstance(schema, Mapping | bool)
            self._nodes[pointer] = Node(self, pointer, schema, known, odd) if found else None
        return self._nodes[pointer]

    def resolve(self, reference: str) -> Node | None:
        """The node that a ``$ref`` means, or None where it is not a plain pointer into this document.

        A nested ``$id`` starts a resource of its own, in which ``#`` means another place: nothing is resolved then.
        """
        if not reference.startswith("#") or reference[1:2] not in {"", "/"} or self.has_resources:
            return None
        return self._find(unquote(reference[1:]))

    @cached_property
    def has_resources(self) -> bool:
        """Whether a part of the document has a ``$id`` of its own."""
        inner = self.schema.values() if isinstance(self.schema, Mapping) else ()
        return any(isinstance(part.get("$id"), str) for value in inner for part in _mappings(value))

    def validator(self, pointer: str) -> jsonschema_rs.Draft202012Validator | None:
        """A validator of the schema at a pointer, with the whole document for its references.

        None where the document is no valid schema of draft 2020-12 or refers to others.
        """
        if pointer not in self._validators:
            self._validators[pointer] = self._build(pointer)
        return self._validators[pointer]

    def _build(self, pointer: str) -> jsonschema_rs.Draft202012Validator | None:
        if self.has_resources:
            return None
        resource = self.schema
        if isinstance(resource, Mapping):
            # All drafts are read as this one; the id makes "#" mean the document and not the wrapping below.
            resource = {**{key: resource[key] for key in resource if key != "$schema"}, "$id": _URI}
        wanted = f"{_URI}#{quote(pointer)}" if isinstance(resource, Mapping) else "#/$defs/document"
        schema = {"$ref": wanted, "$defs": {"document": resource}}
        try:
            return jsonschema_rs.Draft202012Validator(schema, validate_formats=False, offline=True)
        except jsonschema_rs.ValidationError:
            return None

    def hazards(self, node: Node) -> "Hazards":
        """What a validator does not assert, in a node of this document or anywhere behind it."""
        if node.pointer not in self._hazards:
            parts = _reachable(node)
            formats = frozenset(part.known["format"] for part in parts if "format" in part.known)
            unclear = any(part.odd for part in parts) or _is_circular(parts)
            self._hazards[node.pointer] = Hazards(formats, unclear)
        return self._hazards[node.pointer]


@dataclass(frozen=True, slots=True)
class Hazards:
    """What a validator does not assert.

    Attributes:
        formats: the names of formats.
        unclear: whether there are odd keywords, or references that lead back without going into the value: what such
            a schema admits is left open by the specification.
    """

    formats: frozenset[str]
    unclear: bool

    def concern(self, value: Any) -> bool:
        """Whether the verdict on a value may depend on them."""
        if self.unclear:
            return True
        if isinstance(value, int | float) and not isinstance(value, bool):
            return not all(map(is_standard_format, self.formats))
        return bool(self.formats) and not (value is None or isinstance(value, bool))


def _reachable(node: Node) -> set[Node]:
    """A node, every schema in it, and every schema that those refer to."""
    found = {node}
    waiting = [node]
    while waiting:
        one = waiting.pop()
        inner = {child for keyword in one.known for child in one.children(keyword)}
        target = one.target if "$ref" in one.known else None
        fresh = (inner if target is None else inner | {target}) - found
        found |= fresh
        waiting += fresh
    return found


def _is_circular(nodes: set[Node]) -> bool:
    """Whether some of the nodes apply themselves to the very value that they are applied to."""
    applied = {node: {child for keyword in _IN_PLACE for child in node.children(keyword)} for node in nodes}
    for node in nodes:
        if "$ref" in node.known and node.target is not None:
            applied[node].add(node.target)
    left = set(nodes)
    while ends := {node for node in left if not applied[node] & left}:
        left -= ends
    return bool(left)


def _walk(schema: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list | tuple):
            schema = schema[int(name)] if name.isdecimal() and int(name) < len(schema) else None
        else:
            schema = schema.get(name) if isinstance(schema, Mapping) else None
    return schema


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(inner, list | tuple) or isinstance(value, Mapping):
        for part in inner:
            yield from _mappings(part)


def followed(node: Node) -> Node | None:
    """What a chain of bare references ends in, or a node of its circle; None where it leaves the document."""
    passed = set()
    while node.known.keys() == {"$ref"} and not node.odd and node not in passed:
        passed.add(node)
        target = node.target
        if target is None:
            return None
        node = target
    return node


def admits(node: Node, value: Any) -> bool | None:
    """Whether a schema admits a value, and None where that depends on a format or an odd keyword."""
    validator = node.document.validator(node.pointer)
    if validator is None or node.document.hazards(node).concern(value):
        return None
    return bool(validator.is_valid(value))


def matches(pattern: str, text: str) -> bool | None:
    """Whether a pattern is found in a text, told by the validator's own engine; None where it is no pattern."""
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}).is_valid(text)
    except jsonschema_rs.ValidationError:
        return None
