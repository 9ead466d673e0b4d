"""The assignors, called as a leader calls them: members in, owners and standbys out, and what members keep in mind.

A worker has a name, which a restart keeps, and a member id, which Kafka gives it anew. What the stateful assignors
know of the past is what each member tells about itself; a process that was restarted knows nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.assignor.client_assignment import CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor

from prom_faust.assignment.homes import Subscriber, assign
from prom_faust.assignment.rendezvous import Member

__all__ = ["CONTENDERS", "OURS", "Contender", "State", "Worker"]

TOPIC = "t"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker, and the member that it is at the moment."""

    name: str
    member_id: str


@dataclass(frozen=True, slots=True)
class State:
    """What a rebalance decided.

    Attributes:
        owners: partition to the name of its owner.
        standbys: partition to the names of those who keep a copy.
        memory: member id to what that member tells at the next rebalance.
    """

    owners: tuple[str, ...]
    standbys: tuple[frozenset[str], ...]
    memory: Mapping[str, Any] = field(default_factory=dict)


class Contender(Protocol):
    """An assignor."""

    @property
    def name(self) -> str:
        """For programs."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def has_standbys(self) -> bool:
        """Whether it knows standbys."""

    def __call__(
        self, workers: Sequence[Worker], partitions: int, standbys: int, memory: Mapping[str, Any]
    ) -> State:
        """One rebalance of the group of these workers."""


@dataclass(frozen=True)
class Rendezvous:
    """Ours."""

    name: str = "ours"
    title: str = "prom_faust 1.25"
    has_standbys: bool = True

    def __call__(
        self, workers: Sequence[Worker], partitions: int, standbys: int, memory: Mapping[str, Any]
    ) -> State:
        """Names are all that counts."""
        del memory
        group = [Subscriber(Member(worker.name), frozenset({TOPIC})) for worker in workers]
        (homes,) = assign(group, {TOPIC: partitions}, standbys=standbys)
        return State(homes.placement.owners, tuple(map(frozenset, homes.placement.standbys)))


@dataclass(frozen=True)
class Faust:
    """Faust's default: sticky, balanced, with promotion of standbys."""

    name: str = "faust"
    title: str = "Faust default"
    has_standbys: bool = True

    def __call__(
        self, workers: Sequence[Worker], partitions: int, standbys: int, memory: Mapping[str, Any]
    ) -> State:
        """A member tells its own active and standby partitions."""
        told = {worker.member_id: memory.get(worker.member_id, (set(), set())) for worker in workers}
        group = {
            member_id: CopartitionedAssignment(set(actives), set(standing), {TOPIC})
            for member_id, (actives, standing) in told.items()
        }
        found = CopartitionedAssignor([TOPIC], group, partitions, standbys).get_assignment()
        owners = [""] * partitions
        lines: list[set[str]] = [set() for _ in range(partitions)]
        for worker in workers:
            for partition in found[worker.member_id].actives:
                owners[partition] = worker.name
            for partition in found[worker.member_id].standbys:
                lines[partition].add(worker.name)
        kept = {member_id: (set(each.actives), set(each.standbys)) for member_id, each in found.items()}
        return State(tuple(owners), tuple(map(frozenset, lines)), kept)


@dataclass(frozen=True)
class Cluster:
    """What aiokafka's assignors ask of a cluster."""

    partitions: int

    def topics(self) -> set[str]:
        """The one topic."""
        return {TOPIC}

    def partitions_for_topic(self, _: str) -> set[int]:
        """The numbers of the partitions."""
        return set(range(self.partitions))


@dataclass(frozen=True)
class Aiokafka:
    """One of aiokafka's; without standbys."""

    name: str
    title: str
    assignor: Any
    stateful: bool
    has_standbys: bool = False

    def __call__(
        self, workers: Sequence[Worker], partitions: int, standbys: int, memory: Mapping[str, Any]
    ) -> State:
        """A member of a sticky group tells what it had, and in which generation."""
        del standbys
        generation = memory.get("generation", 0) + 1
        members = {
            worker.member_id: ConsumerProtocolMemberMetadata(0, [TOPIC], self._told(worker, memory))
            for worker in workers
        }
        found = self.assignor.assign(Cluster(partitions), members)
        owners = [""] * partitions
        kept: dict[str, Any] = {"generation": generation}
        for worker in workers:
            kept[worker.member_id] = found[worker.member_id].partitions()
            for each in kept[worker.member_id]:
                owners[each.partition] = worker.name
        return State(tuple(owners), (frozenset(),) * partitions, kept)

    def _told(self, worker: Worker, memory: Mapping[str, Any]) -> bytes:
        had = memory.get(worker.member_id)
        if not self.stateful or had is None:
            return b""
        frame: bytes = self.assignor._metadata([TOPIC], had, memory["generation"]).user_data  # noqa: SLF001
        return frame


OURS: Contender = Rendezvous()
CONTENDERS: tuple[Contender, ...] = (
    OURS,
    Faust(),
    Aiokafka("sticky", "aiokafka sticky", StickyPartitionAssignor, stateful=True),
    Aiokafka("roundrobin", "aiokafka round robin", RoundRobinPartitionAssignor, stateful=False),
)
