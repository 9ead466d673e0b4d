"""Bounded rendezvous: partitions to members, by names and weights alone. Pure.

Every member has a score for every partition, a hash of both names. A partition belongs to the member with the
highest score that has room. So two leaders, or one leader after a restart of the whole group, decide the same;
and when a member goes, its partitions go to the members that came next, and the others stay.
"""

import hashlib
import heapq
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

__all__ = ["Member", "Placement", "place", "room"]

Score = float
Row = Sequence[Score]
SEEN: Final = -1
"""Below every score."""


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One member of a group.

    Attributes:
        name: its stable name; a restart keeps it.
        weight: its share, in proportion to the others' weights; more than 0.
    """

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the partitions are.

    Attributes:
        owners: partition to the name of its owner.
        standbys: partition to the names of its standbys, the first in line first.
    """

    owners: tuple[str, ...]
    standbys: tuple[tuple[str, ...], ...]


def place(
    members: Sequence[Member],
    partitions: int,
    *,
    standbys: int = 0,
    load_factor: float = 1.25,
    salt: str = "",
) -> Placement:
    """Give every partition an owner and standbys: bounded rendezvous.

    The score of a member for a partition is a hash of both (D. G. Thaler and C. V. Ravishankar, "Using Name-Based
    Mappings to Increase Hit Rates", IEEE/ACM Transactions on Networking 6(1), 1998). With unequal weights it is
    ``-weight / ln(hash / 2**64)``, so that a member wins in proportion to its weight (C. Schindelhauer and
    G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005). Members are bounded as in V. Mirrokni, M. Thorup
    and M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016, arXiv:1608.01350. Who gets in where room
    is short is decided by deferred acceptance (D. Gale and L. S. Shapley, 1962): a full member keeps the
    partitions for which it scores highest. Both sides rank by the same score, so there is one stable outcome, and
    it depends on no order. Last, if there are partitions enough, a member without any gets one.

    Example: three members and eight partitions::

        >>> members = [Member("a"), Member("b"), Member("c")]
        >>> place(members, 8).owners
        ('c', 'b', 'c', 'a', 'a', 'b', 'b', 'c')
        >>> place(members[:2], 8).owners  # c has left: its partitions 0, 2 and 7 have moved, and nothing else
        ('b', 'b', 'a', 'a', 'a', 'b', 'b', 'b')
        >>> place(members, 3, standbys=1).standbys  # who is next in line for 0, 1 and 2
        (('b',), ('c',), ('c',))

    Args:
        members: the members; of two with one name, one counts.
        partitions: how many partitions there are.
        standbys: how many standbys each of them has, as far as there are members; the next ranks, never the owner.
        load_factor: how many times its fair share a member may own, at least 1; see ``room``.
        salt: a further input of the hash, for groups whose homes should have nothing to do with one another's.

    Returns:
        The placement; with no member no partition has an owner, and the result is empty.
    """
    unique = sorted({member.name: member for member in sorted(members)}.values())
    if not unique or partitions < 1:
        return Placement((), ())
    weights = [member.weight for member in unique]
    rows = _scores(unique, partitions, salt)
    ranked = _Ranking(rows)
    owners = _match(rows, ranked, room(weights, partitions, load_factor))
    _relieve(rows, owners, len(unique))
    next_in_line = _standbys(
        rows,
        owners,
        count=min(standbys, len(unique) - 1),
        caps=room(weights, partitions * standbys, load_factor),
    )
    names = [member.name for member in unique]
    return Placement(
        tuple(names[owner] for owner in owners),
        tuple(tuple(names[standby] for standby in line) for line in next_in_line),
    )


def room(weights: Sequence[float], partitions: int, load_factor: float) -> list[int]:
    """How many partitions each member may own: its fair share rounded up, or that share times ``load_factor``.

    The product is rounded down, so that a few partitions are shared evenly: of eight, three members may own 3
    each. A strict bound, factor 1, moves more when the membership changes, because the bound changes with it.

        >>> room([1, 1, 1], 8, 1.25), room([1, 1, 1], 64, 1.25), room([2, 1, 1], 64, 1.0)
        ([3, 3, 3], [26, 26, 26], [32, 16, 16])
    """
    # Exactly: a share that is 1.0000000000000002 by rounding would be room for two.
    exact = [Fraction(weight) for weight in weights]
    total, factor = sum(exact), Fraction(load_factor)
    shares = [partitions * weight / total for weight in exact]
    return [max(math.ceil(share), math.floor(share * factor)) for share in shares]


def _scores(members: Sequence[Member], partitions: int, salt: str) -> list[Row]:
    """Partition to the scores of all members."""
    hashes = [_hashes(member.name, salt, partitions) for member in members]
    if len({member.weight for member in members}) == 1:
        return list(zip(*hashes, strict=True))
    # 52 bits and a half: a float holds them exactly, and they are never 0 or 1.
    weighted = [
        [-member.weight / math.log(((value >> 12) + 0.5) / 2**52) for value in column]
        for member, column in zip(members, hashes, strict=True)
    ]
    return list(zip(*weighted, strict=True))


def _hashes(name: str, salt: str, partitions: int) -> tuple[int, ...]:
    """A member's 64-bit hash for every partition.

    SHAKE128 (FIPS 202) of the name gives as many bytes as are asked for, and more of them begin the same: more
    partitions change no score. One call per member is much faster than one per partition.
    """
    stream = hashlib.shake_128(f"{len(name)}:{name}{salt}".encode(errors="surrogatepass"))
    return struct.unpack(f"<{partitions}Q", stream.digest(8 * partitions))


class _Ranking:
    """The members in order of their score for a partition, sorted when it is asked for."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._known: dict[int, list[int]] = {}

    def __call__(self, partition: int) -> list[int]:
        found = self._known.get(partition)
        if found is None:
            row = self._rows[partition]
            found = sorted(range(len(row)), key=row.__getitem__, reverse=True)
            self._known[partition] = found
        return found


def _match(rows: Sequence[Row], ranked: Callable[[int], list[int]], caps: Sequence[int]) -> list[int]:
    """Deferred acceptance: every partition asks its members in order, and a full one keeps its highest scores."""
    held: list[list[tuple[Score, int]]] = [[] for _ in caps]
    for partition, row in enumerate(rows):
        best = max(row)
        held[row.index(best)].append((best, -partition))
    rejected: list[int] = []
    for accepted, cap in zip(held, caps, strict=True):
        heapq.heapify(accepted)
        rejected.extend(-heapq.heappop(accepted)[1] for _ in range(len(accepted) - cap))
    asked = [0] * len(rows)
    while rejected:
        partition = rejected.pop()
        asked[partition] += 1
        member = ranked(partition)[asked[partition]]
        offer = (rows[partition][member], -partition)
        if len(held[member]) < caps[member]:
            heapq.heappush(held[member], offer)
        else:
            rejected.append(-heapq.heappushpop(held[member], offer)[1])
    owners = [0] * len(rows)
    for member, accepted in enumerate(held):
        for _, partition in accepted:
            owners[-partition] = member
    return owners


def _relieve(rows: Sequence[Row], owners: list[int], members: int) -> None:
    """Give one partition to every member that has none, the highest score first, if there are enough."""
    owned = [0] * members
    for owner in owners:
        owned[owner] += 1
    idle = [member for member, count in enumerate(owned) if count == 0]
    if not idle or len(rows) < members:
        return
    offers = [(row[member], -partition, -member) for partition, row in enumerate(rows) for member in idle]
    for _, partition, member in sorted(offers, reverse=True):
        owner = owners[-partition]
        if owned[-member] == 0 and owned[owner] > 1:
            owners[-partition] = -member
            owned[-member], owned[owner] = 1, owned[owner] - 1


def _standbys(
    rows: Sequence[Row], owners: Sequence[int], *, count: int, caps: Sequence[int]
) -> list[list[int]]:
    """The next ranks after the owner, as long as they have room; then whoever has the fewest."""
    load = [0] * len(caps)
    lines: list[list[int]] = []
    for row, owner in zip(rows, owners, strict=True):
        left = list(row)
        left[owner] = SEEN
        line: list[int] = []
        full: list[int] = []
        # One look per standby is much faster than sorting every row.
        while len(line) < count and len(line) + len(full) < len(caps) - 1:
            member = left.index(max(left))
            left[member] = SEEN
            (line if load[member] < caps[member] else full).append(member)
        line += sorted(full, key=load.__getitem__)[: count - len(line)]
        for member in line:
            load[member] += 1
        lines.append(line)
    return lines
