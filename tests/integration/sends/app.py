"""An app that sends good and bad payloads by every path that Faust has, from inside a stream, and writes down
what each sender got.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import faust
from pydantic import BaseModel, ConfigDict

from prom_faust import SchemaRegistry, install

NAME = os.environ["TOPIC"]
RESULTS = Path(os.environ["RESULTS"])
PARTITIONS = 8

registry = SchemaRegistry()
app = faust.App(
    NAME,
    broker=os.environ["KAFKA_URL"],
    datadir=os.environ["DATADIR"],
    topic_replication_factor=1,
    topic_partitions=PARTITIONS,
    broker_session_timeout=10.0,
    **json.loads(os.environ.get("SETTINGS", "{}")),
)
prom = install(app, registry=registry, startup_timeout=10.0)


class Reading(BaseModel):
    """The payload of the enforced topics."""

    model_config = ConfigDict(extra="ignore")

    id: str
    cpu: float
    sid: int | None = None


TARGET, CHANGELOG = f"{NAME}.target", f"{NAME}-table-changelog"
registry.register(TARGET, Reading, version=3)
registry.register(CHANGELOG, Reading, version=3)
target = prom.topic(TARGET, partitions=PARTITIONS)
go = prom.topic(f"{NAME}.go", partitions=PARTITIONS, value_type=bytes, value_serializer="raw")
table = app.Table("table", partitions=PARTITIONS)


def changed() -> Reading:
    reading = Reading(id="k", cpu=1)
    reading.cpu = "much"  # type: ignore[assignment]
    return reading


GOOD: dict[str, Any] = {
    "model": Reading(id="k", cpu=1),
    "dict": {"id": "k", "cpu": 1.5, "sid": 2},
    "bytes": b'{"id": "k", "cpu": 1.5}',
}
BAD: dict[str, Any] = {
    "missing field": {"id": "k"},
    "wrong type": {"id": "k", "cpu": "x"},
    "extra field": {"id": "k", "cpu": 1, "colour": "red"},
    "NaN": {"id": "k", "cpu": math.nan},
    "NaN in bytes": b'{"id": "k", "cpu": NaN}',
    "changed after validation": changed(),
    "never validated": Reading.model_construct(id="k", cpu="lie"),
    "text for a number in bytes": b'{"id": "k", "cpu": "12"}',
    "deletion": {"_deleted": True},
    "null": None,
    "null in bytes": b"null",
}


@app.agent(target)
async def listener(stream: Any) -> None:
    async for reading in stream:
        assert isinstance(reading, Reading)
        yield reading.id


async def write_table(event: Any, value: Any) -> None:
    before = dict(table)
    try:
        table["k"] = value
    finally:
        if dict(table) != before:
            table.data.pop("k", None)


def soon(event: Any, value: Any) -> None:
    target.send_soon(key="k", value=value)


def buffered(event: Any, value: Any) -> None:
    # The lowest door of all: a message that somebody made by hand.
    future = target.as_future_message(b"k", GOOD["bytes"])
    future.message = future.message._replace(value=value, headers={})
    app.producer.send_soon(future)


PATHS: dict[str, Any] = {
    "topic.send": lambda event, value: target.send(key="k", value=value),
    "topic.send, forced": lambda event, value: target.send(key="k", value=value, force=True),
    "topic.send, another schema": lambda event, value: target.send(
        key="k", value=value, schema=faust.Schema()
    ),
    "topic.send, raw": lambda event, value: target.send(key="k", value=value, value_serializer="raw"),
    "topic.send_soon": soon,
    "app.send by name": lambda event, value: app.send(TARGET, key="k", value=value),
    "app.send": lambda event, value: app.send(target, key="k", value=value),
    "another topic object": lambda event, value: app.topic(TARGET, value_serializer="json").send(
        key="k", value=value
    ),
    "agent.send": lambda event, value: listener.send(key="k", value=value),
    "agent.cast": lambda event, value: listener.cast(value, key="k"),
    "agent.ask": lambda event, value: listener.ask_nowait(value, key="k", reply_to=app.conf.reply_to),
    "event.send": lambda event, value: event.send(target, key="k", value=value),
    "event.forward": lambda event, value: event.forward(target, key="k", value=value),
    "event.forward by name": lambda event, value: event.forward(TARGET, key="k", value=value),
    "table": write_table,
    "producer.send": lambda event, value: app.producer.send(TARGET, b"k", value, None, None, None),
    "producer.send_and_wait": lambda event, value: app.producer.send_and_wait(
        TARGET, b"k", value, None, None, None
    ),
    "producer.send_soon": buffered,
}
BYTES_ONLY = {"producer.send", "producer.send_and_wait", "producer.send_soon"}


async def attempt(event: Any, path: str, value: Any) -> dict[str, Any]:
    try:
        pending = PATHS[path](event, value)
        if pending is not None:
            await pending
    except Exception as error:  # noqa: BLE001 - what the sender gets is the question
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": None, "message": ""}


@app.agent(go)
async def try_all(stream: Any) -> None:
    async for event in stream.events():
        values = {"good": GOOD, "bad": BAD}[event.value.decode()]
        with RESULTS.open("a") as results:
            for path in PATHS:
                for name, value in values.items():
                    if path in BYTES_ONLY and not isinstance(value, bytes | None):
                        continue
                    found = await attempt(event, path, value)
                    results.write(json.dumps({"path": path, "payload": name, **found}) + "\n")
            results.write("done\n")
