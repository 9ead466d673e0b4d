"""The documents that every path writes and reads: those of ``process.state``, all nine fields. Pure.

It imports nothing of ours: a process that must not have orjson makes the same documents.
"""

from typing import Any

__all__ = ["KEY", "TOPIC", "Document", "documents"]

TOPIC = "process.state"
KEY = "processId"
COUNT = 1_000
"""Enough that no path lives off one value, few enough for the processor's caches, as a stream's values are."""

FIRST_MILLISECOND = 1_700_000_000_000

Document = dict[str, Any]


def documents() -> list[Document]:
    """The same documents in every process."""
    return [_document(number) for number in range(COUNT)]


def _document(number: int) -> Document:
    host = f"host-{number % 97:03d}.example.org"
    return {
        KEY: f"{host}:{1_000 + number}:{FIRST_MILLISECOND + number}",
        "name": f"worker-{number % 389}",
        "host": host,
        "pid": 1_000 + number,
        "sid": number % 31,
        "cpu_pct": number % 1000 / 10,
        "mem_mb": number % 4096 + 0.25,
        "last_seen_ts": FIRST_MILLISECOND + 1_000 * number,
        "status": "stale" if number % 16 == 0 else "alive",
    }
