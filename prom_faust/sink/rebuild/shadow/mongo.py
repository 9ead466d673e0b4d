"""The shadow collection, and the document that says how far its rebuild is and who runs it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from prom_faust.backoff import Backoff
from prom_faust.exceptions import ConfigurationError, UnreachableError
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.mongo.indexes import KEY_INDEX, MARKER_INDEX
from prom_faust.sink.mongo.positions import REBUILDS, Positions
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.options import ChangelogOptions, Index
from prom_faust.sink.rebuild.shadow.swap import Found, Phase, State

__all__ = ["Shadow", "remove_shadow", "shadow_of"]

PREFIX = "_prom_shadow."
STATE = ("phase", "fingerprint", "since", "redo")
MARKERS = 1_000
"""Markers changed by one command."""
PATIENCE_SECONDS = 30.0
POLLS = 10
"""How often another run's sign of life is looked for in the time after which it counts as dead."""


def shadow_of(collection: str) -> str:
    """The name of a collection's shadow. A collection of this name that no rebuild has made is refused, not used."""
    return f"{PREFIX}{collection}"


async def remove_shadow(collection: Collection) -> None:
    """Remove what a rebuild in a shadow has left, if one has; a run that is under way ends with an error."""
    name = collection.options.collection
    rebuilds = collection.server.collection(REBUILDS)
    if await rebuilds.find_one({"_id": name}) is not None:
        await collection.server.collection(shadow_of(name)).drop()
        await Positions(collection.server, shadow_of(name)).remove()
        await rebuilds.delete_one({"_id": name})


class PatientServer(Server):
    """As any, but a short outage is waited out: hours of reading may depend on one call."""

    async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the driver under the deadline, again and again while it is unreachable, for half a minute.

        Raises:
            UnreachableError: the server did not answer in that time.
            PyMongoError: whatever else the driver raises.
        """
        backoff = Backoff()
        clock = asyncio.get_running_loop().time
        deadline = clock() + PATIENCE_SECONDS
        while True:
            try:
                return await super().call(function, *args, **kwargs)
            except UnreachableError:
                if clock() > deadline:
                    raise
            await asyncio.sleep(backoff.next())


class Shadow(Collection):
    """A projection's second collection, with positions of its own, until it takes the place of the first.

    The rebuild's document is kept by one run at a time. It counts up a number as long as it lives; a run that was
    killed is known by a number that stays, and no clock of two machines is compared.

    Args:
        database: a database of pymongo's async API or of motor.
        options: the projection's own.
        deadline: seconds that one call may take.
    """

    def __init__(self, database: Any, options: ChangelogOptions, *, deadline: float) -> None:
        server = PatientServer(database, deadline=deadline)
        super().__init__(server, replace(options, collection=shadow_of(options.collection)))
        self.name = options.collection
        self._shadow = self.documents
        self._live = server.collection(options.collection)
        self._rebuilds = server.collection(REBUILDS)
        self._run = uuid4().hex

    # -- who runs it -----------------------------------------------------------------------------------------

    async def claim(self, silence: float) -> None:
        """Become the one run of this rebuild.

        Args:
            silence: seconds without a sign of life after which another run counts as dead.

        Raises:
            ConfigurationError: another run is alive.
        """
        seen = await self._document()
        for _ in range(POLLS):
            if seen is None or not seen.get("run"):
                break
            await asyncio.sleep(silence / POLLS)
            before, seen = seen, await self._document()
            if seen and seen.get("run") and (seen["run"], seen["beat"]) != (before["run"], before["beat"]):
                raise self._taken()
        mine = {"topic": self.options.topic, "run": self._run, "beat": 0}
        if seen is None:
            with suppress(DuplicateKeyError):
                await self.server.call(self._rebuilds.insert_one, {"_id": self.name, **mine})
        else:
            await self._update({"run": seen.get("run"), "beat": seen.get("beat")}, {"$set": mine})
        # A call that was answered late was made twice: what counts is whose it is now.
        await self.beat()

    async def beat(self) -> None:
        """Give a sign of life.

        Raises:
            ConfigurationError: another run has taken over.
        """
        if not await self._update({"run": self._run}, {"$inc": {"beat": 1}}):
            raise self._taken()

    async def release(self) -> None:
        """Let another run begin at once."""
        await self.server.call(
            self._rebuilds.delete_one,
            {"_id": self.name, "run": self._run, "phase": {"$exists": False}, "swaps": {"$exists": False}},
        )
        await self._update({"run": self._run}, {"$unset": {"run": ""}})

    def _taken(self) -> ConfigurationError:
        return ConfigurationError(f"{self.name} is being rebuilt by another run")

    async def _update(self, only: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        result = await self.server.call(self._rebuilds.update_one, {"_id": self.name, **only}, change)
        return bool(result.matched_count)

    # -- how far it is ---------------------------------------------------------------------------------------

    async def _document(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self.server.call(self._rebuilds.find_one, {"_id": self.name})
        return found

    async def load_state(self) -> State | None:
        """How far the rebuild is; None where there is none."""
        found = await self._document()
        if found is None or "phase" not in found:
            return None
        return State(
            phase=Phase(found["phase"]),
            fingerprint=found["fingerprint"],
            since=found["since"],
            redo={int(number): offset for number, offset in found["redo"].items()},
        )

    async def save_state(self, state: State) -> None:
        """Store how far the rebuild is.

        Raises:
            ConfigurationError: another run has taken over.
        """
        fields = {
            "phase": state.phase.value,
            "fingerprint": state.fingerprint,
            "since": state.since,
            "redo": {str(number): offset for number, offset in state.redo.items()},
        }
        if not await self._update({"run": self._run}, {"$set": fields}):
            raise self._taken()

    async def clear_state(self) -> None:
        """The rebuild is done: count it, and forget it and the shadow's positions. The run goes on until released."""
        await self.positions.remove()
        await self._update({"run": self._run}, {"$unset": dict.fromkeys(STATE, ""), "$inc": {"swaps": 1}})

    # -- the collections -------------------------------------------------------------------------------------

    async def found(self) -> Found:
        """What stands under the shadow's name."""
        if not await self._described(self.options.collection):
            return Found.ABSENT
        indexes = await self.server.call(self._shadow.index_information)
        return Found.WHOLE if KEY_INDEX.index_name in indexes else Found.DAMAGED

    async def remove(self) -> None:
        """Remove the shadow and its positions."""
        await self.server.call(self._shadow.drop)
        await self.positions.remove()

    async def losses(self) -> list[str]:
        """What the live collection has and the projection does not declare: the swap does not keep it."""
        described = await self._described(self.name)
        if not described:
            return []
        declared = {index.index_name for index in map(Index.of, self.options.indexes)}
        declared |= {"_id_", KEY_INDEX.index_name, MARKER_INDEX.index_name}
        indexes = await self.server.call(self._live.index_information)
        others = {"$or": [{"_src.t": {"$ne": self.options.topic}}, {"_key": {"$exists": False}}]}
        try:
            # Not under the deadline: it looks at every document.
            documents = await self._live.count_documents(others)
        except PyMongoError as error:
            raise UnreachableError(f"collection {self.name} cannot be read: {error}") from error
        return [
            *(f"index {name}" for name in sorted(set(indexes) - declared)),
            *(f"option {name}" for name in sorted(described[0].get("options", {}))),
            *([f"{documents:,} documents of other writers"] if documents else []),
        ]

    async def _described(self, name: str) -> list[dict[str, Any]]:
        answer = await self.server.call(
            self.server.database.command, "listCollections", filter={"name": name}
        )
        found: list[dict[str, Any]] = answer["cursor"]["firstBatch"]
        return found

    async def refresh_markers(self, *, now: int, until: int) -> None:
        """Let markers from before ``now`` count as made at ``until`` (both ms since the epoch).

        A marker is removed some time after it was made, when no late write of a worker can come any more. To the
        workers' collection the shadow's markers are new.
        """
        while True:
            old = await self.server.call(
                lambda: (
                    self.documents.find({"_deleted_at": {"$lt": now}}, {"_id": 1})
                    .limit(MARKERS)
                    .to_list(None)
                )
            )
            if not old:
                return
            ids = [document["_id"] for document in old]
            await self.server.call(
                self.documents.update_many, {"_id": {"$in": ids}}, {"$set": {"_deleted_at": until}}
            )

    async def rename(self) -> None:
        """Let the shadow take the place of the live collection; for readers this is one moment.

        Raises:
            ConfigurationError: another run has taken over, or MongoDB refuses the rename.
            UnreachableError: MongoDB did not answer: it may have been done.
        """
        await self.beat()
        try:
            # Not under the deadline: to have given up would only mean not to know.
            await self._shadow.rename(self.name, dropTarget=True)
        except OperationFailure as error:
            raise ConfigurationError(
                f"MongoDB refuses to rename {self.options.collection}: {error}"
            ) from error
        except PyMongoError as error:
            raise UnreachableError(f"the rename was not answered: {error}. Run the rebuild again") from error
        self.write_to_live()

    def write_to_live(self) -> None:
        """From here on the documents are the live collection's; the positions stay the shadow's."""
        self.documents = self._live

    def write_to_shadow(self) -> None:
        """From here on the documents are the shadow's."""
        self.documents = self._shadow
