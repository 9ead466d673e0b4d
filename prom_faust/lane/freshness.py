"""Whether deletes of a compacted log can have gone before they were applied. Pure: time is an argument.

The cleaner removes a tombstone, though not before it has stood for ``delete.retention.ms`` (KIP-534: counted from
the first cleaning that finds it). So a log's deletes are all known to who has applied everything that was on it at
one time, and everything that was on it later no later than that retention after.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DELETE_RETENTION", "Freshness", "Synced", "delete_window"]

DELETE_RETENTION = 86_400_000
"""Kafka's default of ``delete.retention.ms``."""
SHARE_OF_SLACK = 10
MOST_SLACK = 60_000
LEAST_WINDOW = 4_000
"""Milliseconds. A log is looked at four times in a window, and once a second at most."""


@dataclass(frozen=True, slots=True)
class Synced:
    """Up to where no delete can have been missed.

    Attributes:
        at: milliseconds since the epoch.
        end: the log's end at that time; everything before it is applied.
    """

    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh one partition is, look by look.

    Attributes:
        synced: the latest time at which everything on the log was applied, as far as is known.
        seen: an earlier look at the log, whose end is not reached yet.
    """

    synced: Synced
    seen: Synced | None = None

    def look(self, now: Synced, *, reached: int) -> "Freshness":
        """The state after another look, at a log that has lost nothing.

        Args:
            now: a time, and the log's end as it was asked for after that time.
            reached: the offset before which everything is applied.

        Worked example: at 10 s the log ends at 70 and 60 is reached: it is remembered. At 20 s it ends at 90 and 75
        is reached: everything of 10 s is applied, and what is waited for now is 90.
        """
        if reached >= now.end:
            return Freshness(now)
        seen = self.seen or now
        return Freshness(seen, now) if reached >= seen.end else Freshness(self.synced, seen)

    def missed(self, now: Synced, *, begin: int, reading: int, window: int) -> str | None:
        """Why deletes may have been missed, in words, or None if none can have been.

        Args:
            now: a time, and the log's end as it was asked for after that time.
            begin: the log's first offset.
            reading: the offset that is read next.
            window: milliseconds for which a delete stands at least.
        """
        if begin > max(reading, self.synced.end):
            return f"the log begins at offset {begin}, and what is read next is {reading}"
        late = now.at - self.synced.at
        if now.end > self.synced.end and late > window:
            return f"what was on the log {late / 1000:.0f} s ago was the last that is known to be applied in time"
        return None


def delete_window(config: Mapping[str, str]) -> int | None:
    """How long a delete stands on a topic at least, in ms; None where the topic is not compacted.

    A tenth of ``delete.retention.ms``, at most a minute, is left for workers whose clocks differ.

    Args:
        config: the topic's settings, as the broker describes them.
    """
    if "compact" not in config.get("cleanup.policy", "delete").split(","):
        return None
    retention = int(config.get("delete.retention.ms", DELETE_RETENTION))
    return max(retention - min(retention // SHARE_OF_SLACK, MOST_SLACK), LEAST_WINDOW)
