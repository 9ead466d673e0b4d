"""A record that is to be applied late, and what became of it. Pure."""

from dataclasses import dataclass
from enum import Enum

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.lane.record import Record

__all__ = ["Candidate", "Result", "Verdict"]


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
    """What became of a candidate."""

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
