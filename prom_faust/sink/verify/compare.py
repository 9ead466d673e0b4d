"""Expected and found -> the difference, in words. Pure.

Two facts are asked for beside the two documents: whether the record that a document names is still in the
log, and whether a later one of its key is there. A compacted log keeps the last record of every key, also
where that one was dead-lettered or had a lower version: what stands then has no record any more, and is
right all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prom_faust.sink.order import Rank, place_at, rank_of
from prom_faust.sink.verify.fold import Outcome
from prom_faust.sink.verify.report import Kind

__all__ = ["Facts", "Finding", "differing_fields", "is_marker", "judge", "place_of", "source_of"]

SHORT = 48
"""Characters of a value that are shown."""
SYSTEM = ("_key", "_ts", "_src", "_v")
Document = Mapping[str, Any]
Finding = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the log says of the record that a document names as its source.

    Attributes:
        known: a record at that position was read, or its letter was.
        dead: it was dead-lettered.
        later: the position of a later record of the key in the same partition, or None.
        ahead: it lies behind what was read.
        beyond: it lies behind the log's end of this moment: no such record was ever written.
        outlived: its document stands for good: the log need not keep the record.
    """

    known: bool = False
    dead: bool = False
    later: int | None = None
    ahead: bool = False
    beyond: bool = False
    outlived: bool = False


def source_of(document: Document) -> int | None:
    """The packed position that a document names; None where it names none."""
    source = document.get("_src")
    n = source.get("n") if isinstance(source, Mapping) else None
    return int(n) if isinstance(n, int) and not isinstance(n, bool) and n >= 0 else None


def is_marker(document: Document) -> bool:
    """Whether a document only says that its key was deleted, until the sink removes it."""
    return document.get("_deleted") is True and "_deleted_at" in document


def judge(
    outcome: Outcome | None,
    expected: Document | None,
    found: Sequence[Document],
    facts: Facts,
    *,
    versioned: bool,
    owned: Sequence[str] | None = None,
) -> Finding | None:
    """Compare what should stand for one key with what does.

    Args:
        outcome: what the fold gives, or None for a key without a record that counts.
        expected: the document that should stand, or None.
        found: the documents of this key, without ``_id``, markers included.
        facts: about the source of the first of them.
        versioned: whether the projection has a version function.
        owned: with ``write="set"`` the mapped fields: others are not looked at.

    Returns:
        None where they agree.
    """
    document = found[0] if found else None
    if len(found) > 1:
        return Kind.DIFFERENT, f"{len(found)} documents have this key: is the unique index on _key gone?"
    if document is not None and facts.ahead:
        return _ahead(document, facts)
    live = None if document is None or is_marker(document) else document
    differing = _differing(expected, live, owned)
    if differing is None:
        return None
    if document is not None and (retained := _retained(outcome, document, facts, versioned=versioned)):
        return Kind.RETAINED, retained
    return _wrong(outcome, document, live, facts, differing)


def _wrong(
    outcome: Outcome | None, document: Document | None, live: Document | None, facts: Facts, differing: str
) -> Finding:
    if live is None:
        stands = "no document" if document is None else f"a delete marker of {place_of(source_of(document))}"
        return Kind.MISSING, f"{place_of(outcome.n if outcome else None)} gives a document, there is {stands}"
    if outcome is None or outcome.deletes:
        return Kind.EXTRA, _why_extra(outcome, live, facts)
    return Kind.DIFFERENT, differing


def _ahead(document: Document, facts: Facts) -> Finding:
    place = place_of(source_of(document))
    if facts.beyond:
        return Kind.DIFFERENT, f"_src names {place}, which the log does not reach"
    return Kind.MOVING, f"stands at {place}, written during the verification"


def _differing(expected: Document | None, live: Document | None, owned: Sequence[str] | None) -> str | None:
    """The differing fields in words (none are named where a document is missing), or None."""
    if expected is None or live is None:
        return None if expected is live else ""
    return "; ".join(differing_fields(expected, live, owned)) or None


def _retained(outcome: Outcome | None, document: Document, facts: Facts, *, versioned: bool) -> str | None:
    """Why a document whose record is gone may stand, or None."""
    if facts.outlived and not facts.known:
        return f"its record, {place_of(source_of(document))}, is no longer in the log"
    if facts.known or facts.later is None:
        return None
    rank = _rank(document, versioned=versioned)
    if rank is None or (outcome is not None and rank <= outcome.rank):
        return None
    return (
        f"the cleaner removed its record, {place_of(source_of(document))}, for a later one that did not count, "
        f"{place_of(facts.later)}"
    )


def _rank(document: Document, *, versioned: bool) -> Rank | None:
    n, version = source_of(document), document.get("_v")
    if n is None or not (version is None or isinstance(version, int)):
        return None
    return rank_of(n, version, versioned=versioned, inherits=document.get("_inherits") is True)


def _why_extra(outcome: Outcome | None, document: Document, facts: Facts) -> str:
    n = source_of(document)
    if n is None:
        return "a document that the sink did not write"
    stands = f"the document of {document['_src'].get('t')} {place_of(n)} stands"
    if facts.dead:
        return f"{stands}, and that record was dead-lettered"
    if outcome is not None:
        return f"deleted at {place_of(outcome.n)}, {stands}"
    return f"no record of this key counts, {stands}"


def differing_fields(expected: Document, found: Document, owned: Sequence[str] | None = None) -> list[str]:
    """The fields in which two documents differ, each with both values, shortened.

    The order of fields does not matter, their BSON type does: 1 and 1.0 and true are three values.
    """
    names = [*expected, *(name for name in found if name not in expected)]
    if owned is not None:
        compared = {*owned, *SYSTEM}
        names = [name for name in names if name in compared]
    return [
        f"{name}: expected {_shown(expected, name)}, found {_shown(found, name)}"
        for name in names
        if name not in expected or name not in found or not _same(expected[name], found[name])
    ]


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        # NaN is not equal to itself, and stands for itself in a document.
        return left == right or (left != left and right != right)  # noqa: PLR0124
    return type(left) is type(right) and bool(left == right)


def _shown(document: Document, name: str) -> str:
    if name not in document:
        return "nothing"
    text = repr(document[name])
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def place_of(n: int | None) -> str:
    """A packed position in words."""
    if n is None:
        return "an unknown record"
    partition, offset = place_at(n)
    return f"partition {partition} offset {offset}"
