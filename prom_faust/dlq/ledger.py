"""Dead letters by their record: which of them still wait. Pure.

A record's letters stand in the order in which they were published, the last of each consumer says what has become of
it. One SQLite file in a temporary folder, so that memory stays the same however many letters there are.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.dlq.filter import Filter, Row
from prom_faust.scratch import Scratch

__all__ = ["Filed", "Ledger"]

MESSAGE_LIMIT = 300

Filed = tuple[tuple[int, int], DeadLetter]
"""Where a letter stands, partition and offset of the dead-letter topic, and the letter."""

TABLES = """
    CREATE TABLE letters (topic, "partition", "offset", consumer, state, error_class, message, attempts, died_at,
                          redacted, key, at_partition, at_offset,
                          PRIMARY KEY (topic, "partition", "offset", consumer)) WITHOUT ROWID;
    CREATE TABLE chosen (topic, at_partition, at_offset, PRIMARY KEY (topic, at_partition, at_offset))
        WITHOUT ROWID;
"""
COLUMNS = (
    'topic, "partition", "offset", consumer, state, error_class, message, attempts, died_at, redacted, key, '
    "at_partition, at_offset"
)


class Ledger(Scratch):
    """The store."""

    def __init__(self) -> None:
        super().__init__(TABLES)

    def file(self, letters: Iterable[Filed]) -> None:
        """Take in letters, in the order in which they stand."""
        marks = ", ".join("?" * 13)
        self._sql.execute("BEGIN")
        self._sql.executemany(
            f"INSERT OR REPLACE INTO letters ({COLUMNS}) VALUES ({marks})",  # noqa: S608 - constants
            (
                (
                    *(letter.record.topic, letter.record.partition, letter.record.offset, letter.consumer),
                    *(letter.state.value, letter.error_class, letter.message[:MESSAGE_LIMIT]),
                    *(letter.attempts, letter.died_at, letter.redacted, letter.record.key, *place),
                )
                for place, letter in letters
            ),
        )
        self._sql.execute("COMMIT")

    def rows(self, which: Filter, limit: int | None = None) -> Iterator[Row]:
        """The first letters that are meant, by topic, partition and offset of their records."""
        return islice(self._rows(which), limit)

    def _rows(self, which: Filter) -> Iterator[Row]:
        order = 'topic, "partition", "offset", consumer'
        query = f"SELECT {COLUMNS} FROM letters ORDER BY {order}"  # noqa: S608 - constants
        for *values, at_partition, at_offset in self._sql.execute(query):
            row = Row(*[*values, (at_partition, at_offset)])
            if which.fits(row):
                yield row

    def choose(self, rows: Iterable[Row]) -> int:
        """Remember these, and no others; returns how many they are."""
        self._sql.execute("BEGIN")
        self._sql.execute("DELETE FROM chosen")
        places = ((row.topic, *row.place) for row in rows)
        count = self._sql.executemany("INSERT INTO chosen VALUES (?, ?, ?)", places).rowcount
        self._sql.execute("COMMIT")
        return max(count, 0)

    def is_chosen(self, topic: str, place: tuple[int, int]) -> bool:
        """Whether a chosen letter stands at this place of the topic's dead-letter topic."""
        query = "SELECT 1 FROM chosen WHERE topic = ? AND at_partition = ? AND at_offset = ?"
        return self._sql.execute(query, (topic, *place)).fetchone() is not None

    def chosen_spans(self, topic: str) -> dict[int, tuple[int, int]]:
        """Partition of the topic's dead-letter topic to the offsets between which the chosen letters stand."""
        query = (
            "SELECT at_partition, min(at_offset), max(at_offset) + 1 FROM chosen WHERE topic = ? "
            "GROUP BY at_partition"
        )
        return {number: (begin, end) for number, begin, end in self._sql.execute(query, (topic,))}
