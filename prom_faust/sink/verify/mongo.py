"""Reading the collection: all of it once, and single keys again."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.errors import PyMongoError

from prom_faust.exceptions import DocumentError, UnreachableError
from prom_faust.sink.document import inserted_id
from prom_faust.sink.key import Key, found_key, key_value
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.order import position_of

__all__ = ["Documents", "decode_body", "same_bytes"]

BATCH = 1_000
ID_ELEMENT = slice(4, 21)
"""Where ``_id`` stands in a document that begins with an ObjectId: behind the length, in 17 bytes."""
# A date beyond the year 9999 is a valid value, which Python's datetime cannot hold; and text that another writer
# stored broken is a difference to name, not a reason to stop.
LENIENT: dict[str, Any] = {
    "datetime_conversion": DatetimeConversion.DATETIME_AUTO,
    "unicode_decode_error_handler": "replace",
}
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(**LENIENT)


def decode_body(body: bytes | memoryview) -> dict[str, Any]:
    """A document as plain values, without its ``_id``."""
    document = bson.decode(body, OPTIONS)
    document.pop("_id", None)
    return document


def same_bytes(document: RawBSONDocument, body: bytes) -> bool:
    """Whether a document is, but for its ``_id``, byte for byte the expected one. False decides nothing."""
    raw = document.raw
    return raw == body or (raw[4:9] == b"\x07_id\x00" and raw[ID_ELEMENT.stop :] == body[4:])


class Documents:
    """The documents of a projection, undecoded.

    Args:
        collection: as the sink sees it.
    """

    def __init__(self, collection: Collection) -> None:
        self._options = collection.options
        self._collection = collection

    async def estimate(self) -> int:
        """About how many there are, markers included."""
        try:
            return sum([int(await each.estimated_document_count()) for each in await self._collection.all()])
        except PyMongoError as error:
            raise self._unreadable(error) from error

    async def stream(self) -> AsyncIterator[tuple[str, list[RawBSONDocument]]]:
        """All documents, in batches: the collection's name, and the documents.

        Raises:
            UnreachableError: MongoDB does not answer.
        """
        for documents in await self._collection.all():
            batch: list[RawBSONDocument] = []
            try:
                async for document in _raw(documents).find({}, batch_size=BATCH):
                    batch.append(document)
                    if len(batch) == BATCH:
                        yield documents.name, batch
                        batch = []
            except PyMongoError as error:
                raise self._unreadable(error) from error
            if batch:
                yield documents.name, batch

    def stray(self, name: str, document: Mapping[str, Any]) -> str | None:
        """Why a document has no business in the collection that it stands in, or None."""
        if self._options.collection_of is None and name == self._collection.documents.name:
            return None
        if (key := found_key(document.get("_key"))) is None:
            return None
        try:
            home = self._collection.targets.home(key)
        except DocumentError as error:
            return f"a document in {name}, and {error}"
        return None if home == name else f"a document in {name}, and its key belongs into {home}"

    async def read(self, keys: Iterable[Key]) -> dict[Key, list[dict[str, Any]]]:
        """The documents of some keys, as ``key_of`` gives them, markers included, decoded and without ``_id``."""
        found: dict[Key, list[dict[str, Any]]] = {}
        for documents, query in await self._queries(keys):
            try:
                batch: list[RawBSONDocument] = await _raw(documents).find(query).to_list(None)
            except PyMongoError as error:
                raise self._unreadable(error) from error
            for document in batch:
                key = self.key_of(document)
                if key is not None:
                    found.setdefault(key, []).append(decode_body(document.raw))
        return found

    async def _queries(self, keys: Iterable[Key]) -> list[tuple[Any, dict[str, Any]]]:
        if self._options.appends:  # a position does not tell the key, and so not the collection
            ids = [inserted_id(self._options.topic, n) for n in keys if isinstance(n, int)]
            return [(documents, {"_id": {"$in": ids}}) for documents in await self._collection.all()]
        return [
            (documents, {"_key": {"$in": [key_value(key) for key in part]}})
            for documents, part in self._collection.homes(keys)
        ]

    def key_of(self, document: Mapping[str, Any]) -> Key | None:
        """What makes a document the one of its record: its key, or its position where every record has a document.

        None where no record of the topic gives such a document.
        """
        if not self._options.appends:
            return found_key(document.get("_key"))
        match document.get("_id"):
            case {"t": self._options.topic, "p": int(partition), "o": int(offset)}:
                return position_of(partition, offset) if partition >= 0 <= offset else None
        return None

    def _unreadable(self, error: PyMongoError) -> UnreachableError:
        return UnreachableError(f"collection {self._options.collection} cannot be read: {error}")


def _raw(documents: Any) -> Any:
    options: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument, **LENIENT)
    return documents.with_options(codec_options=options)
