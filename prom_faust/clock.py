"""The wall clock, as Kafka and the sink write it."""

import time

__all__ = ["milliseconds"]


def milliseconds() -> int:
    """Now, in whole milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
