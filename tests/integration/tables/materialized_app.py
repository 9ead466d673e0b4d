"""Tables written by one agent, and each of them a collection."""

import os
from typing import Any

import faust

from prom_faust import install

app = faust.App(
    os.environ["GROUP"],
    broker=os.environ["KAFKA_URL"],
    datadir=os.environ["DATADIR"],
    web_bind="127.0.0.1",
    topic_replication_factor=1,
    topic_partitions=2,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=0.3,
)
prom = install(app, mongo_url=os.environ["MONGO_URL"], create_topics=True)
topic = prom.topic(os.environ["GROUP"] + ".orders", partitions=2, key_type=str)
last = prom.table("last", source=topic)
counts = app.Table("counts", default=int)
prom.materialize(last)
prom.materialize(counts, collection="totals")


@app.agent(topic)
async def keep(stream: Any) -> None:
    async for key, value in stream.items():
        if value.get("closed"):
            del last[key]
        else:
            last[key] = value
        counts[key] += 1
