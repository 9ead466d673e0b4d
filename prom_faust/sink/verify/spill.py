"""Changes of a whole topic, on disk: memory stays the same however long the topic is.

One SQLite file in a temporary folder. A change is stored at its packed position, so that a dead letter
takes it out and a replayed letter puts it back in, whichever is read first. The fold goes through an index
in the order (key, position) and leaves one row per key; the documents' bodies are only looked up where they
are compared.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from prom_faust.scratch import Scratch
from prom_faust.sink.key import JsonKey, Key
from prom_faust.sink.log.entry import DEAD, LIVE, NULL, POISON, Entry
from prom_faust.sink.order import OFFSET_BITS
from prom_faust.sink.verify.compare import Facts
from prom_faust.sink.verify.fold import Outcome, Row, fold

__all__ = ["Spill"]

CACHE_KIB = 64 * 1024
FOLD_SLICE = 5_000
"""Keys folded in one step, some 10 ms."""

TABLES = """
    CREATE TABLE changes (n INTEGER PRIMARY KEY, key, version INTEGER, kind INTEGER NOT NULL,
                          replayed INTEGER NOT NULL, body BLOB);
    CREATE TABLE expected (key PRIMARY KEY, n INTEGER NOT NULL, found INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE suspects (key PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE left_behind (n INTEGER PRIMARY KEY);
"""
ADD = """
    INSERT INTO changes VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT (n) DO UPDATE
    SET key = coalesce(changes.key, excluded.key)
"""
LETTER = """
    INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (n) DO UPDATE
    SET key = coalesce(excluded.key, changes.key), version = excluded.version, kind = excluded.kind,
        replayed = excluded.replayed, body = excluded.body
    WHERE NOT changes.replayed
"""
ROWS = f"SELECT key, n, version, kind = {NULL} FROM changes WHERE kind <= {NULL}"  # noqa: S608 - a constant


# SQLite takes the kind from the row that has the greatest position.
LEFTOVER = f"""
    FROM (SELECT key, max(n) AS n, kind FROM changes WHERE kind <= {NULL} GROUP BY key, n >> {OFFSET_BITS})
    WHERE kind = {LIVE} AND n IN left_behind
"""  # noqa: S608 - constants


class Spill(Scratch):
    """The store.

    Args:
        versioned: whether the projection has a version function.
    """

    def __init__(self, *, versioned: bool) -> None:
        self.versioned = versioned
        super().__init__(TABLES, cache_kib=CACHE_KIB)

    # -- filling ---------------------------------------------------------------------------------------------

    def add(self, entries: Iterable[Entry]) -> None:
        """Store records; a letter of the same position that is there already prevails."""
        self._sql.execute("BEGIN")
        self._sql.executemany(ADD, entries)
        self._sql.execute("COMMIT")

    def add_letter(self, entry: Entry, *, replayed: bool) -> None:
        """Store a letter in the place of its record.

        The first replay stays: nothing replaces a document of the same position, neither a second replay nor
        the letter of a record that was delivered again.
        """
        n, key, version, kind, body = entry
        self._sql.execute(LETTER, (n, key, version, kind, int(replayed), body))

    def add_left_behind(self, positions: Iterable[int]) -> None:
        """These records stand where their keys were before the topic grew."""
        self._sql.execute("BEGIN")
        self._sql.executemany("INSERT OR IGNORE INTO left_behind VALUES (?)", ((n,) for n in positions))
        self._sql.execute("COMMIT")

    def index(self) -> None:
        """Sort by key; the records that come later are sorted in as they come."""
        self._sql.execute("CREATE INDEX IF NOT EXISTS by_key ON changes (key, n, version, kind)")

    # -- folding ---------------------------------------------------------------------------------------------

    def fold_slices(self) -> Iterator[int]:
        """Fold every key, slice by slice; gives the number of documents expected so far."""
        outcomes = fold(self._rows(f"{ROWS} ORDER BY key, n"), versioned=self.versioned)
        expected = 0
        while part := list(islice(outcomes, FOLD_SLICE)):
            rows = [(outcome.key, outcome.n) for outcome in part if not outcome.deletes]
            self._sql.execute("BEGIN")
            self._sql.executemany("INSERT INTO expected VALUES (?, ?, 0)", rows)
            self._sql.execute("COMMIT")
            expected += len(rows)
            yield expected

    def standing(self) -> Iterator[tuple[int, bytes]]:
        """Position and document of every key that was folded to one, by position."""
        yield from self._sql.execute(
            "SELECT changes.n, changes.body FROM expected JOIN changes ON changes.n = expected.n ORDER BY changes.n"
        )

    def outcome(self, key: Key) -> Outcome | None:
        """What should stand for one key, with everything that was read by now."""
        rows = self._rows(f"{ROWS} AND key = ? ORDER BY n", (key,))
        return next(fold(rows, versioned=self.versioned), None)

    def _rows(self, query: str, values: Sequence[Key] = ()) -> Iterator[Row]:
        for key, n, version, deletes in self._sql.execute(query, values):
            yield _key(key), n, version, bool(deletes)

    def body(self, n: int) -> bytes | None:
        """The document of a position."""
        row = self._sql.execute("SELECT body FROM changes WHERE n = ?", (n,)).fetchone()
        return row[0] if row else None

    # -- comparing -------------------------------------------------------------------------------------------

    def expected_body(self, key: Key) -> bytes | None:
        """The document that should stand for a key, as it was folded."""
        row = self._sql.execute(
            "SELECT body FROM changes WHERE n = (SELECT n FROM expected WHERE key = ?)", (key,)
        ).fetchone()
        return row[0] if row else None

    def mark_found(self, keys: Iterable[Key]) -> None:
        """A document of each of these keys stands."""
        self._sql.execute("BEGIN")
        self._sql.executemany("UPDATE expected SET found = found + 1 WHERE key = ?", ((key,) for key in keys))
        self._sql.execute("COMMIT")

    def suspect(self, keys: Iterable[Key]) -> None:
        """Remember keys that need a closer look."""
        self._sql.execute("BEGIN")
        self._sql.executemany("INSERT OR IGNORE INTO suspects VALUES (?)", ((key,) for key in keys))
        self._sql.execute("COMMIT")

    def suspect_miscounted(self) -> None:
        """Suspect every key that should have a document and has none, or several."""
        self._sql.execute("INSERT OR IGNORE INTO suspects SELECT key FROM expected WHERE found <> 1")

    def acquit(self, keys: Iterable[Key]) -> None:
        """These keys are right after all."""
        self._sql.execute("BEGIN")
        self._sql.executemany("DELETE FROM suspects WHERE key = ?", ((key,) for key in keys))
        self._sql.execute("COMMIT")

    def suspects(self, size: int) -> Iterator[list[Key]]:
        """The suspected keys, in chunks."""
        last: Sequence[Key] = ()
        while True:
            where = "WHERE key > ?" if last else ""
            query = f"SELECT key FROM suspects {where} ORDER BY key LIMIT {size}"  # noqa: S608 - our own text
            chunk = [_key(key) for (key,) in self._sql.execute(query, last)]
            if not chunk:
                return
            yield chunk
            last = chunk[-1:]

    def facts(self, key: Key, n: int, *, ahead: bool, beyond: bool, outlived: bool = False) -> Facts:
        """What the log says of the record at ``n``, which a document of ``key`` names as its source."""
        row = self._sql.execute("SELECT kind FROM changes WHERE n = ?", (n,)).fetchone()
        (later,) = self._sql.execute(
            "SELECT max(n) FROM changes WHERE key = ? AND n > ? AND n < ?",
            (key, n, ((n >> OFFSET_BITS) + 1) << OFFSET_BITS),
        ).fetchone()
        dead = row is not None and row[0] in {DEAD, POISON}
        return Facts(
            known=row is not None, dead=dead, later=later, ahead=ahead, beyond=beyond, outlived=outlived
        )

    # -- counting --------------------------------------------------------------------------------------------

    def count(self, kind: int) -> int:
        """How many positions hold this kind."""
        (count,) = self._sql.execute("SELECT count(*) FROM changes WHERE kind = ?", (kind,)).fetchone()
        return int(count)

    def is_left_behind(self, n: int) -> bool:
        """Whether the record of this position stands where its key was before the topic grew."""
        return self._sql.execute("SELECT 1 FROM left_behind WHERE n = ?", (n,)).fetchone() is not None

    def count_leftover(self) -> int:
        """How many keys have a document's record as their last one in a partition that they have left."""
        if not self._any_left_behind():
            return 0
        return int(self._sql.execute(f"SELECT count(DISTINCT key) {LEFTOVER}").fetchone()[0])

    def leftover(self, limit: int) -> list[tuple[Key, int]]:
        """The first such records: key and position."""
        if not self._any_left_behind():
            return []
        rows = self._sql.execute(f"SELECT key, n {LEFTOVER} ORDER BY n LIMIT ?", (limit,))
        return [(_key(key), n) for key, n in rows]

    def _any_left_behind(self) -> bool:
        return self._sql.execute("SELECT 1 FROM left_behind LIMIT 1").fetchone() is not None

    def poison(self, limit: int) -> list[tuple[int, Key | None, str]]:
        """The first records that do not decode and have no letter: position, key, error."""
        query = "SELECT n, key, body FROM changes WHERE kind = ? ORDER BY n LIMIT ?"
        rows = self._sql.execute(query, (POISON, limit))
        return [(n, None if key is None else _key(key), body.decode()) for n, key, body in rows]


def _key(cell: str | float | bytes) -> Key:
    return JsonKey(cell) if isinstance(cell, bytes) else cell
