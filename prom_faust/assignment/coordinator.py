"""``PartitionCoordinator``: groups, members and shares inside one process, with the same homes as in Kafka. Pure.

In a deployment Kafka's group protocol decides who is a member. This object is for fan-out within a process, for
tests and for trying out. It owns no task and no clock: somebody calls ``heartbeat``, ``sweep`` and ``rebalance``.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prom_faust.assignment.handover import Holder, Hook, OnError, hand_over
from prom_faust.assignment.rendezvous import Member, place
from prom_faust.exceptions import ConfigurationError

__all__ = ["Assignment", "PartitionCoordinator"]

NOTHING: Final[frozenset[int]] = frozenset()
LARGEST: Final = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who owns what in one group.

    Attributes:
        group: the group.
        partitions: how many partitions are shared.
        owners: partition to the id of its owner; empty where there is no member.
    """

    group: str
    partitions: int
    owners: Mapping[int, str]

    def share(self, member_id: str) -> frozenset[int]:
        """The partitions of one member."""
        return frozenset(partition for partition, owner in self.owners.items() if owner == member_id)


@dataclass(slots=True)
class _Member:
    holder: Holder
    meta: dict[str, Any]
    weight: float
    seen: float


@dataclass(slots=True)
class _Group:
    members: dict[str, _Member] = field(default_factory=dict)
    departed: list[Holder] = field(default_factory=list)  # gone, and not yet told what they lost by that
    partitions: int = 0  # of the last assignment
    rebalancing: bool = False
    again: bool = False  # somebody asked for a rebalance while one was under way

    def holders(self) -> list[Holder]:
        return [member.holder for member in self.members.values()]


class PartitionCoordinator:
    """Members of groups, and which of them owns which partition.

    Example::

        >>> seconds = [0.0]
        >>> coordinator = PartitionCoordinator(ttl=15, clock=lambda: seconds[0])
        >>> coordinator.join("analyzers", "a")
        >>> coordinator.join("analyzers", "b", {"weight": 2})
        >>> coordinator.assign("analyzers", 4).owners
        {0: 'b', 1: 'b', 2: 'b', 3: 'a'}
        >>> seconds[0] = 10.0
        >>> coordinator.heartbeat("analyzers", "a")
        >>> seconds[0] = 16.0
        >>> coordinator.sweep()  # nothing was heard of b for 16 seconds
        {'analyzers': ('b',)}
        >>> sorted(coordinator.assign("analyzers", 4).share("a"))
        [0, 1, 2, 3]

    Args:
        ttl: seconds after its last heartbeat at which a member is swept.
        clock: seconds that never go back, such as ``time.monotonic``.
        load_factor: how many times its fair share a member may own; see ``place``.
        on_error: is told of a hook that failed; it is logged in any case.

    Raises:
        ConfigurationError: ``ttl`` or ``load_factor`` cannot be.
    """

    def __init__(
        self,
        ttl: float = 15.0,
        *,
        clock: Callable[[], float],
        load_factor: float = 1.25,
        on_error: OnError | None = None,
    ) -> None:
        if not (_is_number(ttl) and ttl > 0):
            raise ConfigurationError(f"ttl= is {ttl!r}: it must be a number of seconds above 0")
        if not (_is_number(load_factor) and load_factor >= 1):
            raise ConfigurationError(f"load_factor= is {load_factor!r}: it must be a number from 1")
        self.ttl = ttl
        self.load_factor = load_factor
        self._clock = clock
        self._on_error = on_error
        self._groups: dict[str, _Group] = {}

    def join(
        self,
        group: str,
        member_id: str,
        meta: Mapping[str, Any] | None = None,
        *,
        on_assigned: Hook | None = None,
        on_revoked: Hook | None = None,
    ) -> None:
        """Become a member of a group. Joining again is a heartbeat, and takes over ``meta`` where it is given.

        Who joins again with other hooks is another member under the same name: the former one loses its share.

        Args:
            group: the group; its first member makes it.
            member_id: the member's stable name.
            meta: what ``snapshot`` shows of it, plain JSON; its ``weight`` is its share in proportion to the others'.
            on_assigned: is called with what the member gained, when ``rebalance`` runs.
            on_revoked: is called with what the member lost, before anybody else gets it.

        Raises:
            ConfigurationError: the weight is not a number above 0.
        """
        weight = _weight(group, member_id, meta)
        known = self._groups.setdefault(group, _Group())
        member = known.members.get(member_id)
        hooks = (on_assigned, on_revoked)
        if member is not None and hooks not in {
            (None, None),
            (member.holder.on_assigned, member.holder.on_revoked),
        }:
            self._depart(known, member)
            member = None
        if member is None:
            member = _Member(Holder(member_id, on_assigned, on_revoked), {}, weight, 0.0)
            known.members[member_id] = member
        if meta is not None:
            member.meta, member.weight = dict(meta), weight
        member.seen = self._clock()

    def heartbeat(self, group: str, member_id: str) -> None:
        """The member is alive. Nothing happens where there is no such member: it has to join again."""
        known = self._groups.get(group)
        if known is not None and member_id in known.members:
            known.members[member_id].seen = self._clock()

    def leave(self, group: str, member_id: str) -> None:
        """The member goes. Nothing happens where there is no such member."""
        known = self._groups.get(group)
        if known is not None and member_id in known.members:
            self._depart(known, known.members[member_id])
            self._forget_if_empty(group)

    def sweep(self) -> dict[str, tuple[str, ...]]:
        """Remove every member whose last heartbeat is older than ``ttl``.

        Returns:
            Group to the ids of those removed; groups that lost nobody are left out.
        """
        oldest = self._clock() - self.ttl
        removed: dict[str, tuple[str, ...]] = {}
        for group, known in list(self._groups.items()):
            expired = [member for member in known.members.values() if member.seen < oldest]
            for member in expired:
                self._depart(known, member)
            if expired:
                removed[group] = tuple(sorted(member.holder.name for member in expired))
            self._forget_if_empty(group)
        return removed

    def assign(self, group: str, partitions: int) -> Assignment:
        """Who owns what, with the members of this moment. Tells nobody; ``rebalance`` does.

        Args:
            group: the group.
            partitions: how many partitions there are.
        """
        known = self._groups.get(group)
        if known is None:
            return Assignment(group, partitions, {})
        known.partitions = partitions
        members = [Member(name, member.weight) for name, member in known.members.items()]
        owners = place(members, partitions, load_factor=self.load_factor).owners
        return Assignment(group, partitions, dict(enumerate(owners)))

    async def rebalance(self, group: str, partitions: int) -> Assignment:
        """Assign, and tell the members what changed: first all that they lost, then all that they gained.

        Who left or was swept is told too, however late, and until then nobody else gets its partitions. So at most
        one departed member is kept for each partition. While a rebalance of the group is under way another one only
        lets it go round once more, so that a partition never has two owners. Where one is cancelled the next goes
        on, and calls the hook that was at work again.

        Args:
            group: the group.
            partitions: how many partitions there are.
        """
        known = self._groups.get(group)
        found = self.assign(group, partitions)
        if known is None:
            return found
        known.again = True
        if known.rebalancing:
            return found
        known.rebalancing = True
        try:
            while known.again:
                known.again = False
                found = self.assign(group, known.partitions)
                await self._tell(known, found)
        finally:
            known.rebalancing = False
            self._forget_if_empty(group)
        return found

    async def _tell(self, known: _Group, assignment: Assignment) -> None:
        shares = dict.fromkeys(known.departed, NOTHING)
        shares.update({holder: assignment.share(holder.name) for holder in known.holders()})
        try:
            await hand_over(assignment.group, shares, present=known.holders, on_error=self._on_error)
        finally:
            known.departed = [holder for holder in known.departed if holder.share]

    def snapshot(self) -> dict[str, Any]:
        """Everything, ready for JSON: groups, members with their age in seconds since the last heartbeat, owners.

        Owners are those of the number of partitions that was asked for last.
        """
        now = self._clock()
        return {
            "ttl": self.ttl,
            "load_factor": self.load_factor,
            "groups": {
                group: {
                    "partitions": known.partitions,
                    "rebalancing": known.rebalancing,
                    "members": [
                        {
                            "id": name,
                            "age": round(now - member.seen, 3),
                            "weight": member.weight,
                            "meta": member.meta,
                        }
                        for name, member in sorted(known.members.items())
                    ],
                    "owners": {
                        str(partition): owner
                        for partition, owner in self.assign(group, known.partitions).owners.items()
                    },
                }
                for group, known in sorted(self._groups.items())
            },
        }

    def _depart(self, known: _Group, member: _Member) -> None:
        del known.members[member.holder.name]
        if member.holder.share and member.holder.on_revoked is not None:
            known.departed.append(member.holder)

    def _forget_if_empty(self, group: str) -> None:
        known = self._groups[group]
        if not (known.members or known.departed or known.rebalancing):
            del self._groups[group]


def _weight(group: str, member_id: str, meta: Mapping[str, Any] | None) -> float:
    weight = (meta or {}).get("weight", 1.0)
    if not (_is_number(weight) and weight > 0):
        raise ConfigurationError(
            f"group {group}: the weight of member {member_id} is {weight!r}: it must be a number above 0"
        )
    return float(weight)


def _is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
