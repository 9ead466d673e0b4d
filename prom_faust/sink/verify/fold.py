"""The changes of each key, in the order of their positions -> the one that should stand. Pure.

The order is the sink's own, :mod:`prom_faust.sink.order`. Where the sink looks at a window of changes
together, this goes through all of them once and remembers one rank and one version per key.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from prom_faust.sink.key import Key
from prom_faust.sink.order import Rank, rank_of

__all__ = ["Outcome", "Row", "fold"]

Row = tuple[Key, int, int | None, bool]
"""One change: its key, packed position, version, and whether it deletes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What should stand for one key.

    Attributes:
        key: the key.
        n: the packed position of the change that decides.
        deletes: whether that is a tombstone: no document should stand.
        rank: its place in the order.
    """

    key: Key
    n: int
    deletes: bool
    rank: Rank


def fold(rows: Iterable[Row], *, versioned: bool) -> Iterator[Outcome]:
    """Fold changes into one outcome per key.

    Args:
        rows: the changes that count, sorted by key and then by position.
        versioned: whether the projection has a version function.

    Worked example (versioned): v5 at 10, null at 11, v3 at 12. The null takes over version 5, the highest
    before it, and beats it; v3 is stale: the key is deleted, at 11.
    """
    for key, changes in groupby(rows, key=itemgetter(0)):
        best: Outcome | None = None
        highest: int | None = None
        for _, n, version, deletes in changes:
            inherits = deletes and version is None
            rank = rank_of(n, highest if inherits else version, versioned=versioned, inherits=inherits)
            if best is None or rank > best.rank:
                best = Outcome(key, n, deletes, rank)
            if version is not None and (highest is None or version > highest):
                highest = version
        if best is not None:
            yield best
