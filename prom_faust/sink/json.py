"""A record's JSON -> values, no number changed on the way. Pure.

orjson makes a float of an integer that does not fit 64 bits, and pydantic an infinity of a number that does not
fit a float. MongoDB has no such integers and JSON no infinities: a document with one is refused, but only the digits
say that it has one.

A number with a fraction or an exponent is the nearest float, as it is for every reader of JSON. Of two fields with
one name the last counts.
"""

import json
from typing import Any

import orjson

from prom_faust.exceptions import DecodeError

__all__ = ["check_floats", "read_json"]

ZEROS = bytes.maketrans(b"123456789", b"000000000")
LONG = b"0" * 19
BEYOND = (b"0" * 20, b"-" + LONG)
"""As many digits as an integer has that orjson does not keep: it keeps from ``-2**63`` to ``2**64 - 1``."""


def read_json(value: bytes) -> Any:
    """Decode, with integers of any size as they are.

    Raises:
        DecodeError: it is not JSON.
    """
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error}") from error
    digits = value.translate(ZEROS)
    if LONG in digits and any(run in digits for run in BEYOND):
        return json.loads(value)
    return event


def check_floats(value: bytes) -> None:
    """Refuse a number that is none of JSON's infinities, which it has not, and yet becomes one.

    Raises:
        DecodeError: there is one.
    """
    json.loads(value, parse_float=_float)


def _float(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise DecodeError(f"the number {digits:.40} does not fit a float")
    return number
