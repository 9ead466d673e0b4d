"""A user's function that mends a dead-lettered record, and what may come out of it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import orjson
from pydantic import BaseModel

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.exceptions import ConfigurationError, DecodeError
from prom_faust.lane.record import PlainRecord

__all__ = ["FixUp", "load_fix_up", "mend"]

FixUp = Callable[[DeadLetter], Any]
"""``def fix(letter)``: gives the record's new value (a model, JSON values, bytes), a whole record made with
``dataclasses.replace(letter.record, ...)``, or None to leave the letter alone."""


def load_fix_up(name: str) -> FixUp:
    """Find the function that ``module:function`` names.

    Raises:
        ConfigurationError: there is none.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function)
    except ImportError as error:
        raise ConfigurationError(f"--fix {name}: the module {module} cannot be imported: {error}") from error
    except (AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"--fix {name} names no function, as in --fix my_app.mend:fix: {error}"
        ) from error
    if not callable(found):
        raise ConfigurationError(f"--fix {name} is no function")
    return found  # type: ignore[no-any-return] # whatever the user wrote


def mend(letter: DeadLetter, fix: FixUp | None) -> PlainRecord | None:
    """The record as it is to be tried again, at its own position; None where the function leaves it alone.

    Raises:
        DecodeError: the function failed, or gave what is no value.
    """
    before = letter.record
    record = PlainRecord(
        before.topic,
        before.partition,
        before.offset,
        before.timestamp,
        before.key,
        before.value,
        tuple(before.headers),
    )
    if fix is None:
        return record
    try:
        mended = fix(letter)
    except Exception as error:
        raise DecodeError(f"the fix-up function failed: {type(error).__name__}: {error}") from error
    if mended is None:
        return None
    if isinstance(mended, PlainRecord):
        return replace(
            mended,
            topic=before.topic,
            partition=before.partition,
            offset=before.offset,
            timestamp=before.timestamp,
        )
    return replace(record, value=_bytes(mended))


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump_json(by_alias=True).encode()
    if isinstance(value, Mapping | Sequence | int | float):
        try:
            return orjson.dumps(value)
        except TypeError as error:
            raise DecodeError(f"the fix-up function gave what is no JSON: {error}") from error
    raise DecodeError(
        f"the fix-up function gave {type(value).__name__}: it must give a value, a record or None"
    )
