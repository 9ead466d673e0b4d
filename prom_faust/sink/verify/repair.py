"""What would put one key right again, under a filter that only the state that was judged matches. Pure.

Nothing is taken from a document that this projection has not written: another topic's, or another writer's. And a
record that its key has left behind brings no document back: its delete may stand in the key's new partition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prom_faust.lane.record import PlainRecord
from prom_faust.sink.document import inserted_id
from prom_faust.sink.event import Change
from prom_faust.sink.key import Key
from prom_faust.sink.mend import Mended, exactly, marker_in_place
from prom_faust.sink.plan import KeyPlan, Write, guard
from prom_faust.sink.verify.compare import source_of
from prom_faust.sink.verify.fold import Outcome

__all__ = ["Expected", "Projected", "mend"]

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """The document that the log asks for.

    Attributes:
        body: as it is stored, encoded.
        document: the same, decoded.
    """

    body: bytes
    document: Document


@dataclass(frozen=True, slots=True)
class Projected:
    """What of a projection matters here.

    Attributes:
        topic: its topic.
        versioned: whether it has a version function.
        owned: with ``write="set"`` the mapped fields.
    """

    topic: str
    versioned: bool = False
    owned: Sequence[str] | None = None


def mend(
    key: Key,
    outcome: Outcome | None,
    expected: Expected | None,
    found: Sequence[Document],
    projected: Projected,
    *,
    inside: bool,
    left_behind: bool,
    now: int,
) -> Write | Mended | None:
    """What puts a key right for which something wrong was found.

    Args:
        key: the key.
        outcome: what the fold gives, or None for a key without a record that counts.
        expected: the document that should stand, or None.
        found: the documents that were read for the key, markers included.
        projected: the projection.
        inside: whether the log reaches the position that the found document names.
        left_behind: whether the deciding record stands where its key was before the topic grew.
        now: milliseconds since the epoch.

    Returns:
        None where it is not to be put right from here: there are several documents, or another writer's.
    """
    if len(found) > 1:
        return None
    document = found[0] if found else None
    live = document is not None and document.get("_deleted") is not True
    if outcome is not None and not outcome.deletes:
        if expected is None or (left_behind and not live):
            return None
        return _rewrite(key, expected, document, projected)
    if document is None or not live or source_of(document) is None:
        return None
    if document["_src"].get("t") != projected.topic:
        return None
    return exactly(document), _marker(outcome, document, projected, inside=inside, now=now)


def _rewrite(key: Key, expected: Expected, document: Document | None, projected: Projected) -> Write:
    """The document of the folded record, at the record's own position."""
    wanted, owned = expected.document, projected.owned
    source, version = wanted["_src"], wanted.get("_v")
    change = Change(
        key=key,
        n=source["n"],
        record=PlainRecord(source["t"], source["p"], source["o"], wanted["_ts"]),
        body=expected.body,
        version=version,
        fields=None if owned is None else {name: wanted[name] for name in owned if name in wanted},
    )
    exact = guard(change, version, versioned=projected.versioned) if document is None else exactly(document)
    return Write(KeyPlan(key, [change]), change, exact, version, exact=document is not None)


def _marker(
    outcome: Outcome | None, document: Document, projected: Projected, *, inside: bool, now: int
) -> dict[str, Any] | None:
    """The marker of the tombstone that decides, else one in the document's own place."""
    if outcome is not None:
        version = outcome.rank[1] if projected.versioned and outcome.rank[0] else None
        return marker_in_place(document["_key"], _source(projected.topic, outcome.n), version, deleted_at=now)
    if not inside:  # the log may yet reach it, and would find the marker there
        return None
    source = _source(projected.topic, document["_src"]["n"])
    return marker_in_place(document["_key"], source, document.get("_v"), deleted_at=now)


def _source(topic: str, n: int) -> dict[str, Any]:
    return {**inserted_id(topic, n), "n": n}
