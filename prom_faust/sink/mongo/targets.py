"""The collections of one projection: its own, and those that a function of the key has named so far.

Each is put on a list in the database before its first write. So a sweep, a verification or a rebuild finds them all,
in whatever process it runs.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from pymongo.errors import DuplicateKeyError

from prom_faust.sink.key import Key
from prom_faust.sink.mongo.indexes import ensure_indexes
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.target import home_of

__all__ = ["TARGETS", "Targets"]

TARGETS = "_prom_targets"
"""The collection that lists them, in the same database."""
T = TypeVar("T")


class Targets:
    """The collections of one projection.

    Args:
        server: where they are.
        options: the projection's.
    """

    def __init__(self, server: Server, options: ChangelogOptions) -> None:
        self.home = home_of(options.collection, options.collection_of)
        self._server = server
        self._options = options
        self._list = server.collection(TARGETS)
        self._open: dict[str, Any] = {}

    def split(self, items: Iterable[T], key_of: Callable[[T], Key]) -> dict[str, list[T]]:
        """What belongs to each collection, by its name."""
        parts: dict[str, list[T]] = {}
        for item in items:
            parts.setdefault(self.home(key_of(item)), []).append(item)
        return parts

    async def open(self, name: str) -> Any:
        """A collection that may be written: it is on the list, and has its indexes.

        Raises:
            IndexConflictError: an index of it differs from the projection's.
            UnreachableError: MongoDB does not answer.
        """
        if name not in self._open:
            documents = self._server.collection(name)
            entry = {"_id": {"collection": self._options.collection, "target": name}}
            with suppress(DuplicateKeyError):  # another worker was faster
                await self._server.call(self._list.replace_one, entry, entry, upsert=True)
            await ensure_indexes(self._server, documents, self._options)
            self._open[name] = documents
        return self._open[name]

    async def listed(self) -> list[str]:
        """Those that were opened so far, in whatever process.

        Raises:
            UnreachableError: MongoDB does not answer.
        """
        query = {"_id.collection": self._options.collection}
        listed = await self._server.call(lambda: self._list.find(query).to_list(None))
        return sorted(entry["_id"]["target"] for entry in listed)

    async def forget(self) -> None:
        """Clear the list: what it named is removed.

        Raises:
            UnreachableError: MongoDB does not answer.
        """
        self._open.clear()
        await self._server.call(self._list.delete_many, {"_id.collection": self._options.collection})
