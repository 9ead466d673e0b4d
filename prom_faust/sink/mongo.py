"""The collection, as the sink sees it: guarded bulk writes, reads of what stands, indexes, positions, markers.

Works with a database object of pymongo's async API and of motor: only calls that both have, awaited.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pymongo
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
    WTimeoutError,
)
from pymongo.write_concern import WriteConcern

from prom_faust.exceptions import AccessError, IndexConflictError, UnreachableError
from prom_faust.lane.freshness import Synced
from prom_faust.lane.history import Position
from prom_faust.sink.document import document_of, has_operator_names, inserted_id, marker_of, system_fields
from prom_faust.sink.event import Change
from prom_faust.sink.key import Key, found_key, key_value
from prom_faust.sink.mend import Mended
from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.order import Stored
from prom_faust.sink.outcome import BAD_DATA, INFRASTRUCTURE, Failure, Verdict, classify
from prom_faust.sink.plan import Write

__all__ = ["KEY_INDEX", "MARKER_INDEX", "POSITIONS", "REBUILDS", "Collection"]

logger = logging.getLogger(__name__)

POSITIONS = "_prom_positions"
"""The collection of applied positions, in the same database."""
REBUILDS = "_prom_rebuilds"
"""The collection of rebuilds under way, in the same database."""
AUTHENTICATION_FAILED = 18
KEY_INDEX = Index({"_key": 1}, unique=True)
HISTORY_INDEX = Index({"_key": 1})
"""Of an append-only projection: a key has many documents."""
MARKER_INDEX = Index({"_deleted_at": 1})
OUTAGE = (ConnectionFailure, ExecutionTimeout, NetworkTimeout, WaitQueueTimeoutError, WTimeoutError)
STANDING = {"_id": 0, "_key": 1, "_src": 1, "_v": 1}
STORED = {"_id": 0, "_key": 1, "_src.n": 1, "_v": 1, "_deleted": 1, "_inherits": 1}


class Collection:
    """One projection's collection and its positions.

    Args:
        database: a database of pymongo's async API or of motor.
        options: the projection's options.
        deadline: seconds that one call may take.
    """

    def __init__(self, database: Any, options: ChangelogOptions, *, deadline: float) -> None:
        self.options = options
        self.deadline = deadline
        concern = WriteConcern("majority")
        self.documents = database.get_collection(options.collection, write_concern=concern)
        self.positions = database.get_collection(POSITIONS, write_concern=concern)
        self.rebuilds = database.get_collection(REBUILDS, write_concern=concern)

    # -- writing ---------------------------------------------------------------------------------------------

    async def write(
        self, writes: Sequence[Write], *, now: int, check: Callable[[], None] = lambda: None
    ) -> list[tuple[Write, Failure]]:
        """One unordered bulk write, acknowledged by the majority.

        Args:
            writes: at most ``options.size``, each of another key.
            now: milliseconds since the epoch, for markers.
            check: raises where the writes are not ours any more; called before every call but the first.

        Returns:
            The writes that failed, with the reason; all others are done.

        Raises:
            UnreachableError: the server, or too few of them, did not answer: nothing is known of any write.
        """
        operations = [self._operation(write, now) for write in writes]
        try:
            await self._call(self.documents.bulk_write, operations, ordered=False)
        except BulkWriteError as error:
            return self._failures(writes, error.details)
        except OperationFailure as error:
            # The command as a whole was refused; alone, the one that is to blame shows.
            if len(writes) == 1:
                verdict = Verdict.BAD_DATA if error.code in BAD_DATA else Verdict.UNKNOWN
                return [(writes[0], Failure(0, error.code or 0, str(error), verdict))]
            failures: list[tuple[Write, Failure]] = []
            for write in writes:
                check()
                failures += await self.write([write], now=now)
            return failures
        return []

    def _operation(self, write: Write, now: int) -> InsertOne[Any] | ReplaceOne[Any] | UpdateOne:
        change = write.change
        if self.options.appends:
            return InsertOne(document_of(change))
        if change.deletes:
            marker = marker_of(change, deleted_at=now, version=write.version, inherits=change.version is None)
            return ReplaceOne(write.filter, marker, upsert=True)
        if change.fields is None:
            document = document_of(change)
            if has_operator_names(document):
                # A replacement may not have such names where a document stands, what a pipeline makes may.
                return UpdateOne(write.filter, [{"$replaceWith": {"$literal": document}}], upsert=True)
            return ReplaceOne(write.filter, document, upsert=True)
        absent = [name for name in self.options.field_names or () if name not in change.fields]
        return UpdateOne(
            write.filter,
            {
                "$set": {**change.fields, **system_fields(change.record, change.n, write.version)},
                "$unset": dict.fromkeys([*absent, "_deleted", "_deleted_at", "_inherits"], ""),
            },
            upsert=True,
        )

    @staticmethod
    def _failures(writes: Sequence[Write], details: Mapping[str, Any]) -> list[tuple[Write, Failure]]:
        failures = [classify(error) for error in details.get("writeErrors", ())]
        if details.get("writeConcernErrors"):
            # Written, and perhaps not by the majority: writing again is what makes sure.
            known = {failure.index for failure in failures}
            message = str(details["writeConcernErrors"][0].get("errmsg", "write concern"))
            failures += [
                Failure(index, 64, message, Verdict.RETRY)
                for index in range(len(writes))
                if index not in known
            ]
        return [(writes[failure.index], failure) for failure in failures]

    async def read(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        """What stands for each key, as far as the order needs it; keys without a document are left out."""
        wanted = list(keys)
        found: dict[Key, Stored] = {}
        for start in range(0, len(wanted), self.options.size):
            chunk = [key_value(key) for key in wanted[start : start + self.options.size]]
            documents = await self._call(self._find, {"_key": {"$in": chunk}})
            for document in documents:
                key = found_key(document["_key"])
                if key is None:
                    continue
                found[key] = Stored(
                    n=document.get("_src", {}).get("n"),
                    version=document.get("_v"),
                    deleted=document.get("_deleted") is True,
                    inherits=document.get("_inherits") is True,
                )
        return found

    async def standing_of(self, changes: Sequence[Change]) -> set[int]:
        """The packed positions of those changes, at most ``options.size``, whose documents or markers stand."""
        if not self.options.appends:
            return {
                stored.n
                for stored in (await self.read([change.key for change in changes])).values()
                if stored.n is not None
            }
        query = {"_id": {"$in": [inserted_id(self.options.topic, change.n) for change in changes]}}
        return {document["_src"]["n"] for document in await self._call(self._find, query)}

    async def _find(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.documents.find(query, STORED).to_list(None)
        return found

    async def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the driver under the deadline; what is only an outage becomes UnreachableError."""
        try:
            async with asyncio.timeout(self.deadline):
                with pymongo.timeout(self.deadline):
                    return await function(*args, **kwargs)
        except BulkWriteError as error:
            if error.timeout:
                # Its own text holds the operations, and so the documents.
                raise UnreachableError(
                    f"MongoDB at {self._servers} did not answer within {self.deadline:g} s"
                ) from error
            raise
        except OUTAGE as error:
            raise UnreachableError(f"MongoDB does not answer: {error}") from error
        except OperationFailure as error:
            if error.code in INFRASTRUCTURE or error.has_error_label("RetryableWriteError"):
                raise UnreachableError(f"MongoDB cannot do it now: {error}") from error
            raise
        except TimeoutError as error:
            raise UnreachableError(
                f"MongoDB at {self._servers} did not answer within {self.deadline:g} s"
            ) from error

    @property
    def _servers(self) -> str:
        """Host and port of the servers; nothing of the URL that could be secret."""
        servers = self.documents.database.client.topology_description.server_descriptions()
        return ", ".join(f"{host}:{port}" for host, port in servers) or "its address"

    # -- positions -------------------------------------------------------------------------------------------

    async def load_positions(self, topic: str) -> dict[int, Position]:
        """The stored position of every partition of the topic."""
        query = {"collection": self.options.collection, "topic": topic}
        try:
            documents = await self._call(lambda: self.positions.find(query).to_list(None))
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
        query = {"_id": self.options.collection, "topic": topic}
        try:
            found = await self._call(self.rebuilds.find_one, query, {"redo": 1})
        except PyMongoError as error:
            raise UnreachableError(f"rebuilds cannot be read: {error}") from error
        return {int(partition): offset for partition, offset in (found or {}).get("redo", {}).items()}

    async def store_positions(self, topic: str, positions: Mapping[int, Position], *, now: int) -> None:
        """Store applied positions; never backwards, or a zombie would undo its successor's.

        Args:
            topic: the topic.
            positions: partition number to position.
            now: milliseconds since the epoch.
        """
        operations = []
        for partition, position in positions.items():
            name = {"collection": self.options.collection, "topic": topic, "partition": partition}
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
            await self._call(self.positions.bulk_write, operations, ordered=False)
        except BulkWriteError as error:
            codes = {failure.get("code") for failure in error.details.get("writeErrors", ())}
            if codes - {11000} or error.details.get("writeConcernErrors"):
                raise UnreachableError(f"positions were not stored: {error}") from error

    def _position_id(self, topic: str, partition: int) -> str:
        return f"{self.options.collection}|{topic}|{partition}"

    # -- lost history ----------------------------------------------------------------------------------------

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
            await self._call(self.positions.bulk_write, list(updates), ordered=False)
        except PyMongoError as error:
            raise UnreachableError(f"positions were not stored: {error}") from error

    async def standing(self, topic: str, partitions: Iterable[int]) -> AsyncIterator[list[dict[str, Any]]]:
        """The documents that came from some partitions, markers left out, in batches: key, source and version.

        Raises:
            UnreachableError: MongoDB does not answer.
        """
        query = {"_src.t": topic, "_src.p": {"$in": list(partitions)}, "_deleted": {"$exists": False}}
        batch: list[dict[str, Any]] = []
        try:
            async for document in self.documents.find(query, STANDING, batch_size=self.options.size):
                batch.append(document)
                if len(batch) == self.options.size:
                    yield batch
                    batch = []
        except PyMongoError as error:
            raise UnreachableError(f"collection {self.options.collection} cannot be read: {error}") from error
        if batch:
            yield batch

    async def replace_exactly(self, mended: Sequence[Mended]) -> int:
        """Put markers in the place of documents, each only if it is still the one that was read.

        Returns:
            How many of them were.

        Raises:
            UnreachableError: MongoDB does not answer, or refuses.
        """
        operations = [
            DeleteOne(exact) if marker is None else ReplaceOne(exact, marker) for exact, marker in mended
        ]
        try:
            result = await self._call(self.documents.bulk_write, operations, ordered=False)
        except PyMongoError as error:
            raise UnreachableError(f"documents were not removed: {error}") from error
        return int(result.matched_count + result.deleted_count)

    # -- markers ---------------------------------------------------------------------------------------------

    async def oldest_marker(self, topic: str, partition: int) -> int | None:
        """When the oldest marker of a partition was made, in ms since the epoch; None without markers."""
        query = {"_deleted_at": {"$exists": True}, "_src.t": topic, "_src.p": partition}
        documents = await self._call(
            lambda: (
                self.documents.find(query, {"_deleted_at": 1}).sort("_deleted_at", 1).limit(1).to_list(None)
            )
        )
        return documents[0]["_deleted_at"] if documents else None

    async def remove_markers(self, topic: str, partition: int, *, before: int) -> int:
        """Remove the markers of a partition that were made before a time; returns how many.

        Args:
            topic: the topic.
            partition: the partition's number.
            before: milliseconds since the epoch.
        """
        query = {
            "_deleted_at": {"$lt": before},
            "_deleted": True,
            "_src.t": topic,
            "_src.p": partition,
        }
        result = await self._call(self.documents.delete_many, query)
        return int(result.deleted_count)

    # -- indexes ---------------------------------------------------------------------------------------------

    async def ensure_indexes(self) -> None:
        """Create the indexes that are missing, and compare those that exist.

        Raises:
            IndexConflictError: one exists with the same name or the same key, and differs.
            AccessError: MongoDB does not let us in.
            UnreachableError: MongoDB does not answer.
        """
        await self._check_access()
        own = [HISTORY_INDEX] if self.options.appends else [KEY_INDEX, MARKER_INDEX]
        wanted = [*own, *map(Index.of, self.options.indexes)]
        existing = await self._call(self.documents.index_information)
        for index in wanted:
            sparse = index is MARKER_INDEX or (index.unique and index is not KEY_INDEX)
            if not self._exists(index, existing, sparse=sparse):
                await self._create(index, sparse=sparse)

    async def _check_access(self) -> None:
        """At the start a password that is refused is a wrong one; later it is being changed."""
        try:
            await self._call(self.documents.database.command, "ping")
        except UnreachableError as error:
            cause = error.__cause__
            if isinstance(cause, OperationFailure) and cause.code == AUTHENTICATION_FAILED:
                raise AccessError(
                    f"MongoDB at {self._servers} does not let this worker in: {cause.args[0]}. Are user, password "
                    "and authSource in mongo_url right?"
                ) from error
            raise

    def _exists(self, index: Index, existing: Mapping[str, Any], *, sparse: bool) -> bool:
        keys = [(field, kind) for field, kind in index.fields.items()]
        for name, info in existing.items():
            found = [(field, _direction(kind)) for field, kind in info["key"]]
            if found != keys and name != index.index_name:
                continue
            differences = [
                text
                for text, differs in (
                    (f"its name is {name}", name != index.index_name),
                    (f"its key is {dict(found)}", found != keys),
                    (f"unique is {bool(info.get('unique'))}", bool(info.get("unique")) != index.unique),
                    (f"sparse is {bool(info.get('sparse'))}", bool(info.get("sparse")) != sparse),
                    ("it is partial", "partialFilterExpression" in info),
                    ("it expires documents", "expireAfterSeconds" in info),
                )
                if differs
            ]
            if differences:
                raise IndexConflictError(
                    f"collection {self.options.collection}: index {name} differs from "
                    f"{index.index_name} {dict(index.fields)} (unique {index.unique}, sparse {sparse}): "
                    f'{", ".join(differences)}. Drop it with db.{self.options.collection}.dropIndex("{name}"), '
                    "or change indexes="
                )
            return True
        return False

    async def _create(self, index: Index, *, sparse: bool) -> None:
        options: dict[str, Any] = {"name": index.index_name}
        if index.unique:
            options["unique"] = True
        if sparse:
            options["sparse"] = True
        try:
            await self._call(self.documents.create_index, list(index.fields.items()), **options)
        except UnreachableError:
            raise
        except PyMongoError as error:
            raise IndexConflictError(
                f"collection {self.options.collection}: index {index.index_name} cannot be created: {error}"
            ) from error


def _direction(kind: Any) -> int | str:
    return kind if isinstance(kind, str) else int(kind)
