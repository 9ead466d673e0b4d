"""A Faust agent that upserts every event with motor: what people write first."""

from typing import Any

import faust
from motor.motor_asyncio import AsyncIOMotorClient

from benchmarks.apps.stopwatch import measured_app
from benchmarks.workload import COLLECTION, topic_of

app, stopwatch, run = measured_app()


@app.agent(app.topic(topic_of(run.workload)))
async def store(stream: faust.StreamT[dict[str, Any]]) -> None:
    """Write event after event."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(run.mongo)
    collection = client[run.database][COLLECTION]
    async for event in stream:
        await collection.update_one({"_key": event["id"]}, {"$set": event}, upsert=True)
        stopwatch.done += 1
