"""`process.state` as the MongoDB collection `processes`: a document for every process that is not gone."""

from agents.app import prom, states
from prom_faust import Index

__all__ = ["projection"]

projection = prom.materialize(
    states,
    collection="processes",
    key="processId",
    map=[
        "processId",
        "name",
        "host",
        "pid",
        "sid",
        "cpu_pct",
        "mem_mb",
        "last_seen_ts",
        "status",
    ],
    indexes=[Index({"host": 1, "name": 1}), "status"],
)
