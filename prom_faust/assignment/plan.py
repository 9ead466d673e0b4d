"""What if: members come, go or change their weight, or topics get more partitions. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from prom_faust.assignment.homes import Subscriber, assign
from prom_faust.assignment.movement import Group, Movement, compare
from prom_faust.assignment.rendezvous import Member
from prom_faust.exceptions import ConfigurationError

__all__ = ["Change", "Plan", "parse_growth", "parse_member", "plan"]

MAX_PARTITIONS = 100_000
MAX_LOAD_FACTOR = 100.0
"""As of the setting."""


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen to a group, all at once.

    Attributes:
        add: who would join, or be there with another weight.
        remove: the names of those who would leave.
        grow: topic to the number of partitions that it would have.
    """

    add: tuple[Member, ...] = ()
    remove: tuple[str, ...] = ()
    grow: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change would do.

    Attributes:
        before: the group as it is.
        after: the group as it would be.
        movement: the difference.
        keys: topic to the share of its keys that jump hash would send to another partition, of topics that grow.
    """

    before: Group
    after: Group
    movement: Movement
    keys: Mapping[str, float]

    @property
    def unread(self) -> tuple[str, ...]:
        """The topics that nobody would read any more."""
        return tuple(sorted(self.before.by_topic().keys() - self.after.by_topic().keys()))

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        found = self.movement
        return {
            "members": {"before": self.before.loads, "after": self.after.loads},
            "spread": {"before": asdict(found.before), "after": asdict(found.after)},
            "moves": [asdict(move) for move in found.moves],
            "moved": len(found.moves),
            "lower_bound": found.lower_bound,
            "warm": found.warm,
            "added": found.added,
            "keys": dict(self.keys),
            "unread": list(self.unread),
        }


def plan(
    subscribers: Iterable[Subscriber],
    partitions: Mapping[str, int],
    change: Change,
    *,
    standbys: int = 0,
    load_factor: float = 1.25,
) -> Plan:
    """Compute what a change would move. Who joins reads every topic that the group reads.

    Args:
        subscribers: the members now.
        partitions: topic to its number of partitions now.
        change: what would happen.
        standbys: see ``place``.
        load_factor: see ``place``.

    Raises:
        ConfigurationError: the change makes no sense for this group; every fault is named.
    """
    members = list(subscribers)
    now = {each.member.name: each for each in members}
    twice = sorted(name for name, times in Counter(each.member.name for each in members).items() if times > 1)
    faults = [f"there are two members {name}" for name in twice]
    if not 1 <= load_factor <= MAX_LOAD_FACTOR:
        faults.append(f"a load factor is a number from 1 to {MAX_LOAD_FACTOR:g}, not {load_factor:g}")
    if faults := [*faults, *_faults(now, partitions, change)]:
        raise ConfigurationError("; ".join(faults))
    topics = frozenset(topic for each in now.values() for topic in each.topics)
    then = {name: each for name, each in now.items() if name not in change.remove}
    for member in change.add:
        then[member.name] = replace(then.get(member.name, Subscriber(member, topics)), member=member)

    def group(members: Iterable[Subscriber], counts: Mapping[str, int]) -> Group:
        ordered = tuple(sorted(members, key=lambda each: each.member))
        return Group(ordered, assign(ordered, counts, standbys=standbys, load_factor=load_factor))

    before = group(now.values(), partitions)
    after = group(then.values(), {**partitions, **change.grow})
    # Jump hash: a key stays in a bucket of n of m with probability n/m, and goes to a new one otherwise.
    keys = {topic: 1 - partitions[topic] / count for topic, count in sorted(change.grow.items())}
    return Plan(before, after, compare(before, after), keys)


def _faults(now: Mapping[str, Subscriber], partitions: Mapping[str, int], change: Change) -> Iterable[str]:
    there = ", ".join(sorted(now)) or "none"
    for name in change.remove:
        if name not in now:
            yield f"there is no member {name} to remove; there are: {there}"
    for member in change.add:
        if member.name in change.remove:
            yield f"member {member.name} cannot be added and removed at once"
        elif member.name in now and now[member.name].member.weight == member.weight:
            yield f"member {member.name} is there already, with weight {member.weight:g}"
    if not {*now, *(member.name for member in change.add)} - {*change.remove}:
        yield "nobody would be left"
    yield from _growth_faults(partitions, change.grow)


def _growth_faults(partitions: Mapping[str, int], grow: Mapping[str, int]) -> Iterable[str]:
    for topic, count in grow.items():
        if topic not in partitions:
            yield f"the group reads no topic {topic}; it reads: {', '.join(sorted(partitions)) or 'none'}"
        elif count <= partitions[topic]:
            yield f"topic {topic} has {partitions[topic]} partitions, and can only grow"
        elif count > MAX_PARTITIONS:
            yield f"a plan is made for up to {MAX_PARTITIONS:,} partitions of a topic, not {count:,}"


def parse_member(text: str) -> Member:
    """A member from ``NAME`` or ``NAME=WEIGHT``.

    Raises:
        ConfigurationError: the weight is no number above 0, or there is no name.
    """
    name, found, weight = text.partition("=")
    try:
        member = Member(name, float(weight) if found else 1.0)
    except ValueError:
        member = Member(name, 0.0)
    # An upper bound keeps out infinity, and NaN is above nothing.
    if not (name and 0 < member.weight <= 1_000):  # noqa: PLR2004 # the bound of the setting worker_weight
        raise ConfigurationError(f"{text!r}: write NAME, or NAME=WEIGHT with a weight above 0 and up to 1000")
    return member


def parse_growth(text: str) -> tuple[str, int]:
    """A topic and a number of partitions from ``TOPIC=N``.

    Raises:
        ConfigurationError: it is not of that form.
    """
    topic, _, count = text.rpartition("=")
    if not topic or not count.isascii() or not count.isdecimal():
        raise ConfigurationError(f"{text!r}: write TOPIC=N with the number of partitions that it would have")
    return topic, int(count)
