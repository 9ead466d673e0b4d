"""A consumer group as the broker describes it: who is in it, who has what, how far it is. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["GroupMember", "GroupState", "PartitionProgress", "group_state"]

Topics = Mapping[str, tuple[int, ...]]
Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One member of a group.

    Attributes:
        member_id: its id, which Kafka gives it anew at every start.
        name: its stable name; the member id where it tells none.
        client_id: the client id that it gave.
        host: the address from which it is connected.
        topics: the topics that it is subscribed to, sorted.
        active: topic to the partitions that it owns, sorted.
        standby: topic to the partitions of which it keeps a copy, sorted.
        weight: its share, in proportion to the others'.
        started: when its process started, in milliseconds since the epoch; 0 where it does not tell.
        url: where its web pages are; empty where it does not tell.
        refused: why the leader gave it nothing, or None.
        named: whether it told its name.
    """

    member_id: str
    name: str
    client_id: str = ""
    host: str = ""
    topics: tuple[str, ...] = ()
    active: Topics = field(default_factory=dict)
    standby: Topics = field(default_factory=dict)
    weight: float = 1.0
    started: int = 0
    url: str = ""
    refused: str | None = None
    named: bool = False


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """One partition, from the point of view of one group.

    Attributes:
        topic: the topic.
        partition: its number.
        owner: the name of the member that owns it, or None.
        standbys: the names of the members that keep a copy, sorted.
        committed: the group's committed offset, or None where it has none.
        end: the log's end, or None where it is not known.
    """

    topic: str
    partition: int
    owner: str | None = None
    standbys: tuple[str, ...] = ()
    committed: int | None = None
    end: int | None = None

    @property
    def lag(self) -> int | None:
        """Records between the committed offset and the log's end, or None where one of them is not known."""
        if self.committed is None or self.end is None:
            return None
        return max(self.end - self.committed, 0)


@dataclass(frozen=True, slots=True)
class GroupState:
    """A whole group.

    Attributes:
        group: its id.
        state: Kafka's word for its state: ``Stable``, ``PreparingRebalance``, ``CompletingRebalance``, ``Empty``
            without members, ``Dead`` where the broker does not know it.
        protocol: the name of the assignor that its members agreed on; empty where it has none.
        members: its members, sorted by name.
        partitions: every partition of the topics that it reads or has committed, sorted.
    """

    group: str
    state: str = "Dead"
    protocol: str = ""
    members: tuple[GroupMember, ...] = ()
    partitions: tuple[PartitionProgress, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Topic to its number of partitions, of the topics that members read."""
        read = {topic for member in self.members for topic in member.topics}
        numbers: dict[str, int] = {}
        for each in self.partitions:
            if each.topic in read:
                numbers[each.topic] = max(numbers.get(each.topic, 0), each.partition + 1)
        return numbers

    @property
    def lag(self) -> int:
        """The lags of all partitions, as far as they are known."""
        return sum(each.lag or 0 for each in self.partitions)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        partitions = [{**asdict(each), "lag": each.lag} for each in self.partitions]
        return {**asdict(self), "partitions": partitions, "lag": self.lag}


def group_state(
    group: str,
    *,
    state: str,
    protocol: str,
    members: Iterable[GroupMember],
    counts: Mapping[str, int],
    committed: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    topics: Iterable[str] = (),
) -> GroupState:
    """Put together what the broker tells in several answers.

    Args:
        group: the group's id.
        state: its state.
        protocol: its protocol.
        members: its members, in any order.
        counts: topic to its number of partitions, of the topics that exist.
        committed: the group's committed offsets.
        ends: the ends of the logs.
        topics: others that are known to be read: while a group rebalances its members do not say what they read.
    """
    ordered = tuple(sorted(members, key=lambda member: (member.name, member.member_id)))
    owners: dict[Partition, str] = {}
    standbys: dict[Partition, list[str]] = {}
    for member in ordered:
        for partition in _pairs(member.active):
            owners.setdefault(partition, member.name)
        for partition in _pairs(member.standby):
            standbys.setdefault(partition, []).append(member.name)
    read = {*topics, *(topic for member in ordered for topic in member.topics)}
    known = {(topic, number) for topic in read for number in range(counts.get(topic, 0))} | {*committed}
    return GroupState(
        group,
        state,
        protocol,
        ordered,
        tuple(
            PartitionProgress(
                topic=partition[0],
                partition=partition[1],
                owner=owners.get(partition),
                standbys=tuple(standbys.get(partition, ())),
                committed=committed.get(partition),
                end=ends.get(partition),
            )
            for partition in sorted(known)
        ),
    )


def _pairs(topics: Topics) -> Iterable[Partition]:
    return ((topic, number) for topic, numbers in topics.items() for number in numbers)
