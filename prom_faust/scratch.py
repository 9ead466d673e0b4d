"""What does not fit into memory and need not outlive its use: an SQLite database of its own, on disk. Pure."""

import sqlite3
from types import TracebackType
from typing import Self

__all__ = ["Scratch"]

CACHE_KIB = 32 * 1024
PRAGMAS = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -{kib};
"""


class Scratch:
    """The database; who keeps something in it is one. A context manager: it is gone afterwards.

    Args:
        tables: the statements that make its tables.
        cache_kib: how much of it may be in memory, in KiB.
    """

    def __init__(self, tables: str, *, cache_kib: int = CACHE_KIB) -> None:
        # Without a name SQLite keeps it in a file that nobody else sees. Long steps run in a thread, one at a time.
        self._sql = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._sql.executescript(PRAGMAS.format(kib=cache_kib) + tables)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget all of it."""
        self._sql.close()
