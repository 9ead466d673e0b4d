"""What every path answers, as plain values: put together from Kafka's word and from that of the workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prom_faust.ops.assignments import group_json
from prom_faust.ops.clients import ClusterView, Groups, Look
from prom_faust.ops.members import members_json
from prom_faust.ops.metrics import Figures, WorkerMetrics
from prom_faust.ops.service import StatusService
from prom_faust.ops.sinks import dead_letters_json, sinks_json
from prom_faust.ops.status import WorkerStatus

__all__ = ["ENDPOINTS", "NothingKnownError", "Pages"]

ENDPOINTS: Mapping[str, str] = {
    "": "this list; the page for browsers",
    "/page": "one page that shows everything, and refreshes itself",
    "/assignments": "every group: owner, standbys, generation and lag of each partition, members, rebalances",
    "/members": "the workers: where they are, what they run, whether they are ready, since when they are silent",
    "/sinks": "projections, batch agents, partitioned consumers: offsets, lag, what they wait for, dead letters",
    "/coordinators": "the partition coordinators inside this process",
    "/live": "200 while the event loop answers",
    "/ready": "200 if this worker is ready, or 503 and why it is not",
    "/metrics": "metrics of this worker for Prometheus",
}
"""Path below that of the pages to what is there."""
HEARD_INTERVALS = 5.0


class NothingKnownError(Exception):
    """Kafka has not answered yet, so there is nothing to show, not even something old."""


@dataclass(slots=True)
class Pages:
    """The answers of one worker.

    Attributes:
        path: where the pages are.
        cluster: what Kafka says.
        status: what the workers say.
        metrics: for Prometheus.
        coordinators: gives the coordinators of this process.
        clock: seconds since the epoch.
    """

    path: str
    cluster: ClusterView
    status: StatusService
    metrics: WorkerMetrics
    coordinators: Callable[[], list[Any]]
    clock: Callable[[], float]

    async def index(self) -> dict[str, Any]:
        """The list of endpoints."""
        mine = self.status.observer.status()
        return {
            **self._head(mine),
            "versions": mine.versions,
            "endpoints": [{"path": f"{self.path}{path}", "what": what} for path, what in ENDPOINTS.items()],
        }

    async def assignments(self) -> dict[str, Any]:
        """Every group of the app.

        Raises:
            NothingKnownError: Kafka has not answered yet, and no worker says anything either.
        """
        look, workers = await self.cluster.look(), self.status.workers()
        known = look.groups.value or Groups()
        told = {group.group for seen in workers for group in seen.status.groups}
        groups = [
            group_json(
                group,
                known.states.get(group),
                workers,
                ids=self.status.board.names,
                error=known.errors.get(group),
            )
            for group in sorted({*known.states, *told})
        ]
        if look.groups.value is None and not any(group["partitions"] for group in groups):
            raise NothingKnownError(f"Kafka has not answered yet: {look.groups.error}")
        return {**self._head(), "stale": self._stale(look), "groups": groups}

    async def members(self) -> dict[str, Any]:
        """The workers of the app."""
        return {**self._head(), "stale": self._deaf(), "members": members_json(self.status.workers())}

    async def sinks(self) -> dict[str, Any]:
        """The projections, batch agents and partitioned consumers of the app."""
        look, workers = await self.cluster.look(), self.status.workers()
        letters = look.letters.value or {}
        return {
            **self._head(),
            "stale": self._stale(look),
            "sinks": sinks_json(workers, (look.groups.value or Groups()).states, letters),
            "dead_letters": dead_letters_json(letters),
        }

    async def snapshots(self) -> dict[str, Any]:
        """The coordinators inside this process."""
        return {**self._head(), "coordinators": [each.snapshot() for each in self.coordinators()]}

    async def ready(self) -> tuple[bool, list[str]]:
        """Whether this worker is ready, and every reason why it is not."""
        reasons = list(self.status.observer.status().not_ready)
        return not reasons, reasons

    async def live(self) -> bool:
        """That this is asked in the app's loop is the answer."""
        return True

    async def measure(self) -> None:
        """Bring the metrics up to date."""
        look = await self.cluster.look()
        self.metrics.figures = Figures(
            self.status.observer.status(),
            (look.groups.value or Groups()).states,
            look.letters.value or {},
            self.status.observer.rebalances(),
            look.groups.age,
        )

    def _head(self, mine: WorkerStatus | None = None) -> dict[str, Any]:
        mine = mine or self.status.observer.status()
        return {"app": mine.app, "worker": mine.worker, "at": self.clock()}

    def _stale(self, look: Look) -> dict[str, Any] | None:
        """What is not up to date, and why; None where everything is."""
        for answer in (look.groups, look.letters):
            if answer.error is not None:
                return {"age": answer.age, "reason": answer.error}
        return self._deaf()

    def _deaf(self) -> dict[str, Any] | None:
        """Whether the workers' statuses have not been heard for too long."""
        age = self.status.board.age
        if age is not None and age > HEARD_INTERVALS * self.status.interval:
            return {"age": age, "reason": "no worker's status was heard; Kafka may be away"}
        return None
