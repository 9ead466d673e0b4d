"""An app with one public batch agent that crashes over some batches."""

import os
from pathlib import Path
from typing import Any

import faust

from prom_faust import install

OUT = Path(os.environ["OUT"])
app = faust.App(
    "batches",
    broker=os.environ["KAFKA_URL"],
    datadir=str(OUT.with_suffix(".data")),
    web_bind="127.0.0.1",
    topic_replication_factor=1,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=1.0,
    broker_rebalance_timeout=10.0,
)
prom = install(app)
numbers = prom.topic(os.environ["TOPIC"], partitions=4)
calls = 0


@prom.batch_agent(numbers, size=50, window=500, name="copy")
async def copy(batches: Any) -> None:
    global calls
    async for batch in batches:
        calls += 1
        assert len(batch) <= 50
        lines = [f"{r.partition} {r.offset}\n" for r in batch]
        with OUT.open("a") as out:
            out.writelines(lines)
        if calls in (2, 5):
            raise RuntimeError(f"call {calls}")


@app.agent(prom.topic("other", partitions=4))
async def other(stream: Any) -> None:
    async for _ in stream:
        pass
