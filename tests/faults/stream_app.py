"""A worker of Faust's own streams, with a table and the plugin; every record that it handles is a line of ``OUT``."""

import os
from pathlib import Path
from typing import Any

from prom_faust import install
from tests.support.projection import make_app

app = make_app(
    os.environ["TOPIC"],
    os.environ["KAFKA_URL"],
    os.environ["DATADIR"],
    topic_disable_leader=True,
    broker_heartbeat_interval=0.3,
    broker_rebalance_timeout=60.0,
    broker_commit_interval=0.5,
)
prom = install(app, ops=False)
topic = prom.topic(os.environ["TOPIC"], partitions=8, key_type=str, value_type=bytes, value_serializer="raw")

counts = prom.table("counts", source=topic, default=int)


@app.agent(topic)
async def handle(stream: Any) -> None:
    with Path(os.environ["OUT"]).open("a") as out:
        async for event in stream.events():
            counts[event.key] += 1
            out.write(f"{event.message.partition}-{event.message.offset}\n")
            out.flush()
