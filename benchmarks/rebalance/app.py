"""The app of one worker: two copartitioned topics, a table over one of them, and a line for every gap.

``BENCH_PLUGIN`` decides whether the plugin is installed; everything else is the same.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import faust
from faust.sensors.base import Sensor

from benchmarks.rebalance import PARTITIONS

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=os.environ["BENCH_BROKER"],
    topic_replication_factor=1,
    topic_partitions=PARTITIONS,
    broker_heartbeat_interval=0.3,
    broker_session_timeout=6.0,
    datadir=os.environ["BENCH_FOLDER"],
    web_host="127.0.0.1",
    web_port=int(os.environ["BENCH_PORT"]),
    web_bind="127.0.0.1",
)
if os.environ["BENCH_PLUGIN"] == "yes":
    from prom_faust import install

    install(app, routing=False)

first = app.topic(f"{app.conf.id}.first", key_type=str, value_type=int, partitions=PARTITIONS)
second = app.topic(f"{app.conf.id}.second", key_type=str, value_type=int, partitions=PARTITIONS)
seen = app.Table("seen", default=int, key_type=str, partitions=PARTITIONS)
log = Path(os.environ["BENCH_LOG"]).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115 - for the worker's life
waiting = False


def tell(event: str) -> None:
    """Note when something happened."""
    log.write(json.dumps({"at": time.time(), "event": event}) + "\n")


class Watch(Sensor):
    """Hears of a revocation first: Faust calls it before anything else."""

    def on_rebalance_start(self, _app: Any) -> dict[str, Any]:
        """Partitions are revoked."""
        tell("revoked")
        return {}

    def on_rebalance_return(self, _app: Any, _state: Any) -> None:
        """Partitions are assigned."""
        # Not before: what an agent still has in hand at the revocation ends no gap.
        global waiting  # noqa: PLW0603 - one per process
        waiting = True


app.sensors.add(Watch())


def processed() -> None:
    """A record was processed; the first one after a rebalance ends a gap."""
    global waiting  # noqa: PLW0603
    if waiting:
        waiting = False
        tell("processed")


@app.agent(first)
async def count(stream: Any) -> None:
    """Write the table."""
    async for key, _ in stream.items():  # noqa: PERF102 - a stream is no dict
        seen[key] += 1
        processed()


@app.agent(second)
async def look(stream: Any) -> None:
    """Read the topic beside it."""
    async for _ in stream:
        processed()
