"""What becomes of a record over which an agent keeps raising: tried again, dead-lettered, or stopped at. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

from prom_faust.exceptions import ConfigurationError, RecordError, RevokedError
from prom_faust.lane.batch import Share
from prom_faust.lane.record import TopicPartition

__all__ = ["FOREVER", "OnError", "Policy", "Verdict", "counts", "dead", "halves"]

OnError = Literal["retry", "dead_letter", "stop"]

FOREVER = float("inf")
"""The pause of a partition that has stopped, in seconds."""


class Verdict(Enum):
    """What is to be done with records over which the agent has raised."""

    AGAIN = "again"
    """They are given to it again, after a pause."""
    APART = "apart"
    """They are given to it in two parts, to find out which of them it is."""
    BURY = "bury"
    """The one record goes to the dead-letter topic."""
    STOP = "stop"
    """The partition stops at the one record."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an agent's user wants done when it raises.

    Args:
        on_error: ``retry`` for ever, ``dead_letter`` the record after some attempts, or ``stop`` its partition.
        attempts: how often records are tried before that.

    Raises:
        ConfigurationError: one of them cannot be.
    """

    on_error: OnError = "retry"
    attempts: int = 5

    def __post_init__(self) -> None:
        if self.on_error not in get_args(OnError):
            raise ConfigurationError(
                f"on_error= must be one of {', '.join(get_args(OnError))}, not {self.on_error!r}"
            )
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise ConfigurationError(f"attempts= must be a whole number of at least 1, not {self.attempts!r}")

    def verdict(self, error: BaseException, *, failures: int, records: int, part: bool = False) -> Verdict:
        """What is to be done.

        Worked example: ``Policy("dead_letter", 3)`` and a batch of two, the second of which is bad. The batch is
        tried three times and taken apart; the first record is done; the second is tried three times and buried.

        Args:
            error: what the agent raised last.
            failures: how often it has raised over these very records, as far as that counts.
            records: how many they are.
            part: whether they are part of what was taken apart.
        """
        if not counts(error):
            return Verdict.AGAIN
        named = isinstance(error, RecordError)
        enough = 1 if part and records > 1 else self.attempts
        if not named and (self.on_error == "retry" or failures < enough):
            return Verdict.AGAIN
        if records > 1:
            return Verdict.APART
        return Verdict.BURY if named or self.on_error == "dead_letter" else Verdict.STOP


def counts(error: BaseException) -> bool:
    """Whether an error says something of the records, and not of a server that is away or a rebalance."""
    passing = isinstance(error, RevokedError) or getattr(error, "retryable", False) is True
    return isinstance(error, Exception) and not passing


def dead(error: BaseException, attempts: int) -> RecordError:
    """The error with which a record is dead-lettered."""
    if isinstance(error, RecordError):
        return error
    found = RecordError(f"the agent raised {error!r} over it, {attempts} times")
    found.__cause__ = error
    return found


def halves(shares: Mapping[TopicPartition, Share]) -> Iterator[dict[TopicPartition, Share]]:
    """Two parts of a batch of more than one record, as they are to be given: each partition keeps its order.

    >>> from prom_faust.lane.batch import Token
    >>> whole = {TopicPartition("t", 0): Share(Token(TopicPartition("t", 0)), [1, 2, 3])}
    >>> [[share.records for share in half.values()] for half in halves(whole)]
    [[[1]], [[2, 3]]]
    """
    middle = sum(len(share.records) for share in shares.values()) // 2
    for begin, end in ((0, middle), (middle, None)):
        half: dict[TopicPartition, Share] = {}
        passed = 0
        for name, share in shares.items():
            stop = None if end is None else max(0, end - passed)
            records = share.records[max(0, begin - passed) : stop]
            passed += len(share.records)
            if records:
                half[name] = Share(share.token, records)
        yield half
