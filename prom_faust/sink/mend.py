"""Writes that hold only for the very state that was read: how what should not stand is taken away. Pure.

A worker may write the same key at the same moment: what it has changed by then is no longer what was judged, and is
left alone.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["Mended", "Source", "exactly", "marker_in_place"]

Document = Mapping[str, Any]
Source = Mapping[str, Any]
"""``{t, p, o, n}``: the record that a document or a marker came from."""
Mended = tuple[dict[str, Any], dict[str, Any] | None]
"""A filter that only one state of one document matches, and the marker to put there; None to leave nothing."""


def exactly(document: Document) -> dict[str, Any]:
    """The filter that matches a document as long as no worker has written it again."""
    absent = {"$exists": False}
    source = document.get("_src")
    return {
        "_key": document["_key"],
        "_src.t": source.get("t", absent) if isinstance(source, Mapping) else absent,
        "_src.n": source.get("n", absent) if isinstance(source, Mapping) else absent,
        "_v": document.get("_v", absent),
        "_deleted": document.get("_deleted", absent),
    }


def marker_in_place(key: Any, source: Source, version: int | None, *, deleted_at: int) -> dict[str, Any]:
    """The delete marker for a document whose own tombstone is not there any more.

    It has the place of the document, so that a late write of the same record, or of an older one, is stale.

    Args:
        key: what stands in the document's ``_key``.
        source: the record that it came from.
        version: its version, which the marker ends as a null does that has none.
        deleted_at: milliseconds since the epoch; the marker's age counts from here.
    """
    marker: dict[str, Any] = {
        "_key": key,
        "_deleted": True,
        "_deleted_at": deleted_at,
        "_src": {name: source[name] for name in ("t", "p", "o", "n")},
    }
    return marker if version is None else {**marker, "_v": version, "_inherits": True}
