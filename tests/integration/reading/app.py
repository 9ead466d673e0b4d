"""An app whose agents write down what they get, from topics on which there is more than they should get."""

import json
import os
from pathlib import Path
from typing import Any

import faust
from pydantic import BaseModel

from prom_faust import SchemaRegistry, install

NAME = os.environ["TOPIC"]
SEEN = Path(os.environ["SEEN"])

registry = SchemaRegistry()
app = faust.App(
    NAME,
    broker=os.environ["KAFKA_URL"],
    datadir=os.environ["DATADIR"],
    topic_replication_factor=1,
    broker_session_timeout=6.0,
    broker_commit_interval=0.5,
)
prom = install(app, registry=registry)


class Reading(BaseModel):
    """Version 1."""

    id: str
    cpu: float


class Reading2(Reading):
    """Version 2 has a field more."""

    sid: int = 7


for topic in ("plain", "kept", "asked", "undeclared"):
    registry.register(f"{NAME}.{topic}", Reading, version=1)
    registry.register(f"{NAME}.{topic}", Reading2, version=2)

plain = prom.topic(f"{NAME}.plain", partitions=1, key_type=str)
kept = prom.topic(f"{NAME}.kept", partitions=1, compacted=True, key_type=str)
asked = prom.topic(f"{NAME}.asked", partitions=1, compacted=True, key_type=str, allow_empty=True)
free = prom.topic(f"{NAME}.free", partitions=1, key_type=str)


undeclared = app.topic(f"{NAME}.undeclared", key_type=str)


def reader(name: str) -> Any:
    async def read(stream: Any) -> None:
        async for event in stream.events():
            value = event.value
            seen = [name, event.key, None if value is None else type(value).__name__]
            with SEEN.open("a") as file:
                file.write(
                    json.dumps([*seen, value.model_dump() if isinstance(value, BaseModel) else value]) + "\n"
                )

    return read


for name, topic in {
    "plain": plain,
    "again": plain,
    "kept": kept,
    "asked": asked,
    "free": free,
    "undeclared": undeclared,
}.items():
    app.agent(topic, name=f"read-{name}")(reader(name))
