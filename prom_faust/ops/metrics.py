"""``/ops/metrics``: what this worker has to say to Prometheus. Pure.

Every worker tells of its own partitions only, so that sums over the workers are the app's figures.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from prom_faust.assignment.history import Rebalance, RebalanceHistory
from prom_faust.ops.groups import GroupState
from prom_faust.ops.sinks import behind
from prom_faust.ops.status import GroupStatus, SinkStatus, Topics, WorkerStatus

__all__ = ["Figures", "Tally", "WorkerMetrics", "families"]


COUNTERS: Final[Mapping[str, tuple[str, str]]] = {
    "records": ("prom_faust_sink_records", "Records done: applied, needless, stale or dead-lettered."),
    "writes": ("prom_faust_sink_writes", "Documents and delete markers written."),
    "coalesced": (
        "prom_faust_sink_coalesced_records",
        "Records that a later one of their key made needless.",
    ),
    "stale": ("prom_faust_sink_stale_writes", "Writes that a newer state had overtaken."),
    "dead": ("prom_faust_sink_dead_letters", "Records dead-lettered."),
    "retries": ("prom_faust_sink_retries", "Attempts that were repeated."),
}
"""What a sink counts, to the name and the meaning of its counter."""


class Tally:
    """Counts rebalances for ever; a history remembers the last ones only.

    Example::

        >>> history = RebalanceHistory(lambda: 100.0)
        >>> tally = Tally()
        >>> history.assigned([("orders", 0)], generation=1)
        >>> tally.update(history)
        >>> tally.update(history)
        >>> tally.count, tally.seconds
        (1, 0.0)
    """

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self._last: Rebalance | None = None

    def update(self, history: RebalanceHistory) -> None:
        """Count what is new in a history."""
        new: list[Rebalance] = []
        for each in reversed(history.rebalances):
            if each is self._last:
                break
            new.append(each)
        if new:
            self._last = new[0]
        self.count += len(new)
        self.seconds += sum(each.seconds or 0.0 for each in new)

    def add(self, other: "Tally") -> None:
        """Count what another one has counted, too."""
        self.count += other.count
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that the metrics are made of.

    Attributes:
        status: this worker.
        groups: group to what Kafka says of it, as far as it has.
        letters: dead-letter topic to the letters on it.
        tallies: group to its rebalances.
        age: seconds since Kafka said that; None if it never did.
    """

    status: WorkerStatus
    groups: Mapping[str, GroupState] = field(default_factory=dict)
    letters: Mapping[str, int | None] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    age: float | None = None


class WorkerMetrics:
    """The registry of one app, and what it collects: two apps in one process do not meet.

    Attributes:
        registry: metrics of an app's own may be registered with it, too.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.figures: Figures | None = None
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """The metrics of the last figures; prometheus_client calls it."""
        return () if self.figures is None else families(self.figures)


def families(figures: Figures) -> Iterator[Metric]:
    """The metrics."""
    yield from _worker(figures)
    yield from _groups(figures)
    yield from _sinks(figures)


def _worker(figures: Figures) -> Iterator[Metric]:
    status = figures.status
    info = {"app": status.app, "worker": status.worker, "host": status.host, "url": status.url}
    versions = {f"version_{name.replace('-', '_')}": number for name, number in status.versions.items()}
    yield InfoMetricFamily("prom_faust_member", "Who this worker is.", value={**info, **versions})
    ready = GaugeMetricFamily("prom_faust_ready", "1 if the worker is ready, as /ops/ready says it.")
    ready.add_metric([], float(not status.not_ready))
    yield ready
    started = GaugeMetricFamily(
        "prom_faust_start_time_seconds", "When the worker started, in seconds since the epoch."
    )
    started.add_metric([], status.started / 1000)
    yield started
    if figures.age is not None:
        age = GaugeMetricFamily(
            "prom_faust_kafka_answer_age_seconds",
            "How old the lags are: more than a few seconds while Kafka is away.",
        )
        age.add_metric([], figures.age)
        yield age


def _groups(figures: Figures) -> Iterator[Metric]:
    total = CounterMetricFamily("prom_faust_rebalances", "Rebalances since the start.", labels=["group"])
    seconds = CounterMetricFamily(
        "prom_faust_rebalance_seconds", "Seconds without partitions because of them.", labels=["group"]
    )
    generation = GaugeMetricFamily("prom_faust_generation", "The group's generation.", labels=["group"])
    owned = GaugeMetricFamily(
        "prom_faust_owned_partitions",
        "Partitions of this worker, by role: active or standby.",
        labels=["group", "topic", "role"],
    )
    lag = GaugeMetricFamily(
        "prom_faust_group_lag_records",
        "Records between committed offset and log end, of this worker's partitions.",
        labels=["group", "topic"],
    )
    for group in _merged(figures.status.groups):
        tally = figures.tallies.get(group.group, Tally())
        total.add_metric([group.group], tally.count)
        seconds.add_metric([group.group], tally.seconds)
        generation.add_metric([group.group], group.generation)
        for role, topics in (("active", group.active), ("standby", group.standby)):
            for topic, numbers in topics.items():
                owned.add_metric([group.group, topic, role], len(numbers))
        for topic, records in _lags(group, figures.groups.get(group.group)).items():
            lag.add_metric([group.group, topic], records)
    yield from (total, seconds, generation, owned, lag)


def _merged(groups: Iterable[GroupStatus]) -> list[GroupStatus]:
    """One status for each group: a worker may be several members of one, under names of their own."""
    found: dict[str, GroupStatus] = {}
    for each in groups:
        before = found.get(each.group, each)
        found[each.group] = replace(
            each,
            generation=max(before.generation, each.generation),
            active=_together(before.active, each.active),
            standby=_together(before.standby, each.standby),
        )
    return list(found.values())


def _together(one: Topics, other: Topics) -> Topics:
    topics = sorted({*one, *other})
    return {topic: tuple(sorted({*one.get(topic, ()), *other.get(topic, ())})) for topic in topics}


def _lags(group: GroupStatus, state: GroupState | None) -> dict[str, int]:
    """Topic to the lag of the worker's own partitions, where the group commits anything."""
    found: dict[str, int] = {}
    for each in state.partitions if state is not None else ():
        if each.lag is not None and each.partition in group.active.get(each.topic, ()):
            found[each.topic] = found.get(each.topic, 0) + each.lag
    return found


def _sinks(figures: Figures) -> Iterator[Metric]:
    labels = ["sink", "topic"]
    applied = GaugeMetricFamily(
        "prom_faust_sink_applied_offset", "Everything before it is applied.", labels=[*labels, "partition"]
    )
    lag = GaugeMetricFamily(
        "prom_faust_sink_lag_records",
        "Records still to be applied, up to the end that Kafka knows, of this worker's partitions.",
        labels=labels,
    )
    in_flight = GaugeMetricFamily("prom_faust_sink_in_flight_batches", "Batches worked on.", labels=labels)
    waiting = GaugeMetricFamily(
        "prom_faust_sink_waiting",
        "1 while the sink waits for a server, is stuck, or has stopped.",
        labels=labels,
    )
    stuck = GaugeMetricFamily(
        "prom_faust_sink_stuck_partitions", "Partitions that do not go on, and say why.", labels=labels
    )
    late = GaugeMetricFamily(
        "prom_faust_sink_lag_seconds",
        "Age of the oldest record that is read and not applied; 0 without one.",
        labels=labels,
    )
    counted = [CounterMetricFamily(name, text, labels=labels) for name, text in COUNTERS.values()]
    held = GaugeMetricFamily(
        "prom_faust_sink_held_records", "Records that wait for a unique value.", labels=labels
    )
    outage = GaugeMetricFamily(
        "prom_faust_sink_outage", "1 while MongoDB does not answer, or answers no write.", labels=labels
    )
    outages = CounterMetricFamily(
        "prom_faust_sink_outage_seconds", "How long that was so since the start, up to now.", labels=labels
    )
    deleted = GaugeMetricFamily(
        "prom_faust_sink_may_hold_deleted",
        "1 while deletes may have been missed, and the partition's keys have not been read again yet.",
        labels=[*labels, "partition"],
    )
    letters = GaugeMetricFamily(
        "prom_faust_dead_letters",
        "Letters on a dead-letter topic; every worker tells of all.",
        labels=["topic"],
    )
    for sink in figures.status.sinks:
        names = [sink.name, sink.topic]
        lag.add_metric(names, _sink_lag(sink, figures.groups.get(sink.group)))
        in_flight.add_metric(names, sink.in_flight)
        waiting.add_metric(names, float(_waits(sink)))
        for partition in sink.partitions:
            applied.add_metric([*names, str(partition.partition)], partition.done)
            if sink.what == "projection":
                deleted.add_metric([*names, str(partition.partition)], float(partition.may_hold_deleted))
        stuck.add_metric(names, sum(each.problem is not None for each in sink.partitions))
        late.add_metric(names, _lag_seconds(sink, figures.status.at))
        if sink.what == "projection":
            for family, kind in zip(counted, COUNTERS, strict=True):
                family.add_metric(names, sink.counts.get(kind, 0))
            held.add_metric(names, sink.counts.get("held", 0))
            outage.add_metric(names, float(sink.outage))
            outages.add_metric(names, sink.outage_seconds)
    for topic, number in figures.letters.items():
        if number is not None:
            letters.add_metric([topic], number)
    yield from (
        applied,
        lag,
        late,
        in_flight,
        waiting,
        stuck,
        *counted,
        held,
        outage,
        outages,
        deleted,
        letters,
    )


def _lag_seconds(sink: SinkStatus, now: int) -> float:
    """The age of the oldest record that is read and not applied, of all partitions; clocks may differ.

    What Kafka has and the lane has not read yet has no age here: it counts in the lag in records.
    """
    times = [each.oldest for each in sink.partitions if each.oldest is not None and each.oldest >= 0]
    return max(0, now - min(times, default=now)) / 1000


def _sink_lag(sink: SinkStatus, state: GroupState | None) -> int:
    here = {each.partition: each for each in (state.partitions if state else ()) if each.topic == sink.topic}
    return sum(behind(part, here.get(part.partition))[1] for part in sink.partitions)


def _waits(sink: SinkStatus) -> bool:
    return bool(sink.waiting or sink.stopped or any(each.problem for each in sink.partitions))
