"""The keys that were seen in some partitions, on disk: memory stays the same however many there are."""

from collections.abc import Iterable

from prom_faust.scratch import Scratch
from prom_faust.sink.key import Key

__all__ = ["SeenKeys"]

TABLE = """
    CREATE TABLE seen (partition INTEGER, key, PRIMARY KEY (partition, key)) WITHOUT ROWID;
"""


class SeenKeys(Scratch):
    """A set of partitions and keys."""

    def __init__(self) -> None:
        super().__init__(TABLE)

    def add(self, partition: int, keys: Iterable[Key]) -> None:
        """These keys have a record in the partition."""
        self._sql.execute("BEGIN")
        self._sql.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", ((partition, key) for key in keys))
        self._sql.execute("COMMIT")

    def has(self, partition: int, key: Key) -> bool:
        """Whether the key was seen in the partition."""
        query = "SELECT 1 FROM seen WHERE partition = ? AND key = ?"
        return self._sql.execute(query, (partition, key)).fetchone() is not None
