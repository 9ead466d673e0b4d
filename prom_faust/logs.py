"""Log lines that machines can read: as JSON, with the place that they speak of, and never one per record. Pure.

``log_format="json"`` changes the formatter of the worker's own handler, so that Faust's lines and those of every
library are JSON, too: a stream of which some lines are JSON cannot be read by a machine.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from pythonjsonlogger.core import RESERVED_ATTRS

from prom_faust.lane.record import Record, TopicPartition

__all__ = ["JSON_FORMATTER", "LogFormat", "Throttle", "json_logging", "place"]

LogFormat = Literal["text", "json"]

JSON_FORMATTER: Final[Mapping[str, Any]] = {
    "()": "pythonjsonlogger.json.JsonFormatter",
    "fmt": "{levelname}{name}{message}",
    "style": "{",
    "rename_fields": {"levelname": "level", "name": "logger"},
    "timestamp": "time",
    "reserved_attrs": [
        *RESERVED_ATTRS,
        "data",
        "extra",
    ],  # Faust puts objects there, for its own formatter to show
    "json_ensure_ascii": False,
}
"""A formatter for ``logging.config.dictConfig``: one JSON object per line, with what ``extra=`` holds as fields."""


def json_logging() -> dict[str, Any]:
    """The worker's own logging with JSON lines, as ``App(logging_config=...)`` takes it.

    Faust has two formatters, for files and for streams; everything else (handlers, ``-l``, ``-f``) stays as it is.
    """
    return {"merge": True, "formatters": {"default": dict(JSON_FORMATTER), "colored": dict(JSON_FORMATTER)}}


def place(of: Record | TopicPartition) -> dict[str, Any]:
    """The fields of a log line that name a partition, or a record in it."""
    fields = {"topic": of.topic, "partition": of.partition}
    return fields if isinstance(of, TopicPartition) else {**fields, "offset": of.offset}


class Throttle:
    """Bounds how often something is logged: at once, and then at most once per interval, with what came meanwhile.

    Example::

        >>> seconds = [0.0]
        >>> throttle = Throttle(lambda: seconds[0], every=10.0)
        >>> throttle.count(), throttle.count(), throttle.count(5)
        (1, 0, 0)
        >>> seconds[0] = 10.0
        >>> throttle.count()
        7

    Args:
        clock: seconds that never go back.
        every: seconds between two lines at least.
    """

    def __init__(self, clock: Callable[[], float], *, every: float = 10.0) -> None:
        self._clock = clock
        self._every = every
        self._next: float | None = None
        self._events = 0

    def count(self, events: int = 1) -> int:
        """Count events; returns how many there were since the last line if it is time for one, else 0."""
        self._events += events
        now = self._clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + self._every
        due, self._events = self._events, 0
        return due
