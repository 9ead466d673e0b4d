"""What is wrong with a record, without any of its values: for logs, operator's pages, redacted letters. Pure.

An error's own message may quote the record: MongoDB's E11000 shows the value that is taken, a validator anything.
"""

import json
from collections.abc import Collection

from pydantic import ValidationError

from prom_faust.exceptions import RecordError, WriteRejectedError

__all__ = ["reason_of"]

LIMIT = 10
"""So many places are named."""


def reason_of(error: RecordError, names: Collection[str]) -> str:
    """The error's class, and what more is known to be no value: paths, MongoDB's code, where JSON ends to be JSON.

    Args:
        error: the error.
        names: the names of the schema's fields; any other step of a path may be a key of the data, and is ``*``.
    """
    cause = error.__cause__
    text = type(error).__name__
    if isinstance(error, WriteRejectedError):
        return f"{text} (MongoDB's code {error.code})" if error.code else text
    if isinstance(cause, ValidationError):
        faults = cause.errors(include_url=False, include_input=False, include_context=False)
        found = dict.fromkeys(f"{_path(fault['loc'], names)} ({fault['type']})" for fault in faults)
        more = f" and {len(found) - LIMIT} more" if len(found) > LIMIT else ""
        return f"{text}: {', '.join(list(found)[:LIMIT])}{more}"
    if isinstance(cause, json.JSONDecodeError):  # orjson's is one, too
        return f"{text}: not JSON: {cause}"
    return text if cause is None else f"{text} ({type(cause).__name__})"


def _path(steps: tuple[int | str, ...], names: Collection[str]) -> str:
    return ".".join(str(step) if step in names else "*" for step in steps) or "value"
