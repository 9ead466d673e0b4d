"""``/ops/metrics``: what this worker has to say to Prometheus. Pure.

Every worker tells of its own partitions only, so that sums over the workers are the app's figures.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from prom_faust.assignment.history import Rebalance, RebalanceHistory
from prom_faust.ops.groups import GroupState
from prom_faust.ops.sinks import behind
from prom_faust.ops.status import GroupStatus, SinkStatus, Topics, WorkerStatus

__all__ = ["Figures", "Tally", "WorkerMetrics", "families"]


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
    counted = CounterMetricFamily(
        "prom_faust_sink_events", "What the sink did since the start, by kind.", labels=[*labels, "kind"]
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
        for kind, count in sink.counts.items():
            if kind != "held":
                counted.add_metric([*names, kind], count)
    for topic, number in figures.letters.items():
        if number is not None:
            letters.add_metric([topic], number)
    yield from (applied, lag, in_flight, waiting, counted, deleted, letters)


def _sink_lag(sink: SinkStatus, state: GroupState | None) -> int:
    here = {each.partition: each for each in (state.partitions if state else ()) if each.topic == sink.topic}
    return sum(behind(part, here.get(part.partition))[1] for part in sink.partitions)


def _waits(sink: SinkStatus) -> bool:
    return bool(sink.waiting or sink.stopped or any(each.problem for each in sink.partitions))
