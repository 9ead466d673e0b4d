"""A record, decoded: what kind of change it is, of which key, with which version."""

from typing import Any, NamedTuple

from prom_faust.lane.record import Record
from prom_faust.sink.key import Key
from prom_faust.sink.order import Rank, position_of, rank_of

__all__ = ["Change", "position"]


class Change(NamedTuple):
    """One record's effect on one key. A tuple, because one is made per record: 0.3 us instead of 1.

    Attributes:
        key: the document's key.
        n: the packed source position.
        record: the record it came from, for the dead-letter queue.
        body: the encoded document without its ``_id``; None for a tombstone.
        version: the version, or None: without a version function, or for a null that inherits.
        fields: with ``write="set"`` the mapped fields; else None.
    """

    key: Key
    n: int
    record: Record
    body: bytes | None = None
    version: int | None = None
    fields: dict[str, Any] | None = None

    @property
    def deletes(self) -> bool:
        """Whether it is a tombstone."""
        return self.body is None

    def rank(self, *, versioned: bool, inherited: int | None = None) -> Rank:
        """Its place in the order; ``inherited`` is the version that a null takes over from before it."""
        if self.deletes and self.version is None:
            return rank_of(self.n, inherited, versioned=versioned, inherits=True)
        return rank_of(self.n, self.version, versioned=versioned)


def position(record: Record) -> int:
    """The record's packed source position."""
    return position_of(record.partition, record.offset)
