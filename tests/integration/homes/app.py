"""An app with topics of every type of key, tables written from them, and a file in which each worker says where
it believes every key to be.
"""

import json
import os
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import faust

from prom_faust import install, partition_of

NAME = os.environ["TOPIC"]
PARTITIONS = 8
KEYS = int(os.environ["KEYS"])
WRITTEN = int(os.environ["WRITTEN"])

app = faust.App(
    NAME,
    broker=os.environ["KAFKA_URL"],
    datadir=os.environ["DATADIR"],
    topic_replication_factor=1,
    topic_partitions=PARTITIONS,
    broker_session_timeout=10.0,
    canonical_url=os.environ["URL"],
    table_standby_replicas=0,
)
prom = install(app, startup_timeout=10.0)

KINDS: dict[str, list[Any]] = {
    "text": [f"key-{n}-é" for n in range(KEYS)],
    "bytes": [uuid.UUID(int=n * 0x9E3779B97F4A7C15).bytes for n in range(KEYS)],
    "int": [n * 7919 - KEYS for n in range(KEYS)],
}
TYPES = {"text": str, "bytes": bytes, "int": int}
sources = {kind: prom.topic(f"{NAME}.{kind}", partitions=PARTITIONS, key_type=TYPES[kind]) for kind in KINDS}
shared = prom.topic(f"{NAME}.kafka", partitions=PARTITIONS, key_type=str, routing="kafka")
# Tables by their source, and plain ones, of which the plugin knows nothing.
tables = {kind: prom.table(f"{kind}-table", source=topic) for kind, topic in sources.items()}
plain = {kind: app.Table(f"{kind}-plain", key_type=TYPES[kind]) for kind in ("text", "bytes")}
loose = app.Table("loose")
from_kafka = prom.table("kafka-table", source=shared)
grouped = app.Table("grouped")


def writer(kind: str) -> Any:
    async def write(stream: Any) -> None:
        async for event in stream.events():
            if event.value["n"] % WRITTEN:
                continue
            tables[kind][event.key] = event.message.partition
            if kind in plain:
                plain[kind][event.key] = event.message.partition
            if kind == "text":
                loose[event.key] = event.message.partition

    return write


for kind, topic in sources.items():
    app.agent(topic, name=f"write-{kind}")(writer(kind))


@app.agent(shared)
async def write_kafka(stream: Any) -> None:
    async for event in stream.events():
        if event.value["n"] % WRITTEN:
            continue
        from_kafka[event.key] = event.message.partition


@app.agent(sources["text"])
async def regroup(stream: Any) -> None:
    few = stream.filter(lambda value: value["n"] < 1000)
    async for event in few.group_by(lambda value: f"group-{value['n'] % 500}", name="n").events():
        grouped[event.key] = event.message.partition


def answers(table: Any, keys: list[Any]) -> list[tuple[str, int]]:
    name = table.changelog_topic.get_topic_name()
    return [
        (
            str(app.router.key_store(table.name, key)),
            app.producer.key_partition(name, app.router.table_key(table, key)).partition,
        )
        for key in keys
    ]


@app.command()
async def fill() -> None:
    """Send every key, and write down where the broker put it."""
    placed: dict[str, list[int]] = {}
    for kind, keys in KINDS.items():
        sent = [await sources[kind].send(key=key, value={"n": n}) for n, key in enumerate(keys)]
        placed[kind] = [(await each).partition for each in sent]
    sent = [await shared.send(key=key, value={"n": n}) for n, key in enumerate(KINDS["text"])]
    placed["kafka"] = [(await each).partition for each in sent]
    Path(os.environ["PLACED"]).write_text(json.dumps(placed))


@cache
def believed() -> dict[str, list[tuple[str, int]]]:
    """Where the router says that every key is; asked once, for it is many keys."""
    return {
        **{tables[kind].name: answers(tables[kind], keys) for kind, keys in KINDS.items()},
        **{plain[kind].name: answers(plain[kind], KINDS[kind]) for kind in plain},
        "loose": answers(loose, KINDS["text"]),
        "kafka-table": answers(from_kafka, KINDS["text"]),
        "grouped": answers(grouped, [f"group-{n}" for n in range(500)]),
    }


@app.timer(2.0)
async def report() -> None:
    """What is here, and where everything should be; complete when the test says so."""
    if not Path(os.environ["ASK"]).exists():
        return
    held = {
        table.name: {repr(key): partition for key, partition in table.items()}
        for table in [*tables.values(), *plain.values(), loose, from_kafka, grouped]
    }
    expected = {kind: [partition_of(key, PARTITIONS) for key in keys] for kind, keys in KINDS.items()}
    target = Path(os.environ["REPORT"])
    target.with_suffix(".new").write_text(
        json.dumps({"url": os.environ["URL"], "held": held, "believed": believed(), "expected": expected})
    )
    target.with_suffix(".new").rename(target)
