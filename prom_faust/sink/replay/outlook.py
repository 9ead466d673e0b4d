"""What the log holds for the keys of some candidates: enough to say which of them would stand. Pure.

One SQLite file in a temporary folder, so that memory stays the same however many candidates there are.
"""

from collections.abc import Iterable
from typing import NamedTuple

from prom_faust.scratch import Scratch
from prom_faust.sink.key import Key
from prom_faust.sink.verify.fold import fold

__all__ = ["Outlook", "Sighting"]

TABLES = """
    CREATE TABLE changes (key, n INTEGER, version INTEGER, deletes INTEGER NOT NULL, PRIMARY KEY (key, n))
        WITHOUT ROWID;
    CREATE TABLE candidates (n INTEGER PRIMARY KEY, key, timestamp INTEGER NOT NULL, is_foreign INTEGER NOT NULL);
    CREATE TABLE dead (n INTEGER PRIMARY KEY);
"""
ROWS = "SELECT key, n, version, deletes FROM changes WHERE key = ?"


class Sighting(NamedTuple):
    """What one record does: its packed position, key, version, whether it deletes, and its timestamp in ms."""

    n: int
    key: Key
    version: int | None
    deletes: bool
    timestamp: int


class Outlook(Scratch):
    """The store.

    Candidates are added first, then what the log holds: a dead letter takes its record out before it is seen.

    Args:
        versioned: whether the projection has a version function.
    """

    def __init__(self, *, versioned: bool) -> None:
        self._versioned = versioned
        super().__init__(TABLES)

    def add(self, candidates: Iterable[Sighting]) -> None:
        """Add candidates; of one position the last."""
        self._sql.execute("BEGIN")
        for one in candidates:
            self._put(one, "INSERT OR REPLACE")
            row = (one.n, one.key, one.timestamp)
            self._sql.execute("INSERT OR REPLACE INTO candidates VALUES (?, ?, ?, 0)", row)
        self._sql.execute("COMMIT")

    def bury(self, positions: Iterable[int]) -> None:
        """The records of these positions are dead-lettered: they do not count, candidates apart."""
        self._sql.execute("BEGIN")
        self._sql.executemany("INSERT OR IGNORE INTO dead VALUES (?)", ((n,) for n in positions))
        self._sql.execute("COMMIT")

    def see(self, records: Iterable[Sighting], *, replayed: bool = False) -> None:
        """Take in what the log holds, or what was replayed; records of other keys are passed over."""
        self._sql.execute("BEGIN")
        for one in records:
            if self.knows(one.key) and (replayed or not self._is_dead(one.n)):
                self._put(one, "INSERT OR IGNORE")
        self._sql.execute("COMMIT")

    def meet(self, n: int, timestamp: int) -> None:
        """The log has a record at this position; a candidate with another timestamp is of another log."""
        query = "UPDATE candidates SET is_foreign = 1 WHERE n = ? AND timestamp <> ? RETURNING key"
        for (key,) in self._sql.execute(query, (n, timestamp)).fetchall():
            self._sql.execute("DELETE FROM changes WHERE key = ? AND n = ?", (key, n))

    def knows(self, key: Key) -> bool:
        """Whether there is a candidate of this key."""
        return self._sql.execute("SELECT 1 FROM changes WHERE key = ? LIMIT 1", (key,)).fetchone() is not None

    def is_foreign(self, n: int) -> bool:
        """Whether the log holds another record at the candidate's position."""
        row = self._sql.execute("SELECT is_foreign FROM candidates WHERE n = ?", (n,)).fetchone()
        return row is not None and bool(row[0])

    def winner(self, key: Key) -> int | None:
        """The packed position of the change that should stand for a key, of all that are known."""
        if self._versioned:
            outcome = next(fold(self._sql.execute(f"{ROWS} ORDER BY n", (key,)), versioned=True), None)
            return None if outcome is None else outcome.n
        found: int | None = self._sql.execute("SELECT max(n) FROM changes WHERE key = ?", (key,)).fetchone()[
            0
        ]
        return found

    def _put(self, one: Sighting, how: str) -> None:
        self._sql.execute(
            f"{how} INTO changes VALUES (?, ?, ?, ?)", (one.key, one.n, one.version, one.deletes)
        )

    def _is_dead(self, n: int) -> bool:
        return self._sql.execute("SELECT 1 FROM dead WHERE n = ?", (n,)).fetchone() is not None
