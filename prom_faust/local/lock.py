"""One process at a time: an exclusive lock on a file.

The operating system drops such a lock when its owner ends, however it ends, so no stale lock can
be left behind.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prom_faust.local.progress import Progress, silent

__all__ = ["exclusive"]


@contextmanager
def exclusive(path: Path, *, purpose: str, progress: Progress = silent) -> Iterator[None]:
    """Hold the lock file for the length of the block; wait for it as long as another process has it.

    Args:
        path: the lock file; it and its folder are created, and it stays.
        purpose: what the lock is for, for the line that tells of the wait.
        progress: told once when there is a wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another process that is busy with {purpose}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
