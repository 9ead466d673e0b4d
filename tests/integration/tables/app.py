"""A counter per key in memory; twice a second the keys that this worker owns go to ``OUT``."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import faust

from prom_faust import install, partition_of

OUT = Path(os.environ["OUT"])
PARTITIONS = 8
STOP = -1
"""The worker that stops gets this value, and stands still with it in its hands."""

app = faust.App(
    os.environ["GROUP"],
    broker=os.environ["KAFKA_URL"],
    datadir=str(OUT.with_suffix(".data")),
    web_bind="127.0.0.1",
    topic_replication_factor=1,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=0.3,
    broker_commit_interval=0.3,
)
prom = install(app)
topic = prom.topic(os.environ["TOPIC"], partitions=PARTITIONS, key_type=str, value_type=int)
last = prom.table("last", source=topic)


@app.agent(topic)
async def keep(stream: Any) -> None:
    async for key, value in stream.items():
        last[key] = value
        if value == STOP and "STOPS" in os.environ:
            # What it has written so far is in the changelog: given to the client, and sent.
            await asyncio.sleep(0.5)
            await app.producer.flush()
            os.kill(os.getpid(), signal.SIGSTOP)


@app.timer(0.5)
async def dump() -> None:
    mine = {tp.partition for tp in app.assignor.assigned_actives() if tp.topic == os.environ["TOPIC"]}
    recovering = app.rebalancing or app.in_recovery
    found = {key: value for key, value in last.items() if partition_of(key, PARTITIONS) in mine}
    OUT.with_suffix(".new").write_text(json.dumps({"settled": not recovering, "owned": found}))
    OUT.with_suffix(".new").rename(OUT)
