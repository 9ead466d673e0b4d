"""A worker with one partitioned consumer; it writes what its handler does, and when, to a file of its own."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import faust

from prom_faust import install

OUT = Path(os.environ["OUT"])
NAME = os.environ["NAME"]
TOPIC = os.environ["TOPIC"]
app = faust.App(
    TOPIC,
    broker=os.environ["KAFKA_URL"],
    datadir=str(OUT.with_suffix(".data")),
    web_bind="127.0.0.1",
    topic_replication_factor=1,
    broker_session_timeout=10.0,
    broker_heartbeat_interval=0.5,
    broker_rebalance_timeout=10.0,
)
prom = install(app, worker_name=NAME, history_interval=2.0)
prom.topic(TOPIC, partitions=4, routing="kafka")
out = OUT.open("a", buffering=1)


def note(*words: Any) -> None:
    out.write(" ".join(map(str, words)) + "\n")


@prom.partitioned_agent(
    TOPIC,
    group=f"{TOPIC}.readers",
    partitions=8,
    ttl=float(os.environ.get("TTL", "3.0")),
    rebalance_every=0.3,
    name="read",
    on_assigned=lambda partitions: note("assigned", time.time(), *sorted(partitions)),
    on_revoked=lambda partitions: note("revoked", time.time(), *sorted(partitions)),
)
async def read(event: Any) -> None:
    place = (event.partition, event.source.partition, event.offset, event.key)
    note("begin", time.time(), *place)
    # Some take long enough to be at work when their partition is taken away.
    await asyncio.sleep(0.5 if event.offset % 50 == 7 else 0.004)
    note("end", time.time(), *place)


@app.agent(prom.topic(f"{TOPIC}.other", partitions=2))
async def other(stream: Any) -> None:
    async for _ in stream:
        pass
