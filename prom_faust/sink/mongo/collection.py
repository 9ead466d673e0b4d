"""The documents of a projection, as the sink sees them: guarded bulk writes, reads of what stands, delete markers."""

from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from prom_faust.exceptions import UnreachableError
from prom_faust.sink.document import document_of, has_operator_names, inserted_id, marker_of, system_fields
from prom_faust.sink.event import Change
from prom_faust.sink.key import Key, found_key, key_value
from prom_faust.sink.mend import Mended
from prom_faust.sink.mongo.indexes import ensure_indexes
from prom_faust.sink.mongo.positions import Positions
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.mongo.targets import Targets
from prom_faust.sink.novelty import Novelty
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.order import Stored
from prom_faust.sink.outcome import BAD_DATA, Failure, Verdict, classify
from prom_faust.sink.plan import Write

__all__ = ["Collection"]

STANDING = {"_id": 0, "_key": 1, "_src": 1, "_v": 1}
STORED = {"_id": 0, "_key": 1, "_src": 1, "_v": 1, "_deleted": 1, "_inherits": 1}


class Collection:
    """One projection's collection, or with ``collection_of`` its collections, and its positions.

    Args:
        server: where they are.
        options: the projection's options.
        novelty: what decides whether new documents are inserted; one of its own by default.
    """

    def __init__(self, server: Server, options: ChangelogOptions, novelty: Novelty | None = None) -> None:
        self.server = server
        self.options = options
        self.documents = server.collection(options.collection)
        self.positions = Positions(server, options.collection)
        self.targets = Targets(server, options)
        self._novelty = novelty or Novelty()

    async def prepare(self) -> None:
        """Make the indexes, those of new collections excepted: they wait for ``collection_of`` to name them.

        Raises:
            IndexConflictError: one exists with the same name or the same key, and differs.
            AccessError: MongoDB does not let us in.
            UnreachableError: MongoDB does not answer.
        """
        await self.server.check_access()
        if self.options.collection_of is None:
            await ensure_indexes(self.server, self.documents, self.options)
        else:
            for name in await self.targets.listed():
                await self.targets.open(name)

    async def all(self) -> list[Any]:
        """Every collection that may hold documents of the projection, as the driver's objects.

        Its own and those on the list, whether it has a ``collection_of`` now or had one: what that leaves behind when
        it comes, goes or changes is to be found.

        Raises:
            UnreachableError: MongoDB does not answer.
        """
        others = [name for name in await self.targets.listed() if name != self.options.collection]
        return [self.documents, *map(self.server.collection, others)]

    async def drop(self) -> int:
        """Remove all of them; returns how many documents they held, markers included.

        Raises:
            PyMongoError: MongoDB refuses.
            UnreachableError: MongoDB does not answer.
        """
        count = 0
        for documents in await self.all():
            count += int(await documents.count_documents({}))
            await documents.drop()
        await self.targets.forget()
        return count

    # -- writing ---------------------------------------------------------------------------------------------

    def chunks(self, writes: Sequence[Write]) -> list[Sequence[Write]]:
        """The writes in bulks of at most ``options.size``, each into one collection."""
        parts: Iterable[Sequence[Write]] = [writes]
        if self.options.collection_of is not None:
            parts = self.targets.split(writes, _key_of_write).values()
        size = self.options.size
        return [part[start : start + size] for part in parts for start in range(0, len(part), size)]

    async def write(
        self,
        writes: Sequence[Write],
        *,
        now: int,
        check: Callable[[], None] = lambda: None,
        may_insert: bool = False,
    ) -> list[tuple[Write, Failure]]:
        """One unordered bulk write for each collection that they go into, acknowledged by the majority.

        Args:
            writes: at most ``options.size``, each of another key.
            now: milliseconds since the epoch, for markers.
            check: raises where the writes are not ours any more; called before every call but the first.
            may_insert: whether documents may be sent as inserts, if most were new of late. An insert that is refused
                says no more than that its key may be taken: it is to be written again, without this.

        Returns:
            The writes that failed, with the reason; all others are done.

        Raises:
            IndexConflictError: an index of a collection that gets its first document differs from the projection's.
            UnreachableError: the server, or too few of them, did not answer: nothing is known of any write.
        """
        if self.options.collection_of is None:
            return await self._write(self.documents, writes, now, check, may_insert=may_insert)
        failures: list[tuple[Write, Failure]] = []
        for name, part in self.targets.split(writes, _key_of_write).items():
            documents = await self.targets.open(name)
            check()
            failures += await self._write(documents, part, now, check, may_insert=may_insert)
        return failures

    async def _write(
        self,
        documents: Any,
        writes: Sequence[Write],
        now: int,
        check: Callable[[], None],
        *,
        may_insert: bool = False,
    ) -> list[tuple[Write, Failure]]:
        may_insert = may_insert and not self.options.appends
        insert = may_insert and self._novelty.likely
        operations = [self._operation(write, now, insert=insert) for write in writes]
        try:
            result = await self.server.call(documents.bulk_write, operations, ordered=False)
        except BulkWriteError as error:
            failures = self._failures(writes, operations, error.details)
            if may_insert:
                upserted = {each["index"] for each in error.details.get("upserted", ())}
                self._learn(writes, operations, upserted, {failure.index for _, failure in failures})
            return failures
        except OperationFailure as error:
            # The command as a whole was refused; alone, the one that is to blame shows.
            if len(writes) == 1:
                verdict = Verdict.BAD_DATA if error.code in BAD_DATA else Verdict.UNKNOWN
                return [(writes[0], Failure(0, error.code or 0, str(error), verdict))]
            failures = []
            for write in writes:
                check()
                failures += await self._write(documents, [write], now, check)
            return failures
        if may_insert:
            self._learn(writes, operations, result.upserted_ids or {}, ())
        return []

    def _learn(
        self,
        writes: Sequence[Write],
        operations: Sequence[object],
        upserted: Container[int],
        refused: Container[int],
    ) -> None:
        """Remember for how many of these documents nothing stood."""
        live = [index for index, write in enumerate(writes) if not write.change.deletes and not write.exact]
        new = [
            index
            for index in live
            if index in upserted or (isinstance(operations[index], InsertOne) and index not in refused)
        ]
        self._novelty.saw(len(live), len(new))

    def _operation(
        self, write: Write, now: int, *, insert: bool
    ) -> InsertOne[Any] | ReplaceOne[Any] | UpdateOne:
        change = write.change
        if self.options.appends:
            return InsertOne(document_of(change))
        if change.deletes:
            marker = marker_of(change, deleted_at=now, version=write.version, inherits=change.version is None)
            return ReplaceOne(write.filter, marker, upsert=True)
        document = document_of(change)
        if insert and not write.exact and not has_operator_names(document):
            return InsertOne(document)
        if change.fields is None:
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

    def _failures(
        self, writes: Sequence[Write], operations: Sequence[object], details: Mapping[str, Any]
    ) -> list[tuple[Write, Failure]]:
        failures = [classify(error) for error in details.get("writeErrors", ())]
        if not self.options.appends:
            # Which of two unique indexes refuses an insert says nothing: the key may be taken, too.
            failures = [
                replace(failure, verdict=Verdict.KEY_TAKEN)
                if failure.verdict is Verdict.UNIQUE and isinstance(operations[failure.index], InsertOne)
                else failure
                for failure in failures
            ]
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

    # -- reading ---------------------------------------------------------------------------------------------

    async def read(self, documents: Any, keys: Sequence[Key]) -> dict[Key, Stored]:
        """What stands for each key, as far as the order needs it; keys without a document are left out.

        Args:
            documents: the collection that they are in, see ``homes``.
            keys: at most ``options.size``.
        """
        found: dict[Key, Stored] = {}
        for document in await self._find(documents, {"_key": {"$in": list(map(key_value, keys))}}):
            key = found_key(document["_key"])
            if key is not None:
                found[key] = self._stored(document)
        return found

    def _stored(self, document: Mapping[str, Any]) -> Stored:
        source, version = document.get("_src"), document.get("_v")
        n = source.get("n") if isinstance(source, Mapping) else None
        if not _is_int(n) or not (version is None or _is_int(version) or not self.options.versioned):
            return Stored(n=None, foreign=source)  # another writer's, whatever it means by it
        return Stored(
            n=n,
            version=version,
            deleted=document.get("_deleted") is True,
            inherits=document.get("_inherits") is True,
        )

    def homes(self, keys: Iterable[Key]) -> list[tuple[Any, list[Key]]]:
        """The keys by the collection that their documents are in, as the driver's object."""
        if self.options.collection_of is None:
            return [(self.documents, list(keys))]
        parts = self.targets.split(keys, lambda key: key)
        return [(self.server.collection(name), part) for name, part in parts.items()]

    async def standing_of(self, changes: Sequence[Change]) -> set[int]:
        """The packed positions of those changes, at most ``options.size``, whose documents or markers stand."""
        if not self.options.appends:
            return {
                stored.n
                for documents, keys in self.homes(change.key for change in changes)
                for stored in (await self.read(documents, keys)).values()
                if stored.n is not None
            }
        query = {"_id": {"$in": [inserted_id(self.options.topic, change.n) for change in changes]}}
        return {
            document["_src"]["n"]
            for documents in await self.all()
            for document in await self._find(documents, query)
        }

    async def _find(self, documents: Any, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.server.call(
            lambda: documents.find(query, STORED).to_list(None)
        )
        return found

    async def standing(self, topic: str, partitions: Iterable[int]) -> AsyncIterator[list[dict[str, Any]]]:
        """The documents that came from some partitions, markers left out, in batches: key, source and version.

        Raises:
            UnreachableError: MongoDB does not answer.
        """
        query = {"_src.t": topic, "_src.p": {"$in": list(partitions)}, "_deleted": {"$exists": False}}
        batch: list[dict[str, Any]] = []
        try:
            for documents in await self.all():
                async for document in documents.find(query, STANDING, batch_size=self.options.size):
                    batch.append(document)
                    if len(batch) == self.options.size:
                        yield batch
                        batch = []
        except PyMongoError as error:
            raise UnreachableError(f"collection {self.options.collection} cannot be read: {error}") from error
        if batch:
            yield batch

    # -- what has to go --------------------------------------------------------------------------------------

    async def replace_exactly(self, mended: Sequence[Mended]) -> int:
        """Put markers in the place of documents, each only if it is still the one that was read.

        Returns:
            How many of them were.

        Raises:
            UnreachableError: MongoDB does not answer, or refuses.
        """
        count = 0
        for documents, part in self._homes_of(mended):
            operations = [
                DeleteOne(exact) if marker is None else ReplaceOne(exact, marker) for exact, marker in part
            ]
            try:
                result = await self.server.call(documents.bulk_write, operations, ordered=False)
            except PyMongoError as error:
                raise UnreachableError(f"documents were not removed: {error}") from error
            count += int(result.matched_count + result.deleted_count)
        return count

    def _homes_of(self, mended: Sequence[Mended]) -> list[tuple[Any, Sequence[Mended]]]:
        if self.options.collection_of is None:
            return [(self.documents, mended)]
        ours = {key: each for each in mended if (key := found_key(each[0]["_key"])) is not None}
        return [(documents, [ours[key] for key in keys]) for documents, keys in self.homes(ours)]

    async def oldest_markers(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """When the oldest marker of each partition was made, in ms since the epoch; those without are left out."""
        oldest: dict[int, int] = {}
        for documents in await self.all():
            for number in partitions:
                query = {"_deleted_at": {"$exists": True}, "_src.t": topic, "_src.p": number}
                first = documents.find(query, {"_deleted_at": 1}).sort("_deleted_at", 1).limit(1)
                for found in await self.server.call(first.to_list, None):
                    oldest[number] = min(found["_deleted_at"], oldest.get(number, found["_deleted_at"]))
        return oldest

    async def remove_markers(self, topic: str, before: Mapping[int, int]) -> int:
        """Remove markers that were made before a time; returns how many.

        Args:
            topic: the topic.
            before: partition to milliseconds since the epoch.
        """
        removed = 0
        for documents in await self.all() if before else ():
            for number, time in before.items():
                query = {
                    "_deleted_at": {"$lt": time},
                    "_deleted": True,
                    "_src.t": topic,
                    "_src.p": number,
                }
                removed += int((await self.server.call(documents.delete_many, query)).deleted_count)
        return removed


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _key_of_write(write: Write) -> Key:
    return write.change.key
