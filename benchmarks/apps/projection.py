"""The sink: one ``materialize``, with its topic's schema or without."""

import faust

from benchmarks.apps.stopwatch import measured_app
from benchmarks.schema import registry_of
from benchmarks.workload import COLLECTION, PARTITIONS, topic_of
from prom_faust import install

__all__ = ["projecting_app"]


def projecting_app(*, checked: bool) -> faust.App:
    """The app; ``checked``: every value must be what the model of the topic's schema says, or is dead-lettered."""
    app, stopwatch, run = measured_app()
    prom = install(
        app,
        registry=registry_of(run.workload),
        schema=checked,
        mongo_url=f"{run.mongo}/{run.database}",
    )
    topic = prom.topic(topic_of(run.workload), partitions=PARTITIONS, compacted=True)
    projection = prom.materialize(topic, collection=COLLECTION, key="id")

    def received() -> bool:
        """Whether the lane has read a record."""
        partitions = projection.lane.partitions.values()
        return any(partition.buffered or partition.in_flight for partition in partitions)

    stopwatch.follow(received=received, handled=lambda: projection.projector.stats.records)
    return app
