"""What a verification found."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["Difference", "Kind", "Progress", "Report"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is (0 where that is not known)."""


class Kind(Enum):
    """What can be said of one key, or of one record."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"
    POISON = "poison"
    RETAINED = "retained"
    MOVING = "moving"
    LEFTOVER = "leftover"


WRONG = frozenset({Kind.MISSING, Kind.EXTRA, Kind.DIFFERENT, Kind.POISON})
"""The kinds that make a collection differ from its topic."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One finding.

    Attributes:
        kind: what it is.
        key: what stands in the document's ``_key``; the ``_id`` of a document without one; None for a record
            without a key.
        reason: what was expected and what stands.
    """

    kind: Kind
    key: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a verification.

    Attributes:
        collection: the collection's name.
        topic: the topic's name.
        group: the consumer group whose letters count.
        records: records read from the topic.
        letters: the group's dead letters, duplicates included.
        dead: records left out because they were dead-lettered and not replayed.
        keys: documents that the topic asks for.
        documents: documents that stand, without markers.
        markers: delete markers that still stand.
        missing: keys that should have a document and have none.
        extra: documents that should not be there.
        different: documents with other content than their record.
        poison: records that do not decode and were not dead-lettered.
        retained: documents whose record the cleaner removed in favour of one that did not count.
        moving: keys that changed all the while.
        leftover: keys with a record where they were before a jump-routed topic grew, until they are re-homed.
        seconds: how long it took.
        differences: the first findings, wrong ones first.
        written: documents that the repair wrote; all other figures are those after it.
        removed: documents that the repair removed.
    """

    collection: str
    topic: str
    group: str
    records: int
    letters: int
    dead: int
    keys: int
    documents: int
    markers: int
    missing: int
    extra: int
    different: int
    poison: int
    retained: int
    moving: int
    leftover: int
    seconds: float
    differences: tuple[Difference, ...]
    written: int = 0
    removed: int = 0

    @property
    def clean(self) -> bool:
        """Whether the collection equals the fold of its topic."""
        return not (self.missing or self.extra or self.different or self.poison)

    @property
    def records_per_second(self) -> float:
        """Records read, per second of the whole verification."""
        return self.records / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "differences"}
        findings = [
            {"kind": found.kind.value, "key": found.key, "reason": found.reason} for found in self.differences
        ]
        return {
            "clean": self.clean,
            **fields,
            "records_per_second": round(self.records_per_second, 1),
            "differences": findings,
        }
