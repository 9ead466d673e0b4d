"""Which bad records may be dead-lettered, and when there are too many of them. Pure.

A deploy with the wrong code makes every record bad. A sink with ``max_failure_rate`` then stops, and the right code
goes on where it stopped, instead of finding a topic full of letters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prom_faust.exceptions import RecordError, WriteRejectedError
from prom_faust.sink.outcome import BAD_DATA, DUPLICATE_KEY

__all__ = ["LEAST", "SIZE", "Tolerance", "Window", "advance", "tolerates"]

Tolerance = Literal["none", "data", "all"]
"""What is dead-lettered: nothing; what does not decode or MongoDB refuses by a listed code; anything bad."""

SIZE = 1_000
"""Records over which the failure rate is taken."""
LEAST = 100
"""Records below which there is no rate: the first record of a day may be bad."""

LISTED = BAD_DATA | {DUPLICATE_KEY}


def tolerates(tolerance: Tolerance, error: RecordError) -> bool:
    """Whether a record with this error may be dead-lettered, so that its partition goes on."""
    if tolerance == "data":
        return not isinstance(error, WriteRejectedError) or error.code in LISTED
    return tolerance == "all"


@dataclass(frozen=True, slots=True)
class Window:
    """The last records of a sink, each once: one that comes again is the newest again.

    Attributes:
        outcomes: a record's packed position to whether it is bad, the oldest first; at most ``SIZE``.
    """

    outcomes: Mapping[int, bool] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """The share of bad records; 0.0 while there are fewer than ``LEAST``."""
        return _rate(sum(self.outcomes.values()), len(self.outcomes))


def advance(window: Window, seen: Iterable[tuple[int, bool]]) -> tuple[Window, float]:
    """Take in records.

    Args:
        window: the window so far.
        seen: packed positions, and whether each of the records is bad, in the order in which they were looked at.

    Returns:
        The new window, and the highest rate on the way to it: a batch may be longer than the window, and good
        records at its end do not make the bad ones before them fewer.

    Worked example: 100 good records, then 300 bad ones. Behind the last of them the rate is 300 / 400; the same 300
    again change nothing, for they are counted once.
    """
    outcomes = dict(window.outcomes)
    bad = sum(outcomes.values())
    highest = 0.0
    for n, is_bad in seen:
        bad += is_bad - outcomes.pop(n, False)
        outcomes[n] = is_bad
        if len(outcomes) > SIZE:
            bad -= outcomes.pop(next(iter(outcomes)))
        highest = max(highest, _rate(bad, len(outcomes)))
    return Window(outcomes), highest


def _rate(bad: int, count: int) -> float:
    return bad / count if count >= LEAST else 0.0
