"""A Faust table as a collection."""

import asyncio

from tests.support.projection import eventually, live
from tests.support.worker import FaustWorker


async def test_a_collection_follows_a_table_and_its_deletes(kafka, mongo, topics, database, unique, tmp_path):
    env = {
        "KAFKA_URL": kafka.url,
        "MONGO_URL": f"{mongo.url}/{unique}?directConnection=true",
        "GROUP": unique,
        "DATADIR": str(tmp_path / "data"),
    }

    async def settled():
        totals = await live(database.totals)
        return sum(document["value"] for document in totals.values()) == 7

    with FaustWorker("tests.integration.tables.materialized_app", tmp_path / "log", env) as worker:
        await asyncio.to_thread(worker.until, "Worker ready")
        for key, value in [("a", 1), ("b", 2), ("c", 3), ("a", 4)]:
            await topics.send(f"{unique}.orders", key, {"total": value})
        for key in ("b", "d"):
            await topics.send(f"{unique}.orders", key, {"total": 0})
        await topics.send(f"{unique}.orders", "b", {"closed": True})
        await eventually(settled, seconds=30)

        async def followed():
            found = await live(database.last)
            return {key: document["total"] for key, document in found.items()} == {"a": 4, "c": 3, "d": 0}

        await eventually(followed, seconds=30)
        totals = await live(database.totals)
        assert {key: document["value"] for key, document in totals.items()} == {
            "a": 2,
            "b": 3,
            "c": 1,
            "d": 1,
        }
        assert (await live(database.last))["a"]["_src"]["t"] == f"{unique}-last-changelog"
        worker.stop()
