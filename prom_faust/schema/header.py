"""The header ``x-schema-version``: ASCII decimal, exactly one, in a copy of the caller's headers. Pure."""

from collections.abc import Iterable, Mapping

from prom_faust.exceptions import DecodeError

__all__ = [
    "SCHEMA_VERSION_HEADER",
    "OpenHeaders",
    "pairs",
    "reread",
    "schema_version",
    "with_version",
    "without_version",
]

SCHEMA_VERSION_HEADER = "x-schema-version"
VERSION_DIGITS = 9

OpenHeaders = Mapping[str, bytes] | Iterable[tuple[str, bytes | None]] | None
"""What callers pass: a mapping, pairs, or nothing."""
Pairs = list[tuple[str, bytes | None]]


def pairs(headers: OpenHeaders) -> Pairs:
    """A copy of headers, as pairs; also of what can be read only once."""
    if not headers:
        return []
    return (
        list(headers.items()) if isinstance(headers, Mapping) else [(name, value) for name, value in headers]
    )


def reread(headers: OpenHeaders) -> OpenHeaders:
    """Headers that can be read more than once: they themselves, or a copy."""
    return headers if headers is None or type(headers) in {dict, list} else pairs(headers)


def schema_version(headers: OpenHeaders) -> int | None:
    """The version that headers name, or None where they name none.

    Raises:
        DecodeError: the header is there more than once, or is no decimal number.
    """
    if not headers:
        return None
    items = headers.items() if isinstance(headers, (dict, Mapping)) else headers
    found: list[object] = [value for name, value in items if name == SCHEMA_VERSION_HEADER]
    if not found:
        return None
    if len(found) > 1:
        raise DecodeError(f"header {SCHEMA_VERSION_HEADER} is there {len(found)} times, not once")
    raw = found[0]
    if not (isinstance(raw, bytes) and raw.isdigit() and len(raw) <= VERSION_DIGITS):
        raise DecodeError(f"header {SCHEMA_VERSION_HEADER} is {raw!r:.40}, not a decimal version in bytes")
    return int(raw)


def with_version(headers: OpenHeaders, version: int) -> Pairs:
    """A copy of headers that names this version, once."""
    if not headers:
        return [(SCHEMA_VERSION_HEADER, b"%d" % version)]
    return [*without_version(headers), (SCHEMA_VERSION_HEADER, b"%d" % version)]


def without_version(headers: OpenHeaders) -> Pairs:
    """A copy of headers that names no version."""
    return [(name, value) for name, value in pairs(headers) if name != SCHEMA_VERSION_HEADER]
