"""How far each projection has applied its topic, and what it knows of lost history: one document per partition."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from prom_faust.exceptions import UnreachableError
from prom_faust.lane.freshness import Synced
from prom_faust.lane.history import Position
from prom_faust.sink.mongo.server import Server

__all__ = ["POSITIONS", "REBUILDS", "Positions"]

POSITIONS = "_prom_positions"
"""The collection of applied positions, in the same database."""
REBUILDS = "_prom_rebuilds"
"""The collection of rebuilds under way, in the same database."""


class Positions:
    """The positions of one projection.

    Args:
        server: where they are stored.
        name: the projection's name.
    """

    def __init__(self, server: Server, name: str) -> None:
        self.name = name
        self._server = server
        self._stored = server.collection(POSITIONS)
        self._rebuilds = server.collection(REBUILDS)

    async def load_positions(self, topic: str) -> dict[int, Position]:
        """The stored position of every partition of the topic."""
        query = {"collection": self.name, "topic": topic}
        try:
            documents = await self._server.call(lambda: self._stored.find(query).to_list(None))
        except PyMongoError as error:
            raise UnreachableError(f"positions cannot be read: {error}") from error
        return {
            document["partition"]: Position(
                applied=document["applied"],
                end=document["end"],
                last_offset=document.get("last_offset"),
                last_timestamp=document.get("last_timestamp"),
                partitions=document["partitions"],
                synced=Synced(**document["synced"]) if "synced" in document else None,
                lost_since=document.get("lost_since"),
            )
            for document in documents
        }

    async def load_redo(self, topic: str) -> dict[int, int]:
        """Partition to the offset from which records are to be applied again: a swap is not finished."""
        rebuild = await self._load_rebuild(topic)
        return {int(partition): offset for partition, offset in rebuild.get("redo", {}).items()}

    async def count_swaps(self, topic: str) -> int | None:
        """How many rebuilds have swapped the collection; None while one is about to, or was cut off in it."""
        rebuild = await self._load_rebuild(topic)
        return None if rebuild.get("redo") else int(rebuild.get("swaps", 0))

    async def _load_rebuild(self, topic: str) -> Mapping[str, Any]:
        """What the last rebuild has left, or leaves; empty where there was none."""
        query = {"_id": self.name, "topic": topic}
        try:
            found = await self._server.call(self._rebuilds.find_one, query, {"redo": 1, "swaps": 1})
        except PyMongoError as error:
            raise UnreachableError(f"rebuilds cannot be read: {error}") from error
        return found or {}

    async def store_positions(self, topic: str, positions: Mapping[int, Position], *, now: int) -> None:
        """Store applied positions; never backwards, or a zombie would undo its successor's.

        Args:
            topic: the topic.
            positions: partition number to position.
            now: milliseconds since the epoch.
        """
        operations = []
        for partition, position in positions.items():
            name = {"collection": self.name, "topic": topic, "partition": partition}
            state = {
                "applied": position.applied,
                "end": position.end,
                "last_offset": position.last_offset,
                "last_timestamp": position.last_timestamp,
                "partitions": position.partitions,
                "time": now,
            }
            # Where no delete can have been missed is told by looks at the log, not by what is applied.
            first = {} if position.synced is None else {"$setOnInsert": {"synced": asdict(position.synced)}}
            operations.append(
                UpdateOne(
                    {
                        "_id": self._position_id(topic, partition),
                        "applied": {"$not": {"$gt": position.applied}},
                    },
                    {"$set": {**name, **state}, **first},
                    upsert=True,
                )
            )
        try:
            await self._server.call(self._stored.bulk_write, operations, ordered=False)
        except BulkWriteError as error:
            codes = {failure.get("code") for failure in error.details.get("writeErrors", ())}
            if codes - {11000} or error.details.get("writeConcernErrors"):
                raise UnreachableError(f"positions were not stored: {error}") from error

    def _position_id(self, topic: str, partition: int) -> str:
        return f"{self.name}|{topic}|{partition}"

    async def keep_synced(self, topic: str, synced: Mapping[int, Synced]) -> None:
        """Store up to where no delete can have been missed; never backwards."""
        await self._update_positions(
            UpdateOne(
                {"_id": self._position_id(topic, partition)},
                {"$max": {f"synced.{name}": value for name, value in asdict(state).items()}},
            )
            for partition, state in synced.items()
        )

    async def mark_lost(self, topic: str, lost: Mapping[int, Synced]) -> None:
        """These partitions may hold deleted keys since the given times; from there on they count anew."""
        await self._update_positions(
            UpdateOne(
                {"_id": self._position_id(topic, partition)},
                {"$set": {"lost_since": state.at, "synced": asdict(state)}},
            )
            for partition, state in lost.items()
        )

    async def mark_found(self, topic: str, since: Mapping[int, int]) -> None:
        """They hold none any more; one that lost deletes again, later than the given time, is left as it is."""
        await self._update_positions(
            UpdateOne(
                {"_id": self._position_id(topic, partition), "lost_since": at},
                {"$unset": {"lost_since": ""}},
            )
            for partition, at in since.items()
        )

    async def _update_positions(self, updates: Iterable[UpdateOne]) -> None:
        try:
            await self._server.call(self._stored.bulk_write, list(updates), ordered=False)
        except PyMongoError as error:
            raise UnreachableError(f"positions were not stored: {error}") from error

    async def remove(self) -> int:
        """Forget them all; returns how many there were.

        Raises:
            PyMongoError: MongoDB refuses.
            UnreachableError: MongoDB does not answer.
        """
        result = await self._server.call(self._stored.delete_many, {"collection": self.name})
        return int(result.deleted_count)
