"""Which records may be worked on at once, and how far a partition is done when they end in any order. Pure."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from prom_faust.lane.record import Record

__all__ = ["Ledger", "strands", "worker_of"]

T = TypeVar("T")


def worker_of(key: bytes | None, partition: int, workers: int) -> int:
    """The worker that has a key: all records of a key, or of a partition's records without one, are one worker's.

    CRC-32, and not the hash that chose the partition: a partition's keys would have that in common.

    >>> [worker_of(key, 0, 8) for key in (b"a", b"b", b"a")]
    [3, 1, 3]
    >>> worker_of(None, 5, 4)
    1

    Args:
        key: the record's key.
        partition: its partition.
        workers: how many there are.
    """
    return (partition if key is None else zlib.crc32(key)) % workers


def strands(records: Iterable[Record], workers: int | None) -> dict[int, list[Record]]:
    """Worker to its records, in their order; None for one worker that has them all."""
    found: dict[int, list[Record]] = {}
    for record in records:
        worker = 0 if workers is None else worker_of(record.key, record.partition, workers)
        found.setdefault(worker, []).append(record)
    return found


class Ledger(Generic[T]):
    """The records of one partition, done in any order; what each of them gave is had back in their own order.

    Example::

        >>> ledger = Ledger[str]([5, 6, 9])
        >>> ledger.finish(6, "b"), ledger.to, ledger.take()
        (None, 5, [])
        >>> ledger.finish(5, "a"), ledger.to, ledger.take()
        (None, 9, ['a', 'b'])
        >>> ledger.finish(9, "c"), ledger.to, ledger.take()
        (None, 10, ['c'])

    Args:
        offsets: of the records, rising.
    """

    def __init__(self, offsets: Sequence[int]) -> None:
        self._offsets = list(offsets)
        self._first = 0
        self._taken = 0
        self._done: dict[int, T] = {}

    @property
    def to(self) -> int:
        """The offset before which everything is done."""
        if self._first < len(self._offsets):
            return self._offsets[self._first]
        return self._offsets[-1] + 1

    @property
    def complete(self) -> bool:
        """Whether all are done."""
        return self._first == len(self._offsets)

    @property
    def ahead(self) -> set[int]:
        """The records that are done, though one before them is not."""
        return {offset for offset in self._done if offset >= self.to}

    def finish(self, offset: int, gave: T) -> None:
        """A record is done."""
        self._done[offset] = gave
        while self._first < len(self._offsets) and self._offsets[self._first] in self._done:
            self._first += 1

    def take(self) -> list[T]:
        """What the records before ``to`` gave, in their order; each once."""
        taken = [self._done.pop(offset) for offset in self._offsets[self._taken : self._first]]
        self._taken = self._first
        return taken
