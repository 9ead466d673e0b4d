"""The dead letters of one group and topic, by the position of their record: on disk, for there may be many.

They count as in a verification: a letter takes its record out, whether or not it decodes by now, and the first one
that says that the record was replayed puts it back in with the value that was replayed.
"""

from collections.abc import Iterator, Mapping

import orjson

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.lane.record import PlainRecord, Record
from prom_faust.scratch import Scratch
from prom_faust.sink.event import position

__all__ = ["Letters"]

TABLE = """
    CREATE TABLE letters (n INTEGER PRIMARY KEY, replayed INTEGER NOT NULL, taken INTEGER NOT NULL,
                          partition INTEGER NOT NULL, offset INTEGER NOT NULL, timestamp INTEGER NOT NULL,
                          key BLOB, value BLOB, headers BLOB);
    CREATE INDEX waiting ON letters (n) WHERE replayed AND NOT taken;
"""
ADD = """
    INSERT INTO letters VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?) ON CONFLICT (n) DO UPDATE
    SET replayed = excluded.replayed, timestamp = excluded.timestamp, key = excluded.key, value = excluded.value,
        headers = excluded.headers
    WHERE NOT letters.replayed
"""
REPLAYED = "SELECT partition, offset, timestamp, key, value, headers FROM letters"
TAKE = "UPDATE letters SET taken = 1 WHERE n = ?"


class Letters(Scratch):
    """The letters of one topic that were read. Close it.

    Args:
        topic: the topic's name.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(TABLE)
        self._topic = topic
        self._any = False

    def add(self, letter: DeadLetter) -> None:
        """Take a letter in."""
        record, self._any = letter.record, True
        # Only what is applied needs more than its position.
        kept = (record.key, record.value, _pack(record)) if letter.replayed else (None, None, None)
        place = (record.partition, record.offset, record.timestamp)
        self._sql.execute(ADD, (position(record), letter.replayed, *place, *kept))

    def resolve(self, record: Record) -> Record | None:
        """The record that counts at this one's position, or None where it was dead-lettered."""
        if not self._any:
            return record
        n = position(record)
        known = self._sql.execute("SELECT replayed FROM letters WHERE n = ?", (n,)).fetchone()
        if known is None:
            return record
        return self._take(n) if known[0] else None

    def left(self, before: Mapping[int, int]) -> Iterator[Record]:
        """Replayed records that no read record was resolved to: replayed later, or cleaned away from the topic.

        Args:
            before: partition to the offset before which the topic was read.
        """
        query = "SELECT n, partition, offset FROM letters WHERE replayed AND NOT taken ORDER BY n"
        for n, partition, offset in self._sql.execute(query).fetchall():
            if offset < before.get(partition, 0):
                yield self._take(n)

    def _take(self, n: int) -> Record:
        self._sql.execute(TAKE, (n,))
        partition, offset, timestamp, key, value, headers = self._sql.execute(
            f"{REPLAYED} WHERE n = ?", (n,)
        ).fetchone()
        return PlainRecord(self._topic, partition, offset, timestamp, key, value, _unpack(headers))


def _pack(record: Record) -> bytes:
    return orjson.dumps(
        [[name, None if value is None else value.decode("latin-1")] for name, value in record.headers]
    )


def _unpack(headers: bytes) -> tuple[tuple[str, bytes | None], ...]:
    return tuple(
        (name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(headers)
    )
