"""What a record looks like to the pure code: the attributes that a Kafka client's own record already has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["PlainRecord", "Record", "TopicPartition", "record_size"]


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Record(Protocol):
    """One Kafka record as it was read. aiokafka's ``ConsumerRecord`` satisfies it, so nothing is copied."""

    @property
    def topic(self) -> str:
        """The topic's name."""
        ...

    @property
    def partition(self) -> int:
        """The partition's number."""
        ...

    @property
    def offset(self) -> int:
        """The record's offset in its partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Integer milliseconds since the epoch."""
        ...

    @property
    def key(self) -> bytes | None:
        """Raw bytes, or None."""
        ...

    @property
    def value(self) -> bytes | None:
        """Raw bytes, or None for a tombstone."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Pairs of name and raw bytes, in the order they were sent."""
        ...


@dataclass(frozen=True, slots=True)
class PlainRecord:
    """A record made by hand: in tests, and where a dead letter is turned back into its record."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


RECORD_OVERHEAD = 200
"""Bytes that Python's objects around a small record take; measured with tracemalloc on ConsumerRecord."""


def record_size(record: Record) -> int:
    """Bytes that the record holds in memory, near enough to bound a buffer by."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers) if record.headers else 0
    return RECORD_OVERHEAD + len(record.key or b"") + len(record.value or b"") + headers
