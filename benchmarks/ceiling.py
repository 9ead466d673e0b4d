"""The ceiling, a program: the sink's bulk writes without the sink.

The same guarded operations, of the same size, as many in flight at once, acknowledged by the majority, on the
same indexes; but prepared before the clock starts, documents encoded, and without Kafka. It writes every
record. With ``--insert`` it inserts them, as the sink does where nothing stands.
"""

import asyncio
import gc
import sys
from collections.abc import Sequence
from itertools import islice
from typing import Any

from pymongo import AsyncMongoClient, InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError
from pymongo.write_concern import WriteConcern

from benchmarks.measurement import Measurement, Meter
from benchmarks.settings import RunSettings
from benchmarks.workload import COLLECTION, FIRST_MILLISECOND, Workload, records, topic_of
from prom_faust.sink.decode import Decoder, decoder
from prom_faust.sink.document import document_of, marker_of
from prom_faust.sink.event import Change
from prom_faust.sink.faust import CONCURRENCY
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.plan import guard
from prom_faust.sink.service import WRITERS

IN_FLIGHT = CONCURRENCY * WRITERS
STALE = 11000

Operation = InsertOne[Any] | ReplaceOne[Any]
Operations = Sequence[Operation]


def prepare(workload: Workload, count: int, decode: Decoder, *, insert: bool) -> list[list[Operation]]:
    """The operations of each writer; a key belongs to one of them, so that none is overtaken."""
    writers: list[list[Operation]] = [[] for _ in range(IN_FLIGHT)]
    for record in records(workload, count):
        writers[record.partition % IN_FLIGHT].append(_operation(decode(record), insert=insert))
    return writers


def _operation(change: Change, *, insert: bool) -> Operation:
    if insert:
        return InsertOne(document_of(change))
    older = guard(change, None, versioned=False)
    if change.deletes:
        marker = marker_of(change, deleted_at=FIRST_MILLISECOND, version=None, inherits=False)
        return ReplaceOne(older, marker, upsert=True)
    return ReplaceOne(older, document_of(change), upsert=True)


async def write(collection: Any, operations: Operations, size: int) -> None:
    """Write one writer's operations, bulk after bulk."""
    rest = iter(operations)
    while chunk := list(islice(rest, size)):
        try:
            await collection.bulk_write(chunk, ordered=False)
        except BulkWriteError as error:
            if {failure["code"] for failure in error.details["writeErrors"]} != {STALE}:
                raise


async def measure(run: RunSettings, *, insert: bool) -> Measurement:
    """Prepare, then write against the clock."""
    options = ChangelogOptions(topic=topic_of(run.workload), collection=COLLECTION, key_of="id")
    writers = prepare(run.workload, run.records, decoder(options), insert=insert)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(run.mongo)
    collection = client[run.database].get_collection(COLLECTION, write_concern=WriteConcern("majority"))
    await client.admin.command("ping")
    # What was prepared is no garbage: looking through it would be a cost that no stream of records has.
    gc.collect()
    gc.freeze()
    meter = Meter(run.mongo_pid)
    meter.start()
    await asyncio.gather(*[write(collection, operations, options.size) for operations in writers])
    measurement = meter.stop(run.records)
    await client.close()
    return measurement


if __name__ == "__main__":
    settings = RunSettings()
    settings.report.write_text(
        asyncio.run(measure(settings, insert="--insert" in sys.argv)).model_dump_json()
    )
