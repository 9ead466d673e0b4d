"""When a high score is news: once, and again only after the score has been low. Pure, but for what it remembers."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Alarms", "Levels", "News", "judge"]

News = Literal["raised", "cleared"]


@dataclass(frozen=True, slots=True)
class Levels:
    """A score from `high` raises an alarm, one up to `low` clears it; between them it stays as it is."""

    high: float
    low: float


def judge(score: float | None, *, raised: bool, levels: Levels) -> News | None:
    """What a score changes, if anything; no score changes nothing.

    Example: with levels of 0.6 and 0.3 the scores 0.1, 0.6, 0.7, 0.4, 0.6, 0.2, 0.6 raise an alarm with the
    first and the last 0.6, and clear it with 0.2.
    """
    if score is None:
        return None
    if not raised and score >= levels.high:
        return "raised"
    if raised and score <= levels.low:
        return "cleared"
    return None


class Alarms:
    """Which processes' alarms are raised; of each partition the last ones raised are remembered.

    Args:
        levels: when.
        limit: alarms per partition.
    """

    def __init__(self, levels: Levels, limit: int) -> None:
        self._levels = levels
        self._limit = limit
        self._raised: dict[int, OrderedDict[str, None]] = {}

    def judge(self, partition: int, key: str, score: float | None) -> News | None:
        """What a score changes; nothing is remembered of it yet."""
        return judge(score, raised=key in self._raised.get(partition, ()), levels=self._levels)

    def note(self, partition: int, key: str, news: News) -> None:
        """Remember it, once it has been said: what was not said comes again."""
        raised = self._raised.setdefault(partition, OrderedDict())
        if news == "cleared":
            raised.pop(key, None)
            return
        raised[key] = None
        if len(raised) > self._limit:
            raised.popitem(last=False)

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget those of all other partitions."""
        kept = set(partitions)
        self._raised = {number: raised for number, raised in self._raised.items() if number in kept}

    def __len__(self) -> int:
        return sum(map(len, self._raised.values()))
