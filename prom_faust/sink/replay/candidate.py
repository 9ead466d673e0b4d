"""A record that is to be applied late, and what became of it. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.lane.record import Record

__all__ = ["Candidate", "Outcome", "Result", "Verdict"]

SHOWN = 50
"""Results that are named, of those with a reason; all are counted."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that is to be applied late.

    Attributes:
        record: it, at its original position.
        known_at: milliseconds since the epoch at which everything behind it was still on its log. A tombstone
            stands for ``delete.retention.ms`` at least, so what has deleted its key since is found as long after.
        letter: the dead letter that it was, or None.
    """

    record: Record
    known_at: int
    letter: DeadLetter | None = None


class Verdict(Enum):
    """What became of a candidate, or of a dead letter."""

    APPLIED = "applied"
    """It stands in the collection, or would, in a dry run."""
    ALREADY = "already applied"
    """It stood there before."""
    SUPERSEDED = "superseded"
    """A later record of its key, or a tombstone, has overtaken it."""
    TOO_OLD = "too old"
    """What came after it is not all on the log any more: a delete of its key may be gone."""
    FOREIGN = "of another log"
    """Its topic was recreated: the position is another record's, or nobody's."""
    REFUSED = "refused"
    """It cannot be applied as it is."""
    SENT = "sent"
    """It was sent to its topic once more, as a new record."""
    DISCARDED = "discarded"
    """Somebody has decided that it is not needed."""
    LEFT = "left alone"
    """The fix-up function has no word on it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one candidate.

    Attributes:
        candidate: the candidate.
        verdict: what became of it.
        reason: why, for people; empty where it was applied.
        letter: of one that was refused: the letter that says so.
    """

    candidate: Candidate
    verdict: Verdict
    reason: str = ""
    letter: DeadLetter | None = None


@dataclass(slots=True)
class Outcome:
    """What became of all candidates.

    Attributes:
        counts: verdict to number.
        shown: the first of those that were not applied.
    """

    counts: Counter[str] = field(default_factory=Counter)
    shown: list[Result] = field(default_factory=list)

    def add(self, results: Iterable[Result]) -> None:
        """Count more of them."""
        for result in results:
            self.counts[result.verdict.value] += 1
            if result.reason and len(self.shown) < SHOWN:
                self.shown.append(result)
