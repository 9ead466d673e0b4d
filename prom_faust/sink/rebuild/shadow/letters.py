"""The dead letters of one group and topic, by the position of their record: on disk, for there may be many.

They count as in a verification: a letter takes its record out, whether or not it decodes by now, and the first one
that says that the record was replayed puts it back in with the value that was replayed.
"""

import sqlite3
from typing import Any

import orjson

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.lane.record import PlainRecord, Record
from prom_faust.sink.event import position

__all__ = ["Letters"]

TABLE = """
    CREATE TABLE letters (n INTEGER PRIMARY KEY, replayed INTEGER NOT NULL, timestamp INTEGER NOT NULL,
                          key BLOB, value BLOB, headers BLOB NOT NULL)
"""
ADD = """
    INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (n) DO UPDATE
    SET replayed = excluded.replayed, timestamp = excluded.timestamp, key = excluded.key, value = excluded.value,
        headers = excluded.headers
    WHERE NOT letters.replayed
"""


class Letters:
    """The letters that were read. Close it."""

    def __init__(self) -> None:
        # Without a name SQLite keeps it in a file of its own, which is gone when it is closed.
        self._sql = sqlite3.connect("", isolation_level=None)
        self._sql.execute(TABLE)
        self._any = False

    def close(self) -> None:
        """Forget all of them."""
        self._sql.close()

    def add(self, letter: DeadLetter) -> bool:
        """Take a letter in; whether it says that its record was replayed, and none has said so before."""
        record, self._any = letter.record, True
        values: tuple[Any, ...] = (None, None, b"[]")
        if letter.replayed:
            values = record.key, record.value, _pack(record)
        added = self._sql.execute(ADD, (position(record), letter.replayed, record.timestamp, *values))
        return letter.replayed and added.rowcount == 1

    def resolve(self, record: Record) -> Record | None:
        """The record that counts at this one's position, or None where it was dead-lettered."""
        if not self._any:
            return record
        row = self._sql.execute(
            "SELECT replayed, timestamp, key, value, headers FROM letters WHERE n = ?", (position(record),)
        ).fetchone()
        if row is None:
            return record
        replayed, timestamp, key, value, headers = row
        if not replayed:
            return None
        return PlainRecord(
            record.topic, record.partition, record.offset, timestamp, key, value, _unpack(headers)
        )


def _pack(record: Record) -> bytes:
    return orjson.dumps(
        [[name, None if value is None else value.decode("latin-1")] for name, value in record.headers]
    )


def _unpack(headers: bytes) -> tuple[tuple[str, bytes | None], ...]:
    return tuple(
        (name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(headers)
    )
