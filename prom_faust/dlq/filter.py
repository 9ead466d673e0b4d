"""Which dead letters are meant. Pure."""

from dataclasses import dataclass, field, replace

__all__ = ["Filter", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept of a letter without its record.

    Attributes:
        topic: the record's topic.
        partition: its partition.
        offset: its offset.
        consumer: the consumer group that could not use it.
        state: what has become of it, see :class:`~prom_faust.dlq.envelope.State`.
        error_class: the error's class.
        message: the error's message, cut.
        attempts: how often it was tried.
        died_at: integer milliseconds since the epoch.
        redacted: whether parts of its value were left out.
        key: the record's raw key.
        place: partition and offset of its latest letter on the dead-letter topic.
    """

    topic: str
    partition: int
    offset: int
    consumer: str
    state: str
    error_class: str
    message: str
    attempts: int
    died_at: int
    redacted: bool
    key: bytes | None
    place: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters are meant: those that fit all of what is given.

    Args:
        partition: of the record.
        offset: of the record.
        consumer: the consumer group.
        error: a part of the error's class or message, in any case of letters.
        key: the record's key.
        since: died at or after this time, in ms since the epoch.
        until: died before this time.
        states: what may have become of them; only those that wait by default.
    """

    partition: int | None = None
    offset: int | None = None
    consumer: str | None = None
    error: str | None = None
    key: bytes | None = None
    since: int | None = None
    until: int | None = None
    states: frozenset[str] = field(default=frozenset({"dead"}))

    def of(self, states: frozenset[str]) -> "Filter":
        """The same for letters of which this has become."""
        return replace(self, states=states)

    def fits(self, row: Row) -> bool:
        """Whether a letter is meant."""
        exact = (
            (self.partition, row.partition),
            (self.offset, row.offset),
            (self.consumer, row.consumer),
            (self.key, row.key),
        )
        if any(wanted is not None and wanted != found for wanted, found in exact):
            return False
        if self.since is not None and row.died_at < self.since:
            return False
        if self.until is not None and row.died_at >= self.until:
            return False
        text = f"{row.error_class} {row.message}".lower()
        return row.state in self.states and (self.error is None or self.error.lower() in text)
