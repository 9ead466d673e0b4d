"""The keys that were seen in some partitions, on disk: memory stays the same however many there are."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from prom_faust.sink.key import Key

__all__ = ["SeenKeys"]

CACHE_KIB = 32 * 1024
TABLE = f"""
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA cache_size = -{CACHE_KIB};
    CREATE TABLE seen (partition INTEGER, key, PRIMARY KEY (partition, key)) WITHOUT ROWID;
"""


class SeenKeys:
    """A set of partitions and keys. A context manager: the file is gone afterwards."""

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="prom-faust-seen-")
        self._sql = sqlite3.connect(Path(self._directory.name) / "seen.sqlite", isolation_level=None)
        self._sql.executescript(TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sql.close()
        self._directory.cleanup()

    def add(self, partition: int, keys: Iterable[Key]) -> None:
        """These keys have a record in the partition."""
        self._sql.execute("BEGIN")
        self._sql.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", ((partition, key) for key in keys))
        self._sql.execute("COMMIT")

    def has(self, partition: int, key: Key) -> bool:
        """Whether the key was seen in the partition."""
        query = "SELECT 1 FROM seen WHERE partition = ? AND key = ?"
        return self._sql.execute(query, (partition, key)).fetchone() is not None
