"""Properties of objects: the named ones, all the others, and their names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations

from prom_faust.schema.compatibility.document import Document, Node, admits
from prom_faust.schema.compatibility.incompatibility import (
    ANY_ELEMENT,
    Incompatibility,
    escape,
    undecided,
    under,
)
from prom_faust.schema.compatibility.strings import check_size
from prom_faust.schema.compatibility.writer import Alternative, alternatives, at_name

__all__ = ["check_objects"]

Contained = Callable[[frozenset[Node], Node], list[Incompatibility]]

_MOST_PATTERNS = 4
_NAME = Document({"type": "string"}).at("")
_OPEN = 'close the writer with additionalProperties: false (extra="forbid")'


def check_objects(writer: Alternative, reader: Node, contained: Contained) -> Iterator[Incompatibility]:
    """Every object of the writer that the reader may refuse.

    A name that either side mentions is compared by itself; the others are alike up to the patterns that they match.
    """
    names = _Names.of(writer, reader)
    for name in reader.known.get("required", ()):
        if name not in writer.required:
            yield Incompatibility(
                f"/{escape(name)}",
                "required-added",
                f"The reader requires {name!r}, which the writer may leave out: give the field a default.",
            )
    most = None if names.others else len(names.named)
    yield from check_size(writer, reader, "Properties", least=len(writer.required), most=most)
    for name in names.named:
        yield from _check_property(writer, reader, name, contained)
    for matched in names.others:
        yield from _check_others(writer, reader, matched, contained)
    yield from _check_names(reader, names, contained)


@dataclass(frozen=True, slots=True)
class _Names:
    """The names that a writer's objects may have.

    Attributes:
        rules: the nodes that every name satisfies.
        named: those that the writer or the reader mentions.
        others: the patterns that another name may match, one set for each kind of name; None for too many kinds.
    """

    rules: frozenset[Node]
    named: list[str]
    others: list[frozenset[str] | None]

    @classmethod
    def of(cls, writer: Alternative, reader: Node) -> "_Names":
        nodes = [*writer.nodes, reader]
        rules = frozenset(
            [_NAME, *(rule for node in writer.nodes for rule in node.children("propertyNames"))]
        )
        listed = [one.values for one in alternatives(rules)]
        finite = [name for values in listed for name in values or ()]
        mentioned = chain(
            finite, *(chain(node.known.get("properties", ()), _required(node)) for node in nodes)
        )
        named = [
            name
            for name in dict.fromkeys(mentioned)
            if not any(admits(rule, name) is False for rule in rules) and alternatives(writer.at_name(name))
        ]
        if None not in listed:
            return cls(rules, named, [])
        patterns = sorted({pattern for node in nodes for pattern in node.known.get("patternProperties", ())})
        matched = {rule.known["pattern"] for rule in rules if "pattern" in rule.known}
        kinds = list(_subsets(patterns, frozenset(matched))) if len(patterns) <= _MOST_PATTERNS else [None]
        return cls(rules, named, [kind for kind in kinds if alternatives(_sent_to_others(writer, kind))])


def _required(node: Node) -> list[str]:
    return list(node.known.get("required", ()))


def _subsets(patterns: list[str], within: frozenset[str]) -> Iterator[frozenset[str]]:
    """The sets of patterns that a name may match which matches some of them for certain."""
    for size in range(len(patterns) + 1):
        for subset in map(frozenset, combinations(patterns, size)):
            if within.intersection(patterns) <= subset:
                yield subset


def _sent_to_others(writer: Alternative, matched: frozenset[str] | None) -> frozenset[Node]:
    if matched is None:
        return frozenset()
    return frozenset(rule for node in writer.nodes for rule in _at_others(node, matched))


def _at_others(node: Node, matched: frozenset[str]) -> list[Node]:
    """What a node says of a property that it does not name and that matches some patterns."""
    patterns = [pattern for pattern in node.known.get("patternProperties", ()) if pattern in matched]
    return [node.child("patternProperties", pattern) for pattern in patterns] or node.children(
        "additionalProperties"
    )


def _check_property(
    writer: Alternative, reader: Node, name: str, contained: Contained
) -> Iterator[Incompatibility]:
    sent = writer.at_name(name)
    is_open = not sent and not any(name in node.known.get("properties", ()) for node in writer.nodes)
    wanted = at_name(reader, name)
    if wanted is None:
        yield undecided("patternProperties", "one of its patterns cannot be read")
    for rule in wanted or ():
        if rule.schema is False:
            reason = (
                f"The writer may send {name!r}, which the reader refuses: keep the field, or open the reader."
            )
            yield Incompatibility(f"/{escape(name)}", "property-removed", reason)
            continue
        findings = under(name, contained(sent, rule))
        yield from _blame_open_writer(f"/{escape(name)}", repr(name)) if findings and is_open else findings


def _check_others(
    writer: Alternative, reader: Node, matched: frozenset[str] | None, contained: Contained
) -> Iterator[Incompatibility]:
    if matched is None:
        yield undecided("patternProperties", f"there are more than {_MOST_PATTERNS} patterns")
        return
    sent = _sent_to_others(writer, matched)
    for rule in _at_others(reader, matched):
        if rule.schema is False:
            reason = (
                f"The writer may send properties unknown to the closed reader: {_OPEN}, or open the reader."
            )
            yield Incompatibility("", "closed-object", reason)
            continue
        findings = under(ANY_ELEMENT, contained(sent, rule))
        is_blamed = bool(findings) and not sent
        yield from _blame_open_writer(f"/{ANY_ELEMENT}", "a further property") if is_blamed else findings


def _blame_open_writer(path: str, what: str) -> list[Incompatibility]:
    reason = f"The open writer may send anything as {what}, and the reader does not take anything: {_OPEN}."
    return [Incompatibility(path, "open-object", reason)]


def _check_names(reader: Node, names: _Names, contained: Contained) -> Iterator[Incompatibility]:
    for rule in reader.children("propertyNames"):
        for name in names.named:
            verdict = admits(rule, name)
            if verdict is None:
                yield undecided("propertyNames", f"it depends on a format or an unknown keyword for {name!r}")
            elif not verdict:
                reason = f"The writer may send {name!r}, a name that the reader refuses."
                yield Incompatibility(f"/{escape(name)}", "property-names-narrowed", reason)
        for finding in contained(names.rules, rule) if names.others else ():
            is_open = finding.rule == "undecided"
            kind = "undecided" if is_open else "property-names-narrowed"
            yield Incompatibility("", kind, f"A property name of the writer may be refused. {finding.reason}")
