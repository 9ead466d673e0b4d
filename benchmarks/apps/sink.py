"""The sink: one ``materialize``."""

from benchmarks.apps.stopwatch import measured_app
from benchmarks.workload import COLLECTION, PARTITIONS, topic_of
from prom_faust.app import install

app, stopwatch, run = measured_app()
prom = install(app, mongo_url=f"{run.mongo}/{run.database}")
processes = prom.topic(topic_of(run.workload), partitions=PARTITIONS, compacted=True)
projection = prom.materialize(processes, collection=COLLECTION, key="id")


def received() -> bool:
    """Whether the lane has read a record."""
    return any(partition.buffered or partition.in_flight for partition in projection.lane.partitions.values())


stopwatch.follow(received=received, handled=lambda: projection.projector.stats.records)
