"""The documents that the sink stores, as BSON: ``{_key, ...fields, _ts, _src: {t, p, o, n}, _v?}`` and markers.

Encoding here, record by record, is what finds a document that cannot be stored before it is in a bulk write,
where its error would name no operation.
"""

from collections.abc import Mapping
from typing import Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from prom_faust.exceptions import DocumentError
from prom_faust.lane.record import Record
from prom_faust.sink.event import Change
from prom_faust.sink.key import Key, key_value
from prom_faust.sink.order import place_at

__all__ = [
    "MAX_DOCUMENT_BYTES",
    "document_of",
    "encode_document",
    "encode_inserted",
    "has_infinity",
    "has_operator_names",
    "inserted_id",
    "marker_of",
    "system_fields",
]

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""MongoDB's own limit for one document; ``_id`` takes 17 bytes of it."""
ID_BYTES = 17
MAX_LEVELS = 100
"""MongoDB's own limit for nested objects and arrays; the document is the first level."""
LEVEL_BYTES = 7
"""The least that a level takes: its type, the end of its name, its length, its end."""
SCALARS = frozenset({str, int, float, bool, type(None)})
"""Types that need no closer look: to ask of each value whether it is a Mapping takes ten times as long."""
CONTAINERS = (dict, list, tuple, Mapping)
INFINITY, MINUS_INFINITY = b"\xf0\x7f", b"\xf0\xff"
"""How the eight bytes of an infinite float end."""


def system_fields(record: Record, n: int, version: int | None) -> dict[str, Any]:
    """The fields that the sink adds to every document: ``_ts`` (integer ms), ``_src`` and ``_v``."""
    fields: dict[str, Any] = {
        "_ts": record.timestamp,
        "_src": {"t": record.topic, "p": record.partition, "o": record.offset, "n": n},
    }
    if version is not None:
        fields["_v"] = version
    return fields


def encode_document(
    key: Key,
    fields: dict[str, Any],
    record: Record,
    n: int,
    version: int | None,
    _id: Mapping[str, Any] | None = None,
) -> bytes:
    """Encode a live document; with an ``_id`` if it is given, else MongoDB makes one.

    Raises:
        DocumentError: a value has no BSON type, an integer exceeds 64 bits, a name holds a null character,
            it nests deeper than 100 levels, or the document exceeds 16 MiB.
    """
    document = {"_key": key_value(key), **fields, **system_fields(record, n, version)}
    if _id is not None:
        document = {"_id": _id, **document}
    try:
        body = bson.encode(document)
    except (BSONError, OverflowError, TypeError, ValueError, RecursionError) as error:
        raise DocumentError(f"MongoDB cannot store it: {error}") from error
    if len(body) + (ID_BYTES if _id is None else 0) > MAX_DOCUMENT_BYTES:
        raise DocumentError(f"the document takes {len(body)} bytes, more than MongoDB's 16 MiB")
    if _may_nest_too_deep(body) and _nests_too_deep(document):
        raise DocumentError(f"the document nests deeper than MongoDB's {MAX_LEVELS} levels")
    return body


def encode_inserted(
    key: Key, fields: dict[str, Any], record: Record, n: int, version: int | None = None
) -> bytes:
    """Encode the document of one record of an append-only projection.

    Raises:
        DocumentError: see ``encode_document``.
    """
    # The topic belongs to it: records of two topics may go into one collection.
    return encode_document(key, fields, record, n, version, inserted_id(record.topic, n))


def inserted_id(topic: str, n: int) -> dict[str, Any]:
    """The ``_id`` of an append-only projection's document: the record's topic, partition and offset."""
    partition, offset = place_at(n)
    return {"t": topic, "p": partition, "o": offset}


def _may_nest_too_deep(body: bytes) -> bool:
    """Whether it is long enough, and has enough bytes that could be the types of inner objects and arrays."""
    return len(body) > MAX_LEVELS * LEVEL_BYTES and body.count(b"\3") + body.count(b"\4") >= MAX_LEVELS


def _nests_too_deep(document: Mapping[str, Any]) -> bool:
    # A server need not refuse it alone: the whole command that holds it can be what it does not understand.
    layer: list[Any] = [document]
    for _ in range(MAX_LEVELS):
        layer = [
            inner
            for outer in layer
            for inner in (outer if isinstance(outer, list | tuple) else outer.values())
            if type(inner) not in SCALARS and isinstance(inner, CONTAINERS)
        ]
        if not layer:
            return False
    return True


def has_infinity(body: bytes) -> bool:
    """Whether an encoded document may hold a float that is infinite; False is certain."""
    return INFINITY in body or MINUS_INFINITY in body


class Encoded(RawBSONDocument):
    """A document that is sent as it was encoded.

    pymongo asks a replacement for its truth, which a RawBSONDocument answers by decoding all of itself: 11 us per
    document instead of 0.7.
    """

    def __bool__(self) -> bool:
        return True


def document_of(change: Change) -> RawBSONDocument:
    """The document of a live change, ready to send: it is not encoded a second time."""
    if change.body is None:
        raise ValueError("a tombstone has no document")
    return Encoded(change.body)


def has_operator_names(document: RawBSONDocument) -> bool:
    """Whether one of the document's own fields has a name that begins with ``$``."""
    return b"$" in document.raw and any(name.startswith("$") for name in document)


def marker_of(change: Change, *, deleted_at: int, version: int | None, inherits: bool) -> dict[str, Any]:
    """The marker that a tombstone leaves, so that a late write of an older record finds it stale.

    Args:
        change: the tombstone.
        deleted_at: milliseconds since the epoch at the time of the write; the marker's age counts from here.
        version: the version that it has or inherits.
        inherits: whether it took over the version before it.
    """
    system = system_fields(change.record, change.n, version)
    marker = {
        "_key": key_value(change.key),
        "_deleted": True,
        "_deleted_at": deleted_at,
        "_src": system["_src"],
    }
    if version is not None:
        marker["_v"] = version
    if inherits and version is not None:
        marker["_inherits"] = True
    return marker
