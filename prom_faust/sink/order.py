"""Which of two writes of one key is the newer: the order that every other part of the sink obeys.

Without a version function the order is the source position, (partition, offset) compared lexicographically and
packed into one integer, because a jump-hashed key only ever moves to a higher partition. With one, the version
decides and a tie goes to the earlier position; a tombstone that inherits its version ends that version.
"""

from dataclasses import dataclass
from typing import Any

__all__ = ["OFFSET_BITS", "Rank", "Stored", "outranks", "place_at", "position_of", "rank_of"]

OFFSET_BITS = 48
"""Bits of an offset: 2**48 records in one partition, and 2**15 partitions, fit a signed 64-bit integer."""

Rank = tuple[int, ...]
"""Comparable within one projection: a greater rank is the newer state."""


def position_of(partition: int, offset: int) -> int:
    """Pack a source position into one int64 that sorts like ``(partition, offset)``.

    Worked example: ``position_of(0, 7) == 7`` and ``position_of(1, 0) == 2**48``, so every record of partition 1
    is newer than every record of partition 0.

    Raises:
        ValueError: the partition or the offset does not fit.
    """
    if not (0 <= partition < 1 << 15 and 0 <= offset < 1 << OFFSET_BITS):
        raise ValueError(f"position ({partition}, {offset}) does not fit 15 + 48 bits")
    return (partition << OFFSET_BITS) + offset


def place_at(n: int) -> tuple[int, int]:
    """The partition and the offset of a packed position: what ``position_of`` was given."""
    return n >> OFFSET_BITS, n & ((1 << OFFSET_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a read showed of a key's document: as much as the order needs.

    Attributes:
        n: ``_src.n``, or None for a document that the sink did not write.
        version: ``_v``, or None.
        deleted: whether it is a marker.
        inherits: whether the marker took its version from the state that it ended.
        foreign: of a document that the sink did not write: what stands in its ``_src``.
    """

    n: int | None
    version: int | None = None
    deleted: bool = False
    inherits: bool = False
    foreign: Any = None


def rank_of(n: int, version: int | None, *, versioned: bool, inherits: bool = False) -> Rank:
    """The rank of a state written at position ``n``.

    Args:
        n: the packed source position.
        version: the version, or None where there is none: older than every version; among such, by position.
        versioned: whether the projection has a version function.
        inherits: whether it is a tombstone that took over the version before it; it beats that version.

    Worked example (versioned): ``live v5 at 10 < live v5 at 9 < null that inherits v5 < live v6``.
    """
    if not versioned:
        return (n,)
    if version is None:
        return (0, 0, 0, n)
    return (1, version, 1 if inherits else 0, -n)


def outranks(rank: Rank, stored: Stored | None, *, versioned: bool) -> bool:
    """Whether a state of this rank replaces what is stored (nothing stored, or foreign, is always replaced)."""
    if stored is None or stored.n is None:
        return True
    return rank > rank_of(stored.n, stored.version, versioned=versioned, inherits=stored.inherits)
