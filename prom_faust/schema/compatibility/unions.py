"""``anyOf`` and ``oneOf`` of a reader."""

from collections.abc import Callable

from prom_faust.schema.compatibility.document import Node
from prom_faust.schema.compatibility.equality import same_keywords
from prom_faust.schema.compatibility.incompatibility import Incompatibility, undecided
from prom_faust.schema.compatibility.keywords import in_words
from prom_faust.schema.compatibility.types import wrong_type
from prom_faust.schema.compatibility.writer import Alternative, alternatives, both, is_vacant

__all__ = ["check_any_of", "check_one_of"]

Reads = Callable[[Alternative, Node], list[Incompatibility]]


def check_any_of(writer: Alternative, reader: Node, reads: Reads) -> list[Incompatibility]:
    """Some branch must read the alternative, or one for each of its types.

    ``{"type": ["string", "null"]}`` is read by ``[{"type": "string"}, {"type": "null"}]`` only in this second way.
    """
    branches = reader.children("anyOf")

    def is_read(part: Alternative) -> bool:
        # Branches that share nothing with the part cannot read it, unless the part is empty.
        return any(not reads(part, branch) for branch in _meeting(part, branches) or branches)

    refused = _refused(writer, is_read)
    return [] if refused is None or is_read(refused) else _nearest(refused, branches, reads)


def check_one_of(writer: Alternative, reader: Node, reads: Reads) -> list[Incompatibility]:
    """As for ``anyOf``, and all the other branches must provably refuse what the one reads."""
    if any(same_keywords(node, reader, ["oneOf"]) for node in writer.nodes):
        return []
    branches = reader.children("oneOf")

    def is_read(part: Alternative) -> bool:
        meeting = _meeting(part, branches)
        return not meeting[1:] and any(not reads(part, branch) for branch in meeting or branches)

    refused = _refused(writer, is_read)
    if refused is None:
        return []
    if any(not reads(refused, branch) for branch in _meeting(refused, branches) or branches):
        return [undecided("oneOf", "a value may match more than one of its branches")]
    return _nearest(refused, branches, reads)


def _meeting(writer: Alternative, branches: list[Node]) -> list[Node]:
    """The branches that may admit a value of the alternative."""
    return [branch for branch in branches if not _are_disjoint(writer, branch)]


def _are_disjoint(writer: Alternative, reader: Node) -> bool:
    """Whether the reader provably admits no value of the alternative.

    Told by types, by listed values, and by such a difference in a property that every object has: the discriminator
    of a tagged union.
    """
    shared = [both(writer, other) for other in alternatives([reader])]
    return all(one is None or is_vacant(one) for one in shared)


def _refused(writer: Alternative, is_read: Callable[[Alternative], bool]) -> Alternative | None:
    """The part of an alternative, by types, that is not read; None where all of it is."""
    if is_read(writer):
        return None
    if writer.values is not None or len(writer.types) == 1:
        return writer
    refused = frozenset(kind for kind in writer.types if not is_read(writer.only(frozenset({kind}))))
    return writer.only(refused) if refused else None


def _nearest(writer: Alternative, branches: list[Node], reads: Reads) -> list[Incompatibility]:
    """Why no branch reads: what the one that lacks least says, or one finding where several lack as much."""
    admitted = {branch: _types_of(branch) for branch in branches}
    if not any(writer.types & types for types in admitted.values()):
        return [wrong_type(writer, frozenset().union(*admitted.values()))]
    candidates = _meeting(writer, branches) or [
        branch for branch in branches if writer.types & admitted[branch]
    ]
    lacks = sorted((reads(writer, branch) for branch in candidates), key=len)
    if len(lacks) == 1 or len(lacks[0]) < len(lacks[1]):
        return lacks[0]
    reason = (
        f"No branch of the reader's union takes every {in_words(writer.types)} of the writer. "
        f"The nearest, at {lacks[0][0].path or 'its root'}: {lacks[0][0].reason}"
    )
    return [Incompatibility("", "union-narrowed", reason)]


def _types_of(branch: Node) -> frozenset[str]:
    return frozenset(kind for one in alternatives([branch]) for kind in one.types)
