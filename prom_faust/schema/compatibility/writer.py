"""What a writer may send: its schema cut into alternatives, each a plain conjunction of keywords.

A value of ``{"anyOf": [A, B], "maxLength": 9}`` satisfies all of {the schema, A} or all of {the schema, B}. Where an
alternative says less than the schema does (a recursion without a value in between, too many combinations), it admits
more values: that may refuse a good pair and never passes a bad one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from prom_faust.schema.compatibility.document import Node, admits, matches
from prom_faust.schema.compatibility.keywords import ALL_TYPES, NUMBERS, types_of

__all__ = ["Alternative", "alternatives", "at_name", "both", "is_vacant"]

_MOST_ALTERNATIVES = 256
_DEEPEST_LOOK = 4

_Choice = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Values that satisfy every one of some nodes, whose unions and references are resolved into further nodes.

    Attributes:
        nodes: the nodes.
        types: the types that the values may have.
        values: all the values there are, where ``enum`` or ``const`` limits them.
        siblings: the types of the values of all the alternatives of the same writer.
    """

    nodes: _Choice
    types: frozenset[str]
    values: tuple[Any, ...] | None = None
    siblings: frozenset[str] = ALL_TYPES

    def only(self, types: frozenset[str]) -> "Alternative":
        """The values of some of the types."""
        return replace(self, types=self.types & types)

    def operands(self, keyword: str) -> list[Any]:
        """What the nodes say under a keyword."""
        return [node.known[keyword] for node in self.nodes if keyword in node.known]

    @property
    def required(self) -> set[str]:
        """The names that every object has."""
        return {name for names in self.operands("required") for name in names}

    def at_name(self, name: str) -> frozenset[Node]:
        """The nodes that the value of one property satisfies."""
        return frozenset(node for one in self.nodes for node in at_name(one, name) or ())


def at_name(node: Node, name: str) -> list[Node] | None:
    """The nodes that one node wants the value of a property to satisfy; None where that cannot be told."""
    found = [node.child("properties", name)] if name in node.known.get("properties", ()) else []
    verdicts = {pattern: matches(pattern, name) for pattern in node.known.get("patternProperties", ())}
    if None in verdicts.values():
        return None
    found += [node.child("patternProperties", pattern) for pattern, hit in verdicts.items() if hit]
    return found or node.children("additionalProperties")


def alternatives(nodes: Iterable[Node]) -> list[Alternative]:
    """What a value that satisfies every one of some nodes may be; no alternative where no value can.

    >>> from prom_faust.schema.compatibility.document import Document
    >>> node = Document({"anyOf": [{"type": "string"}, {"type": "null"}], "type": ["null", "array"]}).at("")
    >>> [sorted(found.types) for found in alternatives([node])]
    [['null']]
    """
    together = frozenset(nodes)
    ordered = sorted(together, key=lambda node: node.pointer)
    memory = ordered[0].document.worked_out if ordered else {}
    if together not in memory:
        memory[together] = _worked_out(ordered)
    found: list[Alternative] = memory[together]
    return found


def _worked_out(nodes: list[Node]) -> list[Alternative]:
    unfolded: dict[Node, list[_Choice]] = {}
    choices = _combined([_unfold(node, unfolded) for node in nodes])
    found = [one for choice in choices if (one := _conjunction(choice)) is not None]
    siblings = frozenset(kind for one in found for kind in one.types)
    return [replace(one, siblings=siblings) for one in found]


def both(one: Alternative, other: Alternative) -> Alternative | None:
    """The values that two alternatives share; None where there are none."""
    return _conjunction((*one.nodes, *other.nodes), one.types & other.types, one.values)


def is_vacant(one: Alternative, depth: int = _DEEPEST_LOOK) -> bool:
    """Whether there provably is no value: a property that every object has admits none."""
    if depth == 0 or one.types != {"object"}:
        return False
    inner = (alternatives(one.at_name(name)) for name in sorted(one.required))
    return any(all(is_vacant(value, depth - 1) for value in values) for values in inner)


def _unfold(node: Node, unfolded: dict[Node, list[_Choice]]) -> list[_Choice]:
    """The choices of nodes that apply together wherever a node applies."""
    if node.schema is False:
        return []
    if node not in unfolded:
        unfolded[node] = [(node,)]  # what it is to itself: no more is known in a circle of references
        target = node.target if "$ref" in node.known else None
        groups = [[target]] if target is not None else []
        groups += [[member] for member in node.children("allOf")]
        groups += [branches for keyword in ("anyOf", "oneOf") if (branches := node.children(keyword))]
        options = [[choice for one in group for choice in _unfold(one, unfolded)] for group in groups]
        unfolded[node] = _combined([[(node,)], *options])
    return unfolded[node]


def _combined(groups: Sequence[list[_Choice]]) -> list[_Choice]:
    """One choice of every group; a group that makes them too many is left out."""
    found: list[_Choice] = [()]
    for group in groups:
        if len(found) * len(group) <= _MOST_ALTERNATIVES:
            merged = (tuple(dict.fromkeys((*one, *other))) for one, other in product(found, group))
            found = list(dict.fromkeys(merged))
    return found


def _conjunction(
    nodes: Iterable[Node], types: frozenset[str] = ALL_TYPES, values: tuple[Any, ...] | None = None
) -> Alternative | None:
    nodes = tuple(dict.fromkeys(nodes))
    for node in nodes:
        types &= types_of(node.known.get("type"))
        if values is None and ("const" in node.known or "enum" in node.known):
            values = tuple([node.known["const"]] if "const" in node.known else node.known["enum"])
    if values is not None:
        values = tuple(value for value in values if not any(admits(node, value) is False for node in nodes))
        types &= frozenset(kind for value in values for kind in _types_of_value(value))
    if not types or values == ():
        return None
    return Alternative(nodes, types, values)


def _types_of_value(value: Any) -> frozenset[str]:
    kinds: tuple[tuple[type | tuple[type, ...], frozenset[str]], ...] = (
        (type(None), frozenset({"null"})),
        (bool, frozenset({"boolean"})),
        (str, frozenset({"string"})),
        ((int, float), NUMBERS),
        ((list, tuple), frozenset({"array"})),
    )
    return next((types for kind, types in kinds if isinstance(value, kind)), frozenset({"object"}))
