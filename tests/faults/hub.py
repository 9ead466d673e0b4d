"""The app under fault: one projection, whose bulk writes can be watched and stopped from outside.

``TRACE`` names a file of three int64: bulks begun, bulks ended, and a request: 1 lets the worker stop itself with
SIGSTOP at the next bulk, after its check of ownership and before it is sent. The keys of that bulk are then in
``TRACE.keys``. This is done by the database object that the app hands to ``install``; prom_faust is not touched.
"""

import asyncio
import contextvars
import itertools
import json
import mmap
import os
import signal
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pymongo import AsyncMongoClient

from prom_faust import Index, install, partition_of
from prom_faust.dlq.envelope import DeadLetter
from prom_faust.lane.record import PlainRecord
from tests.support.projection import make_app

TRACE = Path(os.environ["TRACE"])
BEGUN, ENDED, STOP = 0, 8, 16


class TracedCollection:
    def __init__(self, inner: Any, memory: mmap.mmap) -> None:
        self._inner = inner
        self._memory = memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _count(self, at: int) -> None:
        struct.pack_into("q", self._memory, at, struct.unpack_from("q", self._memory, at)[0] + 1)

    async def bulk_write(self, operations: list[Any], **kwargs: Any) -> Any:
        self._count(BEGUN)
        try:
            keys = [getattr(operation, "_filter", operation._doc)["_key"] for operation in operations]
            # The test deletes one of the keys meanwhile: one that has more than one record.
            if struct.unpack_from("q", self._memory, STOP)[0] and any(key[:1] == "k" for key in keys):
                struct.pack_into("q", self._memory, STOP, 0)
                TRACE.with_suffix(".keys").write_text(json.dumps(keys))
                # Handed to the driver without its deadline, so that it does arrive, however late.
                late = asyncio.get_running_loop().create_task(
                    self._inner.bulk_write(operations, **kwargs), context=contextvars.Context()
                )
                os.kill(os.getpid(), signal.SIGSTOP)
                return await asyncio.shield(late)
            return await self._inner.bulk_write(operations, **kwargs)
        finally:
            self._count(ENDED)


class TracedDatabase:
    def __init__(self, inner: Any) -> None:
        self._inner = inner
        TRACE.write_bytes(bytes(24))
        self._memory = mmap.mmap(os.open(TRACE, os.O_RDWR), 24)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get_collection(self, name: str, **kwargs: Any) -> Any:
        collection = self._inner.get_collection(name, **kwargs)
        return collection if name.startswith("_") else TracedCollection(collection, self._memory)


# The server keeps its answers to retryable writes, and sorts them at every write when they are ten thousand: workers
# would not keep up with a long run any more. And what is sent twice is to be done twice.
client = AsyncMongoClient(
    os.environ["MONGO_URL"], directConnection=True, serverSelectionTimeoutMS=2_000, retryWrites=False
)
app = make_app("faults", os.environ["KAFKA_URL"], TRACE.with_suffix(".data"))
prom = install(
    app, database=TracedDatabase(client.get_database("faults")), write_deadline=5.0, sweep_interval=5.0
)
things = prom.topic("things", partitions=8, compacted=True)
prom.materialize(
    things,
    collection="things",
    key="id",
    indexes=[Index({"group": 1})],
    window=int(os.environ.get("WINDOW", "10000")),
    size=int(os.environ.get("SIZE", "500")),
)


def fix(letter: DeadLetter) -> PlainRecord:
    """Mend any of the poison: a good value of the record's own key, and no header.

    A key that is no text becomes one that belongs into the record's partition, or its place would say nothing.
    """
    text = (letter.record.key or b"").decode(errors="replace")
    names = itertools.chain([text], (f"{text}{number}" for number in itertools.count()))
    mended = text.encode() != letter.record.key
    key = next(name for name in names if not mended or partition_of(name, 8) == letter.record.partition)
    value = json.dumps({"id": key, "mended": letter.record.offset}).encode()
    return replace(cast(PlainRecord, letter.record), key=key.encode(), value=value, headers=())


@app.agent(prom.topic("other", partitions=8))
async def other(stream: Any) -> None:
    async for _ in stream:
        pass
