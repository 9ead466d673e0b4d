"""Which key a record gets, and which text stands in for one. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from prom_faust.exceptions import RecordKeyError
from prom_faust.routing.hashing import key_bytes

__all__ = ["KeyOf", "chosen_key", "key_of_payload", "stand_in"]

Key = str | bytes | int
KeyOf = str | Callable[[Any], Key | None]
STAND_IN_CHARACTERS = 64


def key_of_payload(of: KeyOf, value: Any) -> Key | None:
    """The key that a payload carries, or None where it carries none: a tombstone, or a body without the field.

    Args:
        of: a field's name, or a function of the payload.
        value: a model, plain JSON values, or bytes that hold JSON.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            value = orjson.loads(bytes(value))  # orjson takes no subclasses of bytes
        except orjson.JSONDecodeError:
            return None
    if value is None:
        return None
    if callable(of):
        return of(value)
    found: Key | None = value.get(of) if isinstance(value, Mapping) else getattr(value, of, None)
    return found


def chosen_key(topic: str, found: Key | None, given: Any, *, same: Callable[[Any, Any], bool]) -> Any:
    """The key of a record: that of the key function, else the explicit one.

    Args:
        topic: the topic, for the error.
        found: what the key function gave.
        given: the explicit key.
        same: whether two keys are the same on the wire.

    Raises:
        RecordKeyError: both are there and differ, or the key function gave what can be no key.
    """
    if found is None:
        return given
    try:
        key_bytes(found)
    except (TypeError, UnicodeEncodeError) as error:
        raise RecordKeyError(f"the key function of {topic} gave {found!r:.80}: {error}") from None
    if given is not None and not same(found, given):
        raise RecordKeyError(
            f"the key {given!r:.80} was given for {topic}, but its payload has the key {found!r:.80}: "
            "leave key= out, or send the payload under its own key"
        )
    return found


def stand_in(value: bytes | None) -> bytes:
    """What chooses the partition of a record without a key: the first 64 characters of its canonical JSON.

    Canonical: keys sorted, no spaces. Bytes that are no JSON stand for themselves.
    """
    if value is None:
        return b""
    try:
        text = orjson.dumps(orjson.loads(bytes(value)), option=orjson.OPT_SORT_KEYS).decode()
    except ValueError:
        return value[:STAND_IN_CHARACTERS]
    return text[:STAND_IN_CHARACTERS].encode()
