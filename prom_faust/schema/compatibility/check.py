"""Whether one schema admits everything that another one does."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeAlias

from prom_faust.schema.compatibility.arrays import check_arrays
from prom_faust.schema.compatibility.document import Document, Node, admits, followed
from prom_faust.schema.compatibility.equality import same, same_keywords, same_odd
from prom_faust.schema.compatibility.incompatibility import Incompatibility, show, undecided, unique
from prom_faust.schema.compatibility.keywords import (
    ALL_TYPES,
    NUMBERS,
    JSONSchema,
    same_value,
    types_of,
)
from prom_faust.schema.compatibility.numbers import check_numbers
from prom_faust.schema.compatibility.objects import check_objects
from prom_faust.schema.compatibility.strings import check_format, check_strings
from prom_faust.schema.compatibility.types import check_listed, check_type
from prom_faust.schema.compatibility.unions import check_any_of, check_one_of
from prom_faust.schema.compatibility.writer import Alternative, alternatives, is_vacant

__all__ = ["incompatibilities"]

_DEEPEST = 72
_MOST_STEPS = 20_000
_ECHO = " again"

Pair: TypeAlias = tuple[frozenset[Node], Node]

_OPAQUE: Mapping[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "not": (ALL_TYPES, ("not",)),
    "if": (ALL_TYPES, ("if", "then", "else")),
    "contains": (frozenset({"array"}), ("contains", "minContains", "maxContains")),
    "dependentRequired": (frozenset({"object"}), ("dependentRequired",)),
    "dependentSchemas": (frozenset({"object"}), ("dependentSchemas",)),
    # These depend on everything beside them, so only an equal node is sure, and that is found before.
    "unevaluatedItems": (frozenset({"array"}), ()),
    "unevaluatedProperties": (frozenset({"object"}), ()),
}
"""Keywords that are not looked into: the types they are about, and what must be the same in the writer."""


def incompatibilities(reader: JSONSchema, writer: JSONSchema) -> list[Incompatibility]:
    """Why some JSON value that the writer's schema admits might not be admitted by the reader's.

    This is containment of schemas of draft 2020-12. It is sound: where it returns nothing, no value of the writer is
    refused by the reader. It is not complete: where it cannot tell, it says so with the rule ``undecided``. A
    ``format`` counts as an assertion of the reader, because a model that parses a date-time refuses other text.

    >>> from pprint import pprint
    >>> old = {
    ...     "type": "object",
    ...     "properties": {"host": {"type": "string"}, "pid": {"type": "integer"}},
    ...     "required": ["host"],
    ...     "additionalProperties": False,
    ... }
    >>> new = {
    ...     "type": "object",
    ...     "properties": {"host": {"type": ["string", "null"]}, "pid": {"type": "string"}, "os": {}},
    ...     "required": ["host", "os"],
    ...     "additionalProperties": False,
    ... }
    >>> for found in incompatibilities(reader=new, writer=old):
    ...     print(found.path, found.rule)
    /os required-added
    /pid type-changed

    The new reader takes a ``host`` that the old writer never sends, which is fine. The other direction differs:

    >>> for found in incompatibilities(reader=old, writer=new):
    ...     print(found.path, found.rule)
    /host type-narrowed
    /pid type-changed
    /os property-removed

    Args:
        reader: the schema that values must satisfy.
        writer: the schema that they do satisfy.

    Returns:
        Every reason that was found; nothing where each of the writer's values is read.
    """
    if same_value(reader, writer):
        return []
    sent, wanted = Document(writer).at(""), Document(reader).at("")
    refuted: dict[Pair, list[Incompatibility]] = {}
    while True:
        check = _Check(refuted)
        findings = check.contained(frozenset({sent}), wanted)
        wrong = {pair: check.decided[pair] for pair in check.assumed - refuted.keys() if check.decided[pair]}
        if not wrong:
            return _without_echoes(findings)
        refuted |= {pair: [_echo(finding) for finding in found] for pair, found in wrong.items()}


def _echo(finding: Incompatibility) -> Incompatibility:
    """A finding as it is repeated one turn of a recursion further in."""
    return finding if finding.rule.endswith(_ECHO) else replace(finding, rule=finding.rule + _ECHO)


def _without_echoes(findings: list[Incompatibility]) -> list[Incompatibility]:
    """The findings, without the repetitions of those that are told anyway."""
    told = [finding for finding in findings if not finding.rule.endswith(_ECHO)]
    for finding in findings:
        plain = replace(finding, rule=finding.rule.removesuffix(_ECHO))
        if not any(replace(plain, path=one.path) == one and plain.path.endswith(one.path) for one in told):
            told.append(plain)
    return told


@dataclass(frozen=True, slots=True)
class _Check:
    """One pass over the pairs of what may be sent and who reads it.

    A pair that is met again inside itself counts as compatible: JSON values end somewhere, so a counterexample to
    the inner one would be a smaller one to the outer. If the outer one turns out incompatible, all that was concluded
    from it is void, and another pass starts in which it is ``refuted``. The passes end in the greatest set of pairs
    in which each follows from others of the set.

    Attributes:
        refuted: pairs that count as incompatible where they are met again, and what was found about them.
        decided: the findings of finished pairs.
        pending: pairs in progress, one for each level of the value above this one.
        assumed: those that were met again and taken for compatible.
        running: the reader's nodes in progress, over all levels; Python's own stack is not deep.
        cases: the findings of finished alternatives.
        equal: which nodes say the same.
        steps: counts the comparisons, so that no schema takes for ever.
    """

    refuted: Mapping[Pair, list[Incompatibility]]
    decided: dict[Pair, list[Incompatibility]] = field(default_factory=dict)
    pending: set[Pair] = field(default_factory=set)
    assumed: set[Pair] = field(default_factory=set)
    running: list[Node] = field(default_factory=list)
    cases: dict[tuple[object, ...], list[Incompatibility]] = field(default_factory=dict)
    equal: dict[tuple[Node, Node], bool] = field(default_factory=dict)
    steps: Iterator[int] = field(default_factory=count)

    def contained(self, sent: frozenset[Node], reader: Node) -> list[Incompatibility]:
        """Why a value that satisfies all of some nodes might not be read, with paths from that value."""
        reader = followed(reader) or reader
        pair = frozenset(followed(node) or node for node in sent), reader
        if pair in self.decided:
            return self.decided[pair]
        if pair in self.pending and pair in self.refuted:
            return self.refuted[pair]
        if pair in self.pending:
            self.assumed.add(pair)
            return []
        self.pending.add(pair)
        writers = [writer for writer in alternatives(sent) if not is_vacant(writer)]
        self.decided[pair] = unique(
            finding for writer in writers for finding in self.reads(writer, reader, frozenset())
        )
        self.pending.discard(pair)
        return self.decided[pair]

    def reads(self, writer: Alternative, reader: Node, passed: frozenset[Node]) -> list[Incompatibility]:
        """Why a value of an alternative might not be read.

        Args:
            writer: what is sent.
            reader: who reads it.
            passed: the nodes that led here without going into the value; to meet one again says nothing.
        """
        reader = followed(reader) or reader
        if reader in passed:
            return [undecided("$ref", "it refers to itself without a value in between")]
        if len(self.running) >= _DEEPEST:
            return [undecided("schema", "it is nested too deep")]
        if next(self.steps) >= _MOST_STEPS:
            return [undecided("schema", "the comparison takes too many steps")]
        if reader.schema is False:
            return [Incompatibility("", "nothing-admitted", "The reader admits no value here.")]
        if not (reader.known or reader.odd) or any(self._are_same(node, reader) for node in writer.nodes):
            return []
        self.running.append(reader)
        findings = self._compared(writer, reader, passed | {reader})
        self.running.pop()
        return findings

    def _compared(self, writer: Alternative, reader: Node, passed: frozenset[Node]) -> list[Incompatibility]:
        if writer.values is not None:
            return list(self._listed(writer, reader, passed))
        case = writer.nodes, writer.types, writer.siblings, reader
        if case not in self.cases:
            self.cases[case] = unique(
                [*self._applied(writer, reader, passed), *self._asserted(writer, reader)]
            )
        return self.cases[case]

    def _are_same(self, one: Node, other: Node) -> bool:
        if (one, other) not in self.equal:
            self.equal[one, other] = same(one, other)
        return self.equal[one, other]

    def _listed(
        self, writer: Alternative, reader: Node, passed: frozenset[Node]
    ) -> Iterator[Incompatibility]:
        """Every value that the writer lists, by the reader's validator."""
        verdicts = [(value, admits(reader, value)) for value in writer.values or ()]
        refused = [value for value, verdict in verdicts if verdict is False]
        rest = tuple(value for value, verdict in verdicts if verdict is None)
        if refused:
            reason = f"The reader refuses {show(refused)}, which the writer may send: admit it, or stop sending it."
            yield Incompatibility("", "enum-narrowed", reason)
        if rest and not reader.odd and reader.known.keys() <= {"$ref", "allOf", "anyOf"}:
            yield from self._applied(replace(writer, values=rest), reader, passed)
        elif rest:
            yield undecided("schema", f"a format or a keyword in it decides about {show(rest)}")

    def _applied(
        self, writer: Alternative, reader: Node, passed: frozenset[Node]
    ) -> Iterator[Incompatibility]:
        """What the schemas say that the reader applies to the same value."""

        def reads(part: Alternative, node: Node) -> list[Incompatibility]:
            return self.reads(part, node, passed)

        if "$ref" in reader.known:
            target = reader.target
            if target is None:
                yield undecided("$ref", f"{reader.known['$ref']!r} is not a pointer into its document")
            else:
                yield from reads(writer, target)
        for member in reader.children("allOf"):
            yield from reads(writer, member)
        if "anyOf" in reader.known:
            yield from check_any_of(writer, reader, reads)
        if "oneOf" in reader.known:
            yield from check_one_of(writer, reader, reads)

    def _asserted(self, writer: Alternative, reader: Node) -> Iterator[Incompatibility]:
        """What the reader says itself, first of the types and then of the values of the types that it takes."""
        yield from check_type(writer, reader)
        shared = writer.only(types_of(reader.known.get("type")))
        if not shared.types:
            return
        yield from check_listed(shared, reader)
        yield from check_format(shared, reader)
        for types, check in _CHECKS:
            if shared.types & types:
                yield from check(shared.only(types), reader, self.contained)
        yield from _check_opaque(shared, reader)


_Rule: TypeAlias = Callable[
    [Alternative, Node, Callable[[frozenset[Node], Node], list[Incompatibility]]], Iterator[Incompatibility]
]

_CHECKS: tuple[tuple[frozenset[str], _Rule], ...] = (
    (NUMBERS, lambda writer, reader, _: check_numbers(writer, reader)),
    (frozenset({"string"}), lambda writer, reader, _: check_strings(writer, reader)),
    (frozenset({"array"}), check_arrays),
    (frozenset({"object"}), check_objects),
)


def _check_opaque(writer: Alternative, reader: Node) -> Iterator[Incompatibility]:
    """Keywords that are not looked into must be the same in the writer."""
    for keyword, (types, together) in _OPAQUE.items():
        if keyword not in reader.known or not writer.types & types:
            continue
        if not together or not any(same_keywords(node, reader, together) for node in writer.nodes):
            yield undecided(keyword)
    if reader.odd and not any(same_odd(reader, node) for node in writer.nodes):
        yield from map(undecided, reader.odd)
