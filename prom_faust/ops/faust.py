"""What this worker knows of itself: read from Faust and from the lanes, without asking any server."""

import os
import platform
import socket
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, Protocol, cast

import faust

from prom_faust.assignment.history import RebalanceHistory
from prom_faust.assignment.identity import worker_identity
from prom_faust.clock import milliseconds
from prom_faust.events.agent import EventAgent
from prom_faust.lane.partition import Partition
from prom_faust.lane.polling.kafka import DRY_POLLS
from prom_faust.lane.record import TopicPartition
from prom_faust.lane.service import Lane
from prom_faust.ops.metrics import Tally
from prom_faust.ops.readiness import Progress, not_ready
from prom_faust.ops.status import (
    GroupStatus,
    SinkPartition,
    SinkStatus,
    Topics,
    WorkerStatus,
    rebalance_status,
)
from prom_faust.partitioned.agent import RecordAgent
from prom_faust.sink.faust import Projection
from prom_faust.sink.stats import SinkStats

__all__ = ["Observer"]

SHOWN = 10
"""So many rebalances of a group are told to the others."""
PACKAGES = ("prom-faust", "faust-streaming", "aiokafka", "pymongo")


class Observed(Protocol):
    """What there is to look at: the plugin of an app."""

    @property
    def app(self) -> faust.App:
        """The app."""

    @property
    def projections(self) -> Mapping[str, Projection]:
        """Its projections, by collection."""

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """Its other lanes, by agent."""


class Observer:
    """Looks at one worker.

    Args:
        prom: the plugin of its app.
        interval: seconds between two statuses.
        progress_within: seconds within which a lane that is behind must get on, for the worker to be ready.
    """

    def __init__(self, prom: Observed, *, interval: float, progress_within: float) -> None:
        self.prom = prom
        self._interval = interval
        self._within = progress_within
        self._progress: dict[str, Progress] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}

    @property
    def app(self) -> faust.App:
        """The app."""
        return self.prom.app

    def status(self) -> WorkerStatus:
        """How this worker is right now."""
        self._count()  # often enough that no history has forgotten any
        identity, conf = worker_identity(self.app), self.app.conf
        groups = (self._streams(), *(_lane_group(lane, what) for _, what, lane in self._lanes()))
        sinks = tuple(
            _sink(name, what, lane, self.prom.projections.get(name)) for name, what, lane in self._lanes()
        )
        return WorkerStatus(
            app=str(conf.id),
            worker=identity.name,
            url=identity.url if conf.web_enabled else "",
            host=socket.gethostname(),
            pid=os.getpid(),
            process=identity.process,
            weight=identity.weight,
            started=identity.started,
            at=milliseconds(),
            interval=self._interval,
            stopping=bool(self.app.should_stop),
            not_ready=self._not_ready(groups, sinks),
            versions=self._versions,
            groups=groups,
            sinks=sinks,
        )

    def rebalances(self) -> dict[str, Tally]:
        """Group to what this worker saw there since it started, under all of its names."""
        self._count()
        found: dict[str, Tally] = {}
        for (group, _), tally in self._tallies.items():
            found.setdefault(group, Tally()).add(tally)
        return found

    def _count(self) -> None:
        mine = _history(self.app)
        streams = [] if mine is None else [(str(self.app.conf.id), "", mine)]
        lanes = [(lane.options.group, name, lane.history) for name, _, lane in self._lanes()]
        for group, name, history in (*streams, *lanes):
            self._tallies.setdefault((group, name), Tally()).update(history)

    def groups(self) -> list[str]:
        """The groups that this worker is, or will be, a member of."""
        groups = (str(self.app.conf.id), *(lane.options.group for _, _, lane in self._lanes()))
        return list(dict.fromkeys(groups))

    def _lanes(self) -> list[tuple[str, str, Lane]]:
        return [
            *((name, "projection", projection.lane) for name, projection in self.prom.projections.items()),
            *((name, self._kind(name), lane) for name, lane in self.prom.lanes.items()),
        ]

    def _kind(self, name: str) -> str:
        """A partitioned consumer may have two lanes: one that sends records to their partitions, and its own."""
        lanes = self.prom.lanes
        if isinstance(lanes[name].agent, EventAgent):
            return "events"
        last = lanes.get(name.removesuffix(".repartition"), lanes[name])
        return "partitioned" if isinstance(last.agent, RecordAgent) else "batches"

    def _streams(self) -> GroupStatus:
        app = self.app
        assignor, history = cast(Any, app.assignor), _history(app)
        recovery = cast(Any, app.tables).recovery
        return GroupStatus(
            group=str(app.conf.id),
            what="streams",
            name=str(app.conf.id),
            member=worker_identity(app).name,
            protocol=history.protocol if history is not None else assignor.name,
            generation=history.generation if history is not None else int(app.consumer_generation_id),
            active=_topics((tp.topic, tp.partition) for tp in assignor.assigned_actives()),
            standby=_topics((tp.topic, tp.partition) for tp in assignor.assigned_standbys()),
            rebalancing=bool(app.rebalancing) or (history is not None and history.rebalancing),
            recovering=bool(recovery.in_recovery or not recovery.completed.is_set()),
            rebalances=rebalance_status(history.rebalances[-SHOWN:]) if history is not None else (),
            member_id=_streams_member_id(app),
        )

    def _not_ready(self, groups: Iterable[GroupStatus], sinks: Iterable[SinkStatus]) -> tuple[str, ...]:
        if self.app.should_stop:
            return ("the worker is stopping",)
        sinks = tuple(sinks)
        stuck = {}
        for sink in sinks:
            progress = self._progress.setdefault(sink.name, Progress(time.monotonic, within=self._within))
            stuck[sink.name] = progress.stuck(
                {each.partition: (each.done, each.lag) for each in sink.partitions}
            )
        return not_ready(groups, sinks, stuck)


def _history(app: faust.App) -> RebalanceHistory | None:
    """The rebalances of the app's own group; Faust's own assignors keep none."""
    found: Any = getattr(app.assignor, "history", None)
    return found if isinstance(found, RebalanceHistory) else None


def _streams_member_id(app: Any) -> str:
    """Of Faust's consumer, which is made when the app starts, and has a thread of its own."""
    thread = getattr(app._consumer, "_thread", None)  # noqa: SLF001 - app.consumer would make one
    return _member_id(getattr(thread, "_consumer", None))


def _member_id(consumer: Any) -> str:
    """The id that Kafka has given a consumer; empty while it has none."""
    coordinator = getattr(consumer, "_coordinator", None)  # aiokafka has no public word for it
    return str(getattr(coordinator, "member_id", ""))


def _lane_group(lane: Lane, what: str) -> GroupStatus:
    history = lane.history
    return GroupStatus(
        group=lane.options.group,
        what="sink" if what == "projection" else what,
        name=lane.agent.name,
        member=lane.member,
        protocol=history.protocol,
        generation=history.generation,
        active=_topics(history.assigned_now),
        rebalancing=history.rebalancing,
        rebalances=rebalance_status(history.rebalances[-SHOWN:]),
        member_id=_member_id(lane.consumer),
    )


def _sink(name: str, what: str, lane: Lane, projection: Projection | None) -> SinkStatus:
    owned = lane.partitions
    unstarted = max(len(lane.history.assigned_now) - len(owned), 0)
    stats = SinkStats() if projection is None else projection.projector.stats
    waiting = stats.outage
    if waiting is None and unstarted:
        waiting = f"{unstarted} partitions are assigned and cannot be read yet; the log says why"
    return SinkStatus(
        name=name,
        what=what,
        topic=lane.options.topic,
        group=lane.options.group,
        partitions=tuple(_partition(lane, owned_name) for owned_name in sorted(owned)),
        unstarted=unstarted,
        in_flight=lane.in_flight,
        buffered=sum(partition.buffered for partition in owned.values()),
        waiting=waiting,
        stopped=str(lane.crash_reason) if lane.crashed else _stops(owned),
        counts={} if projection is None else _counts(projection),
        outage=stats.outage is not None,
        outage_seconds=stats.outage_seconds(time.monotonic()),
    )


def _stops(owned: Mapping[TopicPartition, Partition]) -> str | None:
    """Why partitions have stopped at a record; None where none has."""
    stops = [f"{name}: {partition.error}" for name, partition in sorted(owned.items()) if partition.stopped]
    return "; ".join(stops) or None


def _partition(lane: Lane, name: TopicPartition) -> SinkPartition:
    partition = lane.partitions[name]
    end, _ = lane.log_end(name)
    idle = not (partition.buffered or partition.held or partition.in_flight)
    # A log may end in a transaction's marker, which is an offset and no record.
    caught_up = idle and partition.dry_polls >= DRY_POLLS
    return SinkPartition(
        partition=name.partition,
        done=partition.done,
        end=end or None,
        lag=0 if caught_up else max(0, end - partition.done),
        held=partition.held,
        problem=None if partition.error is None else str(partition.error),
        may_hold_deleted=name in lane.losses.since,
        oldest=partition.oldest,
    )


def _counts(projection: Projection) -> dict[str, int]:
    stats = projection.projector.stats
    names = ("records", "writes", "coalesced", "stale", "dead", "retries")
    held = sum(len(partition.held_since) for partition in projection.lane.partitions.values())
    return {**{name: int(getattr(stats, name)) for name in names}, "held": held}


def _topics(partitions: Iterable[tuple[str, int]]) -> Topics:
    found: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        found.setdefault(topic, []).append(number)
    return {topic: tuple(numbers) for topic, numbers in found.items()}
