"""The histograms of the sinks: how large batches and bulk writes are, and how long they take. Pure.

They are fed a few times per batch and never per record. What is only counted is in the sink's own counters, which
``/ops/sinks`` shows, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from prometheus_client import Histogram
from prometheus_client.core import Metric

__all__ = ["SinkHistograms", "SinkMeter"]

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
DELAYS = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    1_800.0,
    3_600.0,
    86_400.0,
)
LABELS = ("sink", "topic")


class SinkHistograms:
    """The histograms of one app, a collector for its registry: two apps in one process do not meet."""

    def __init__(self) -> None:
        self._all = (
            _histogram("batch_records", "Records in a batch.", SIZES),
            _histogram("bulk_write_operations", "Operations in a bulk write.", SIZES),
            _histogram("bulk_write_duration_seconds", "How long MongoDB took for a bulk write.", SECONDS),
            _histogram("batch_duration_seconds", "From a batch's start to its stored position.", SECONDS),
            _histogram(
                "delay_seconds",
                "From a record's timestamp until it is applied; of a batch the oldest and the newest record.",
                DELAYS,
            ),
        )

    def collect(self) -> Iterable[Metric]:
        """The metrics; prometheus_client calls it."""
        return chain.from_iterable(histogram.collect() for histogram in self._all)

    def of(self, sink: str, topic: str) -> "SinkMeter":
        """What one sink is measured by.

        Args:
            sink: the collection.
            topic: the topic.
        """
        return SinkMeter(*(histogram.labels(sink, topic) for histogram in self._all))


def _histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(f"prom_faust_sink_{name}", text, LABELS, buckets=buckets, registry=None)


@dataclass(frozen=True, slots=True)
class SinkMeter:
    """One sink's histograms: of batches and bulk writes, and from timestamp to application."""

    batch_records: Histogram
    bulk_operations: Histogram
    bulk_seconds: Histogram
    batch_seconds: Histogram
    delay_seconds: Histogram

    def wrote(self, operations: int, seconds: float) -> None:
        """MongoDB answered a bulk write."""
        self.bulk_operations.observe(operations)
        self.bulk_seconds.observe(seconds)

    def applied(self, records: int, seconds: float, *, oldest: int, newest: int, now: int) -> None:
        """A batch is done and its position stored.

        Args:
            records: how many it had.
            seconds: how long it took.
            oldest: the lowest timestamp, in ms since the epoch; -1 where there is none, as of Kafka's oldest format.
            newest: the highest timestamp, the same.
            now: milliseconds since the epoch.
        """
        self.batch_records.observe(records)
        self.batch_seconds.observe(seconds)
        for timestamp in (oldest, newest):
            if timestamp >= 0:
                # Producers have clocks of their own, which may be ahead.
                self.delay_seconds.observe(max(0, now - timestamp) / 1000)
