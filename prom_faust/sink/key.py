"""The key of a document: which JSON values can be one, and when two of them are the same. Pure.

MongoDB decides what is the same: 1 equals 1.0 and not true, and objects are equal if they have the same fields in
the same order. Python says of 1, 1.0 and True that they are one key, and does not hash an object. So every key gets
one form here, which is the same for two keys exactly if MongoDB takes them for the same:

- text is itself;
- a number is an integer where its value is a whole number of 64 bits, else a float;
- a boolean or an object is its JSON, in which numbers have that form and an object's fields are sorted by name.
"""

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson

from prom_faust.exceptions import KeyMismatchError

__all__ = ["INT64", "NO_KEY", "JsonKey", "Key", "checked_key", "found_key", "key_value"]

INT64 = range(-(2**63), 2**63)
LEVELS = 98
"""How deep a key nests at most: MongoDB allows 100 levels, and the document and ``_key`` are two."""
SHOWN = 80
"""Characters of a key that an error shows."""


@dataclass(frozen=True, slots=True, repr=False)
class JsonKey:
    """A key that is no text and no number, as JSON: hashable, and no other type's equal.

    Attributes:
        json: the canonical JSON.
    """

    json: bytes

    @property
    def value(self) -> Any:
        """What stands in ``_key``."""
        return orjson.loads(self.json)

    def __repr__(self) -> str:
        return self.json.decode()


# Blobs: SQLite tells them from text and numbers, and 1 from 1.0 no more than MongoDB does.
sqlite3.register_adapter(JsonKey, attrgetter("json"))

Key = str | int | float | JsonKey
"""What can stand in ``_key``, hashable; ``key_value`` gives what stands there."""

NO_KEY = JsonKey(b"null")
"""The key of a record without one, which only ``write="insert"`` takes."""


def key_value(key: Key) -> Any:
    """What stands in ``_key`` for a key."""
    return key.value if type(key) is JsonKey else key


def checked_key(value: Any, *, order: Sequence[str] = ()) -> Key:
    """The key that a JSON value is.

    Args:
        value: as it was decoded, or as a user's function gave it.
        order: the fields of the key, where they are known; an object that has just these gets them in this order.

    Raises:
        KeyMismatchError: it cannot be a key; the message says why.
    """
    if type(value) is str:
        return _text(value)
    if type(value) is int or type(value) is float:
        return _number(value)
    if type(value) is list or type(value) is tuple:
        raise KeyMismatchError(
            f"an array cannot be a key, and {_shown(value)} is one: MongoDB's unique index would take each of its "
            "elements for a key of its own. An object that holds it can be one"
        )
    if value is None:
        raise KeyMismatchError("null cannot be a key: every record without one would be the same document")
    if not isinstance(value, bool | Mapping):
        raise _no_json(value)
    canonical = _canonical(value, LEVELS)
    if type(canonical) is dict and canonical.keys() == set(order):
        canonical = {name: canonical[name] for name in order}
    return JsonKey(orjson.dumps(canonical))


def found_key(value: Any) -> Key | None:
    """The key of a document that was read; None for a value that no record gives.

    An object keeps the order of its fields: in another order it is another key.
    """
    if type(value) is str:
        return value
    try:
        if isinstance(value, int | float) and type(value) is not bool:
            return _number(value)
        if isinstance(value, bool | Mapping):
            return JsonKey(orjson.dumps(_canonical(value, LEVELS, ordered=False)))
    except KeyMismatchError:
        return None
    return None


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise KeyMismatchError(f"the key {_shown(value)} is not Unicode text") from error
    return value


def _number(value: float) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise KeyMismatchError(f"{value} cannot be a key: JSON has no such number")
        whole = int(value)
        return whole if whole == value and whole in INT64 else value
    number = int(value)  # of bson's own integers a range would look through all of its members
    if number not in INT64:
        raise KeyMismatchError(f"the key {_shown(value)} does not fit a 64-bit integer")
    return number


def _canonical(value: Any, levels: int, *, ordered: bool = True) -> Any:
    """The value in its one form.

    Args:
        value: a JSON value, decoded.
        levels: how many levels of objects and arrays it may have.
        ordered: whether an object's fields are sorted by name, or stay as they are.
    """
    if value is None or isinstance(value, bool):
        return value
    if type(value) is str:
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    if not levels:
        raise KeyMismatchError(f"a key must not nest deeper than {LEVELS} levels")
    if isinstance(value, list | tuple):
        return [_canonical(element, levels - 1, ordered=ordered) for element in value]
    if isinstance(value, Mapping):
        for name in value:
            _check_name(name)
        names = sorted(value) if ordered else value
        return {name: _canonical(value[name], levels - 1, ordered=ordered) for name in names}
    raise _no_json(value)


def _no_json(value: Any) -> KeyMismatchError:
    return KeyMismatchError(f"a key is text, a number, a boolean or an object of such, not {_shown(value)}")


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or name.startswith("$") or "\0" in name:
        raise KeyMismatchError(
            f"the key has a field {_shown(name)}: a name must be text without a null character that does not "
            "begin with $, or MongoDB would take it for an operator"
        )
    _text(name)


def _shown(value: Any) -> str:
    return f"{value!r:.{SHOWN}}"
