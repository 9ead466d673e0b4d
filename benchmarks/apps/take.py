"""A Faust agent that gathers 500 events and writes them in bulk. It loses a batch whose write fails."""

from typing import Any

import faust
from pymongo import AsyncMongoClient, ReplaceOne

from benchmarks.apps.stopwatch import measured_app
from benchmarks.workload import COLLECTION, topic_of

app, stopwatch, run = measured_app()
SIZE = 500


@app.agent(app.topic(topic_of(run.workload)))
async def store(stream: faust.StreamT[dict[str, Any]]) -> None:
    """Write batch after batch."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(run.mongo)
    collection = client[run.database][COLLECTION]
    async for batch in stream.take(SIZE, within=1.0):
        await collection.bulk_write(
            [
                ReplaceOne({"_key": event["id"]}, {"_key": event["id"], **event}, upsert=True)
                for event in batch
            ],
            ordered=False,
        )
        stopwatch.done += len(batch)
