"""What a change of a group moves, from its homes before and after. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prom_faust.assignment.homes import Homes, Subscriber

__all__ = ["Group", "Load", "Move", "Movement", "compare"]


@dataclass(frozen=True, slots=True)
class Group:
    """Members and what they have.

    Attributes:
        subscribers: the members and what they read.
        homes: where everything is.
    """

    subscribers: tuple[Subscriber, ...]
    homes: tuple[Homes, ...]

    @property
    def loads(self) -> dict[str, int]:
        """Member to the number of topic-partitions that it owns."""
        counts = {subscriber.member.name: 0 for subscriber in sorted(self.subscribers, key=_name)}
        for homes in self.homes:
            for owner in homes.placement.owners:
                counts[owner] = counts.get(owner, 0) + len(homes.topics)
        return counts

    @property
    def spread(self) -> "Load":
        """The most and the fewest partitions of a member that reads anything."""
        loads = self.loads
        readers = [loads[each.member.name] for each in self.subscribers if each.topics]
        return Load(max(readers, default=0), min(readers, default=0))

    def by_topic(self) -> dict[str, Homes]:
        """Topic to its homes."""
        return {topic: homes for homes in self.homes for topic in homes.topics}

    def weights(self, topic: str) -> dict[str, float]:
        """The weights of those who read a topic, by name."""
        return {each.member.name: each.member.weight for each in self.subscribers if topic in each.topics}


@dataclass(frozen=True, slots=True)
class Load:
    """How evenly partitions are spread.

    Attributes:
        most: what the member with the most has.
        fewest: what the member with the fewest has.
    """

    most: int
    fewest: int


@dataclass(frozen=True, slots=True, order=True)
class Move:
    """A partition that goes from one member to another.

    Attributes:
        topic: the topic.
        partition: its number.
        source: who owned it.
        target: who owns it then.
        warm: whether the new owner already keeps a copy of it, as a standby.
    """

    topic: str
    partition: int
    source: str
    target: str
    warm: bool = False


@dataclass(frozen=True, slots=True)
class Movement:
    """The difference between two states of a group.

    Attributes:
        moves: the partitions that change hands, by topic and number.
        added: partitions that were not there before, or had no owner; they are no moves.
        lower_bound: how many moves no assignor can do without that shares evenly; see ``compare``.
        before: how evenly partitions were spread.
        after: how evenly they are then.
    """

    moves: tuple[Move, ...]
    added: int
    lower_bound: int
    before: Load
    after: Load

    @property
    def warm(self) -> int:
        """How many of the moves go to a member that keeps a copy."""
        return sum(move.warm for move in self.moves)


def compare(before: Group, after: Group) -> Movement:
    """What moves from one state to the other, and how much of that nobody could do without.

    The lower bound is, topic by topic, the larger of two numbers: the partitions of those who are gone, and what
    those who are new (or weigh more than before) have to get for their fair share, rounded down, less what comes
    as new partitions. So it is 0 for growth and for a restart.

    Example: of eight partitions three are c's, and it leaves::

        >>> from prom_faust.assignment.homes import assign
        >>> from prom_faust.assignment.rendezvous import Member
        >>> def group(*names):
        ...     members = tuple(Subscriber(Member(name), frozenset({"orders"})) for name in names)
        ...     return Group(members, assign(members, {"orders": 8}, standbys=1))
        >>> found = compare(group("a", "b", "c"), group("a", "b"))
        >>> len(found.moves), found.lower_bound, found.warm, found.after
        (3, 3, 3, Load(most=5, fewest=3))

    Args:
        before: the group as it is.
        after: the group as it would be.
    """
    old, new = before.by_topic(), after.by_topic()
    moves: list[Move] = []
    added = bound = 0
    for topic in sorted(new):
        found = list(_moves(topic, old.get(topic), new[topic]))
        more = new[topic].partitions - (old[topic].partitions if topic in old else 0)
        moves += found
        added += more
        if topic in old:
            bound += _bound(
                old[topic].placement.owners,
                before.weights(topic),
                after.weights(topic),
                new[topic].partitions,
                more,
            )
    return Movement(tuple(moves), added, bound, before.spread, after.spread)


def _moves(topic: str, old: Homes | None, new: Homes) -> Iterable[Move]:
    if old is None:
        return
    pairs = zip(old.placement.owners, new.placement.owners, old.placement.standbys, strict=False)
    for partition, (source, target, standbys) in enumerate(pairs):
        if source != target:
            yield Move(topic, partition, source, target, target in standbys)


def _bound(
    owners: Sequence[str],
    old: Mapping[str, float],
    new: Mapping[str, float],
    partitions: int,
    added: int,
) -> int:
    orphaned = sum(owner not in new for owner in owners)
    wanted = 0
    for name, weight in new.items():
        fair = partitions * weight / sum(new.values())
        had = len(owners) * old[name] / sum(old.values()) if name in old else 0.0
        if name not in old or weight > old[name]:
            wanted += max(math.floor(fair) - math.ceil(had), 0)
    return max(orphaned, wanted - added)


def _name(subscriber: Subscriber) -> str:
    return subscriber.member.name
