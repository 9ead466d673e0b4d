"""An app that uses everything of the plugin, on servers that want a password and TLS."""

import os
import ssl
from pathlib import Path
from typing import Any

import faust
from pydantic import BaseModel

from prom_faust import SchemaRegistry, install

NAME = os.environ["NAME"]
registry = SchemaRegistry()
app = faust.App(
    NAME,
    broker=os.environ["KAFKA_URL"],
    broker_credentials=faust.SASLCredentials(
        username=os.environ["KAFKA_USER"],
        password=os.environ["KAFKA_PASSWORD"],
        mechanism=os.environ["KAFKA_MECHANISM"],
        ssl_context=ssl.create_default_context(cafile=os.environ["AUTHORITY"]),
    ),
    datadir=os.environ["DATADIR"],
    web_bind="127.0.0.1",
    topic_replication_factor=1,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=0.5,
)
prom = install(app, registry=registry, status_interval=0.5)


@registry.schema(f"{NAME}.state", version=1)
class State(BaseModel):
    id: str
    cpu: float


beats = prom.topic(f"{NAME}.beats", partitions=2, key_type=str)
states = prom.topic(f"{NAME}.state", partitions=2, compacted=True, key="id")
prom.materialize(states, collection="states")
count = prom.table("count", source=beats, default=int)


@app.agent(beats)
async def track(stream: Any) -> None:
    async for key, beat in stream.items():
        count[key] += 1
        await states.send(value=State(id=key, cpu=beat["cpu"]))


# More partitions than the topic has: its records pass through another topic.
@prom.partitioned_agent(states, group=f"{NAME}.readers", partitions=4, rebalance_every=0.5)
async def read(event: Any) -> None:
    with Path(os.environ["OUT"]).open("a") as out:
        out.write(f"{event.key}\n")
