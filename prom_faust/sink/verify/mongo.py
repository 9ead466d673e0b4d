"""Reading the collection: all of it once, and single keys again."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.errors import PyMongoError

from prom_faust.exceptions import UnreachableError
from prom_faust.sink.document import inserted_id
from prom_faust.sink.key import Key, found_key, key_value
from prom_faust.sink.mongo import Collection
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
        raw: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument, **LENIENT)
        self._options = collection.options
        self._name = collection.options.collection
        self._collection = collection.documents.with_options(codec_options=raw)

    async def estimate(self) -> int:
        """About how many there are, markers included."""
        try:
            return int(await self._collection.estimated_document_count())
        except PyMongoError as error:
            raise self._unreadable(error) from error

    async def stream(self) -> AsyncIterator[list[RawBSONDocument]]:
        """All documents, in batches.

        Raises:
            UnreachableError: MongoDB does not answer.
        """
        batch: list[RawBSONDocument] = []
        try:
            async for document in self._collection.find({}, batch_size=BATCH):
                batch.append(document)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        except PyMongoError as error:
            raise self._unreadable(error) from error
        if batch:
            yield batch

    async def read(self, keys: Iterable[Key]) -> dict[Key, list[dict[str, Any]]]:
        """The documents of some keys, as ``key_of`` gives them, markers included, decoded and without ``_id``."""
        found: dict[Key, list[dict[str, Any]]] = {}
        try:
            documents: Sequence[RawBSONDocument] = await self._collection.find(self._query(keys)).to_list(
                None
            )
        except PyMongoError as error:
            raise self._unreadable(error) from error
        for document in documents:
            key = self.key_of(document)
            if key is not None:
                found.setdefault(key, []).append(decode_body(document.raw))
        return found

    def _query(self, keys: Iterable[Key]) -> dict[str, Any]:
        if self._options.appends:
            return {"_id": {"$in": [inserted_id(self._options.topic, n) for n in keys if isinstance(n, int)]}}
        return {"_key": {"$in": [key_value(key) for key in keys]}}

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
        return UnreachableError(f"collection {self._name} cannot be read: {error}")
