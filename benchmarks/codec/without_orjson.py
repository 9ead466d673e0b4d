"""Faust without orjson: a program that measures its paths when it is told to, and the side that tells it.

Faust chooses its JSON module when it is imported, so this takes a process of its own. It measures only between
a question and its answer, so its paths take their turns among those of the process that asks.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path as File
from typing import IO, cast

from benchmarks.codec.documents import documents
from benchmarks.codec.path import Direction, WrongResultError

__all__ = ["RemotePath", "paths_without_orjson"]

ROOT = File(__file__).parents[2]
STOP_SECONDS = 10.0
FASTER = ("orjson", "simplejson")
"""What Faust would take instead of the standard library."""


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A path of the other process.

    Attributes:
        direction: which way.
        name: short; unique within the direction.
        title: for people.
        process: the process.
    """

    direction: Direction
    name: str
    title: str
    process: subprocess.Popen[str]

    def run(self, count: int) -> float:
        """Handle so many messages; the seconds that it took.

        Raises:
            WrongResultError: the process is gone.
        """
        with suppress(BrokenPipeError):  # the answer that is missing then says more
            print(self.direction, self.name, count, file=self.process.stdin, flush=True)
        return float(_line(self.process))


@contextmanager
def paths_without_orjson() -> Iterator[list[RemotePath]]:
    """Every path of the other process, while it runs.

    Raises:
        WrongResultError: it did not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            described = cast(list[tuple[Direction, str, str]], json.loads(_line(process)))
            yield [RemotePath(direction, name, title, process) for direction, name, title in described]
        finally:
            process.kill()  # it keeps nothing
            with suppress(BrokenPipeError):
                cast(IO[str], process.stdin).close()


def _line(process: subprocess.Popen[str]) -> str:
    line = cast(IO[str], process.stdout).readline()
    if not line:
        raise WrongResultError(
            f"the process without orjson ended with exit code {process.wait(STOP_SECONDS)}"
        )
    return line


def main() -> None:
    """Measure what standard input asks for, until it ends."""
    for name in FASTER:
        sys.modules[name] = None  # type: ignore[assignment] # an import of it now fails
    from benchmarks.codec.plain import plain_paths  # noqa: PLC0415 - not before orjson is gone

    asyncio.set_event_loop(asyncio.new_event_loop())  # futures want one, and nothing runs on it
    paths = {
        (path.direction, path.name): path
        for path in plain_paths("no orjson")
        if path.name != "bytes"  # JSON is no part of that
    }
    for path in paths.values():
        path.check(documents())
    print(json.dumps([(path.direction, path.name, path.title) for path in paths.values()]), flush=True)
    for line in sys.stdin:
        direction, name, count = line.split()
        print(paths[cast(Direction, direction), name].run(int(count)), flush=True)


if __name__ == "__main__":
    main()
