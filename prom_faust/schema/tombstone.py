"""What deletes a key on a compacted topic: null, the bytes ``null``, and a body with ``_deleted: true``. Pure."""

from typing import Any

import orjson

__all__ = ["is_deleted", "is_null", "is_tombstone", "may_be_deleted"]

WHITE_SPACE = b" \t\n\r"
"""JSON's own (RFC 8259, section 2)."""


def is_null(value: bytes | None) -> bool:
    """Whether a record's value is null, on the wire or as JSON."""
    return value is None or value.strip(WHITE_SPACE) == b"null"


def may_be_deleted(value: bytes) -> bool:
    """Whether it is worth to look for ``_deleted``: every spelling of it holds these letters, or an escape."""
    return b"_deleted" in value or b"\\u" in value


def is_deleted(event: Any) -> bool:
    """Whether a decoded body says that it deletes."""
    return type(event) is dict and event.get("_deleted") is True


def is_tombstone(value: bytes | None) -> bool:
    """Whether a record deletes its key, whatever its topic's model would say of it."""
    if value is None or is_null(value):
        return True
    if not may_be_deleted(value):
        return False
    try:
        return is_deleted(orjson.loads(bytes(value)))  # orjson takes no subclasses of bytes
    except orjson.JSONDecodeError:
        return False
