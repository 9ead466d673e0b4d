"""One group's life, step by step, for every assignor: join, leave, return, restart of all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median
from time import thread_time
from uuid import UUID

from benchmarks.assignment.contenders import CONTENDERS, Contender, State, Worker
from benchmarks.servers import Progress

__all__ = ["SIZES", "Departure", "Row", "measure_assignment"]

SIZES = ((3, 64), (10, 256), (20, 1024), (50, 4096))
"""Members and partitions."""
STANDBYS = (0, 1)
CALLS = 5
LEAVERS_SECONDS = 100.0
"""What all leavers of one assignor may take; of a slower one only some leave."""


@dataclass(frozen=True, slots=True)
class Departure:
    """One member leaves, and comes back under its name.

    Attributes:
        owned: what it had.
        moved: partitions that changed hands by its leaving.
        warm: how many of its own went to a holder of the standby.
        net: partitions that are elsewhere after its return than before its leaving.
    """

    owned: int
    moved: int
    warm: int
    net: int


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one assignor on one group.

    Attributes:
        contender: the assignor, for programs.
        title: the assignor, for people.
        members: how many there are.
        partitions: how many there are.
        standbys: of every partition.
        most: partitions of the member with the most.
        fewest: partitions of the member with the fewest.
        join: partitions that moved when one more joined.
        joined: what that one got.
        departures: what happened when members left and returned, one at a time.
        restarts: partitions that moved when all members restarted, one number per time.
        millis: milliseconds of CPU time of a call with one member more, one number per call.
        measured: whether it can do this at all.
    """

    contender: str
    title: str
    members: int
    partitions: int
    standbys: int
    most: int = 0
    fewest: int = 0
    join: int = 0
    joined: int = 0
    departures: list[Departure] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    millis: list[float] = field(default_factory=list)
    measured: bool = True

    @property
    def ratio(self) -> float:
        """Partitions moved by a leave for each that the leaver had, the median."""
        return median(each.moved / each.owned for each in self.departures if each.owned)


class Ids:
    """Member ids as the broker makes them: random, so that their order means nothing."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def worker(self, name: str) -> Worker:
        """A member that has just started."""
        return Worker(name, f"c-{UUID(int=self._random.getrandbits(128))}")

    def shuffled(self, workers: Sequence[Worker]) -> list[Worker]:
        """The same workers in another order."""
        return self._random.sample(workers, len(workers))


def measure_assignment(rows: list[Row], *, seed: int, progress: Progress) -> None:
    """Measure every assignor on every size.

    Args:
        rows: taken up one by one.
        seed: of member ids and of orders.
        progress: told what is running.
    """
    for members, partitions in SIZES:
        for standbys in STANDBYS:
            for contender in CONTENDERS:
                progress(f"{members} x {partitions}, standbys {standbys}: {contender.title}")
                rows.append(_measure(contender, members, partitions, standbys, Ids(seed)))


def _measure(contender: Contender, members: int, partitions: int, standbys: int, ids: Ids) -> Row:
    if standbys and not contender.has_standbys:
        return Row(contender.name, contender.title, members, partitions, standbys, measured=False)

    def rebalance(workers: Sequence[Worker], before: State | None = None) -> State:
        return contender(ids.shuffled(workers), partitions, standbys, before.memory if before else {})

    group = [ids.worker(f"worker-{number}") for number in range(members)]
    settled = rebalance(group, rebalance(group))
    larger = [*group, ids.worker(f"worker-{members}")]
    millis: list[float] = []
    for _ in range(CALLS):
        began = thread_time()
        joined = rebalance(larger, settled)
        millis.append((thread_time() - began) * 1e3)
    leavers = max(min(members, int(LEAVERS_SECONDS * 1e3 / (2 * median(millis)))), 1)
    departures = []
    for gone in group[:leavers]:
        rest = [worker for worker in group if worker is not gone]
        after = rebalance(rest, settled)
        returned = rebalance([*rest, ids.worker(gone.name)], after)
        departures.append(_departure(gone.name, settled, after, returned))
    counts = [settled.owners.count(worker.name) for worker in group]
    return Row(
        contender.name,
        contender.title,
        members,
        partitions,
        standbys,
        most=max(counts),
        fewest=min(counts),
        join=_moved(settled, joined),
        joined=joined.owners.count(larger[-1].name),
        departures=departures,
        restarts=[
            _moved(settled, rebalance([ids.worker(worker.name) for worker in group])) for _ in range(CALLS)
        ],
        millis=millis,
    )


def _departure(name: str, before: State, after: State, returned: State) -> Departure:
    own = [partition for partition, owner in enumerate(before.owners) if owner == name]
    warm = sum(after.owners[partition] in before.standbys[partition] for partition in own)
    return Departure(len(own), _moved(before, after), warm, _moved(before, returned))


def _moved(before: State, after: State) -> int:
    return sum(old != new for old, new in zip(before.owners, after.owners, strict=True))
