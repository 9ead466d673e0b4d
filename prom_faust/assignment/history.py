"""What happened to one member of a group: its last rebalances, why they were, and what they moved. Pure.

Faust's assignor and every lane keep one; ``/ops`` shows them.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Rebalance", "RebalanceHistory"]

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Rebalance:
    """One rebalance, as one member saw it.

    Attributes:
        at: when it began, in seconds since the epoch.
        seconds: how long the member had nothing, from its revocation to its assignment; None where nothing was
            revoked before, as in the first.
        generation: the group's generation since then.
        reason: why, in plain words, from the difference of the members.
        gained: partitions that the member did not have before, as ``topic-partition``.
        lost: partitions that it had before and has no longer.
        members: the names of the group's members since then; empty where they are not known.
        ended: when the member got its partitions, in seconds since the epoch. All members do at the same time,
            however long each of them has waited.
    """

    at: float
    seconds: float | None
    generation: int
    reason: str
    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    ended: float = 0.0


class RebalanceHistory:
    """The rebalances of one member.

    Example::

        >>> seconds = iter([100.0, 160.0, 160.4])
        >>> history = RebalanceHistory(lambda: next(seconds))
        >>> history.assigned([("orders", 0), ("orders", 1)], generation=1, members=["w1"])
        >>> history.revoked()
        >>> history.assigned([("orders", 0)], generation=2, members=["w1", "w2"])
        >>> for each in history.rebalances:
        ...     print(each.at, each.reason, each.gained, each.lost)
        100.0 started ('orders-0', 'orders-1') ()
        160.0 w2 joined () ('orders-1',)

    Args:
        clock: seconds since the epoch.
        keep: how many rebalances are remembered.
    """

    def __init__(self, clock: Callable[[], float], keep: int = 20) -> None:
        self._clock = clock
        self._kept: deque[Rebalance] = deque(maxlen=keep)
        self._owned: frozenset[Partition] = frozenset()
        self._revoked_at: float | None = None
        self._members: tuple[str, ...] = ()
        self._protocol = ""
        self._generation: int | None = None

    @property
    def rebalances(self) -> tuple[Rebalance, ...]:
        """The last rebalances, the newest last."""
        return tuple(self._kept)

    @property
    def generation(self) -> int:
        """The generation of the last assignment; -1 before the first."""
        return -1 if self._generation is None else self._generation

    @property
    def protocol(self) -> str:
        """The name of the group's protocol at the last assignment; empty where it is not known."""
        return self._protocol

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the group's members at the last assignment, sorted; empty where they are not known."""
        return self._members

    @property
    def rebalancing(self) -> bool:
        """Whether partitions were revoked and none have been assigned since."""
        return self._revoked_at is not None

    @property
    def assigned_now(self) -> frozenset[Partition]:
        """Topic and number of every partition that the member has; none while it rebalances."""
        return frozenset() if self.rebalancing else self._owned

    def revoked(self) -> None:
        """The member's partitions were revoked: a rebalance begins. Another call before its end changes nothing."""
        if self._revoked_at is None:
            self._revoked_at = self._clock()

    def assigned(
        self,
        partitions: Iterable[Partition],
        *,
        generation: int,
        members: Iterable[str] = (),
        protocol: str = "",
    ) -> None:
        """The member got partitions: the rebalance is over.

        Args:
            partitions: topic and number of everything that it has now.
            generation: the group's generation.
            members: the names of the group's members, in any order, where they are known.
            protocol: the name of the group's protocol, where it is known.
        """
        now, began, first = self._clock(), self._revoked_at, self._generation is None
        owned, names = frozenset(partitions), tuple(sorted(set(members)))
        gained, lost = owned - self._owned, self._owned - owned
        self._kept.append(
            Rebalance(
                at=now if began is None else began,
                # A clock that was set back in between is no reason for a negative duration.
                seconds=None if first or began is None else max(now - began, 0.0),
                generation=generation,
                reason="started" if first else self._reason(names, protocol, grown=bool(gained and not lost)),
                gained=_named(gained),
                lost=_named(lost),
                members=names,
                ended=now,
            )
        )
        self._owned, self._members, self._protocol = owned, names, protocol
        self._generation, self._revoked_at = generation, None

    def _reason(self, members: tuple[str, ...], protocol: str, *, grown: bool) -> str:
        known = bool(members and self._members)
        causes = [
            *(f"{name} joined" for name in members if known and name not in self._members),
            *(f"{name} left" for name in self._members if known and name not in members),
            *([f"{self._protocol} became {protocol}"] if _differ(self._protocol, protocol) else []),
        ]
        if not causes and known and grown:
            # Homes are a function of members and partitions: with the same members it must be the partitions.
            return "partitions were added"
        return ", ".join(causes) or "rejoined"


def _differ(before: str, after: str) -> bool:
    return bool(before and after and before != after)


def _named(partitions: Iterable[Partition]) -> tuple[str, ...]:
    return tuple(f"{topic}-{number}" for topic, number in sorted(partitions))
