"""Whether two schemas say the same: the same assertions, with references followed and annotations ignored."""

from collections.abc import Iterable, Mapping
from typing import Any

from prom_faust.schema.compatibility.document import Node, followed
from prom_faust.schema.compatibility.keywords import same_value, schemas_in

__all__ = ["same", "same_keywords", "same_odd"]


def same(one: Node, other: Node) -> bool:
    """Whether two nodes say the same, also where they refer to themselves.

    A pair that is compared already counts as the same: the comparison is one conjunction, so any difference
    anywhere makes all of it false.
    """
    seen = set()
    waiting = [(one, other)]
    while waiting:
        left, right = map(followed, waiting.pop())
        if left is None or right is None:
            return False
        if (left, right) in seen:
            continue
        seen.add((left, right))
        inner = _compare(left, right, left.known.keys() | right.known.keys())
        if inner is None or not _same_text(left, right):
            return False
        waiting += inner
    return True


def same_keywords(one: Node, other: Node, keywords: Iterable[str]) -> bool:
    """Whether two nodes say the same with some of their keywords."""
    inner = _compare(one, other, keywords)
    return inner is not None and all(same(left, right) for left, right in inner)


def same_odd(one: Node, other: Node) -> bool:
    """Whether the odd keywords of a node stand in another one too, and mean the same there.

    What odd keywords refer to is not known, so a reference inside makes them differ.
    """
    equal = all(key in other.odd and same_value(one.odd[key], other.odd[key]) for key in one.odd)
    return equal and not any(key.lower().endswith("ref") for key in _keys(one.odd))


def _same_text(one: Node, other: Node) -> bool:
    if isinstance(one.schema, bool) or isinstance(other.schema, bool):
        return one.schema is other.schema
    return one.odd.keys() == other.odd.keys() and same_odd(one, other)


def _compare(one: Node, other: Node, keywords: Iterable[str]) -> list[tuple[Node, Node]] | None:
    """The pairs of inner schemas that must be the same, or None where the keywords differ already."""
    pairs: list[tuple[Node, Node]] = []
    for keyword in keywords:
        if (keyword in one.known) != (keyword in other.known):
            return None
        if keyword not in one.known:
            continue
        inner = _inner(one, other, keyword)
        if inner is None:
            return None
        pairs += inner
    return pairs


def _inner(one: Node, other: Node, keyword: str) -> list[tuple[Node, Node]] | None:
    if keyword == "$ref":
        left, right = one.target, other.target
        return None if left is None or right is None else [(left, right)]
    steps = list(schemas_in(keyword, one.known[keyword]))
    if set(steps) != set(schemas_in(keyword, other.known[keyword])):
        return None
    if not steps and not same_value(one.known[keyword], other.known[keyword]):
        return None
    return [(one.child(*path), other.child(*path)) for path in steps]


def _keys(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        yield from value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _keys(part)
