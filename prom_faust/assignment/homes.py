"""``assign``: the topics of a whole group to its members. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prom_faust.assignment.rendezvous import Member, Placement, place

__all__ = ["Homes", "Share", "Subscriber", "assign", "shares"]


@dataclass(frozen=True, slots=True, order=True)
class Subscriber:
    """A member and what it reads.

    Attributes:
        member: its name and weight.
        topics: the topics that it is subscribed to.
    """

    member: Member
    topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class Homes:
    """Where the partitions of copartitioned topics are: partition 3 of each of them is at one member.

    Attributes:
        topics: the topics, sorted.
        partitions: how many partitions each of them has.
        placement: owners and standbys, the same for each of them.
    """

    topics: tuple[str, ...]
    partitions: int
    placement: Placement


@dataclass(frozen=True, slots=True)
class Share:
    """What one member has of one topic.

    Attributes:
        active: the partitions that it owns.
        standby: the partitions of which it keeps a copy.
    """

    active: tuple[int, ...] = ()
    standby: tuple[int, ...] = ()


def assign(
    subscribers: Iterable[Subscriber],
    partitions: Mapping[str, int],
    *,
    standbys: int = 0,
    load_factor: float = 1.25,
) -> tuple[Homes, ...]:
    """Give every partition of every subscribed topic to a member that reads it.

    Topics with the same number of partitions and the same subscribers are copartitioned, as in Faust. All of them
    are placed by the same scores: another topic moves nothing of those that were there, a partition keeps its home
    when further ones are added, and partition 3 of two groups with the same members is at the same one.

    Example: ``b`` does not read ``audit``; ``orders`` and ``bills`` stay together::

        >>> both, all_three = frozenset({"orders", "bills"}), frozenset({"orders", "bills", "audit"})
        >>> members = [Subscriber(Member("a"), all_three), Subscriber(Member("b"), both)]
        >>> for homes in assign(members, {"orders": 4, "bills": 4, "audit": 2}):
        ...     print(homes.topics, homes.placement.owners)
        ('audit',) ('a', 'a')
        ('bills', 'orders') ('b', 'b', 'a', 'a')

    Args:
        subscribers: the members, in any order, with different names.
        partitions: topic to its number of partitions; topics without a subscriber are left out, and so are those
            of which no number is known.
        standbys: see ``place``.
        load_factor: see ``place``.
    """
    known = {subscriber.member.name: subscriber for subscriber in sorted(subscribers, key=_stable)}
    groups: dict[tuple[int, tuple[Member, ...]], list[str]] = {}
    for topic in sorted({topic for subscriber in known.values() for topic in subscriber.topics}):
        readers = tuple(sorted(each.member for each in known.values() if topic in each.topics))
        if (count := partitions.get(topic, 0)) > 0:
            groups.setdefault((count, readers), []).append(topic)
    return tuple(
        sorted(
            (
                Homes(tuple(topics), count, place(readers, count, standbys=standbys, load_factor=load_factor))
                for (count, readers), topics in groups.items()
            ),
            key=lambda homes: homes.topics,
        )
    )


def shares(homes: Iterable[Homes], member: str) -> dict[str, Share]:
    """Topic to what one member has of it; topics of which it has nothing are left out."""
    found: dict[str, Share] = {}
    for each in homes:
        active = tuple(p for p, owner in enumerate(each.placement.owners) if owner == member)
        standby = tuple(p for p, line in enumerate(each.placement.standbys) if member in line)
        if active or standby:
            found.update(dict.fromkeys(each.topics, Share(active, standby)))
    return found


def _stable(subscriber: Subscriber) -> tuple[Member, list[str]]:
    return subscriber.member, sorted(subscriber.topics)
