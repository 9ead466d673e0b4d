"""What is known of the workers of an app: the last status of each, and since when it is silent. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prom_faust.ops.status import WorkerStatus

__all__ = ["Board", "Seen"]

SILENT_INTERVALS = 5.0
FORGET_SECONDS = 3600.0
IDS_PER_WORKER = 8
"""How many ids are kept, in the mean. While a group waits for a worker that was killed, the id that it had counts."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker's last status.

    Attributes:
        status: what it said.
        at: when that was heard here, in seconds since the epoch.
        silent: whether more should have been heard since.
    """

    status: WorkerStatus
    at: float
    silent: bool


class Board:
    """The last status of every worker of an app.

    A worker counts as silent when nothing was heard of it for five of its intervals, and is forgotten after an
    hour. Both are counted up to the last moment at which anything at all was heard: while Kafka is away nobody is
    heard, and that says nothing of the workers.

    Example::

        >>> seconds = [100.0]
        >>> board = Board(lambda: seconds[0])
        >>> board.put("w1", WorkerStatus("shop", "w1", interval=3.0))
        >>> seconds[0] = 110.0
        >>> board.put("w2", WorkerStatus("shop", "w2", interval=3.0))
        >>> seconds[0] = 117.0
        >>> [(seen.status.worker, seen.silent) for seen in board.workers()]  # nobody was heard since 110
        [('w1', False), ('w2', False)]
        >>> board.put("w2", WorkerStatus("shop", "w2", interval=3.0))
        >>> [(seen.status.worker, seen.silent) for seen in board.workers()]
        [('w1', True), ('w2', False)]

    Args:
        clock: seconds since the epoch.
        limit: how many workers are kept; those heard last.
    """

    def __init__(self, clock: Callable[[], float], *, limit: int = 2_000) -> None:
        self._clock = clock
        self._limit = limit
        self._seen: dict[str, tuple[WorkerStatus, float]] = {}
        self._names: dict[str, str] = {}
        self._heard_at: float | None = None

    @property
    def age(self) -> float | None:
        """Seconds since anything was heard; None before the first."""
        return None if self._heard_at is None else max(self._clock() - self._heard_at, 0.0)

    def put(self, worker: str, status: WorkerStatus | None, *, written_at: float | None = None) -> None:
        """A worker's status was read.

        Args:
            worker: its name.
            status: what it says; None where it said goodbye.
            written_at: when it was written, in seconds since the epoch, for a status that was read late. One that
                was just written counts from now, whatever its writer's clock says.
        """
        now = self._clock()
        at = now if written_at is None else min(written_at, now)
        self._heard_at = max(self._heard_at or 0.0, at)
        self._seen.pop(worker, None)
        if status is not None:
            self._seen[worker] = (status, at)
            self._remember(status)
        while len(self._seen) > self._limit:
            del self._seen[next(iter(self._seen))]

    def _remember(self, status: WorkerStatus) -> None:
        for group in status.groups:
            if group.member_id:
                self._names.pop(group.member_id, None)
                self._names[group.member_id] = group.member
        while len(self._names) > IDS_PER_WORKER * self._limit:
            del self._names[next(iter(self._names))]

    @property
    def names(self) -> Mapping[str, str]:
        """Ids that Kafka has given to members of groups, also those of before, and the members' names."""
        return self._names

    def workers(self) -> tuple[Seen, ...]:
        """The workers, by name."""
        heard = self._heard_at or 0.0
        return tuple(
            Seen(status, at, heard - at > SILENT_INTERVALS * status.interval)
            for _, (status, at) in sorted(self._seen.items())
        )

    def forget(self) -> tuple[str, ...]:
        """Leave out those that were silent for an hour; returns their names."""
        heard = self._heard_at or 0.0
        gone = tuple(worker for worker, (_, at) in self._seen.items() if heard - at > FORGET_SECONDS)
        for worker in gone:
            del self._seen[worker]
        return gone
