"""The rounds: every path in every round, in short turns, so that all see the same machine."""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from benchmarks.codec.documents import documents
from benchmarks.codec.ours import our_paths
from benchmarks.codec.path import Direction, Timed
from benchmarks.codec.peer import peer_paths
from benchmarks.codec.plain import plain_paths
from benchmarks.codec.without_orjson import paths_without_orjson
from benchmarks.servers import Progress

__all__ = ["STDLIB", "Row", "Rows", "measure_codec"]

STDLIB = "no orjson: "
"""Before the names of the paths of the process without orjson."""

TURNS = 12
TURN_SECONDS = 0.02
FIRST_COUNT = 16


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one path.

    Attributes:
        title: the path, for people.
        micros: microseconds per message, one number per round.
    """

    title: str
    micros: list[float] = field(default_factory=list)


Rows = dict[tuple[Direction, str], Row]


@dataclass(frozen=True, slots=True)
class _Contender:
    """A path in the rounds; ``count`` messages are about one turn."""

    timed: Timed
    row: Row
    count: int

    def measure(self) -> float:
        """Microseconds per message, of one turn."""
        return self.timed.run(self.count) / self.count * 1e6


def measure_codec(rows: Rows, *, rounds: int, progress: Progress) -> None:
    """Measure every path in every round.

    A round is several turns of every path, in an order that turns, and its number is the median of a path's turns.

    Args:
        rows: taken up round by round.
        rounds: how many.
        progress: told what is running.

    Raises:
        MissingError: the peer is not installed.
        WrongResultError: a path does not give the documents.
    """
    progress("making and checking the codecs' paths")
    with _event_loop(), paths_without_orjson() as remote:
        local = [*plain_paths("orjson"), *peer_paths(), *our_paths()]
        for path in local:
            path.check(documents())
        named = [(path.name, path) for path in local] + [(f"{STDLIB}{path.name}", path) for path in remote]
        contenders = [_contender(rows, name, path) for name, path in named]
        # What is there before is no garbage of a message.
        gc.collect()
        gc.freeze()
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}: codecs")
            _round(contenders)
        gc.unfreeze()


def _contender(rows: Rows, name: str, timed: Timed) -> _Contender:
    row = rows.setdefault((timed.direction, name), Row(timed.title))
    return _Contender(timed, row, _count(timed))


def _count(timed: Timed) -> int:
    """How many messages last about a turn; finding out warms the path up."""
    count = FIRST_COUNT
    while (taken := timed.run(count)) < TURN_SECONDS / 2:
        count *= 2
    return max(round(count * TURN_SECONDS / taken), 1)


def _round(contenders: Sequence[_Contender]) -> None:
    found: list[list[float]] = [[] for _ in contenders]
    for turn in range(TURNS):
        first = turn * len(contenders) // TURNS
        for index in [*range(first, len(contenders)), *range(first)]:
            found[index].append(contenders[index].measure())
    for contender, turns in zip(contenders, found, strict=True):
        contender.row.micros.append(median(turns))


@contextmanager
def _event_loop() -> Iterator[None]:
    """A loop that does not run: what ``topic.send`` makes of a record is a future."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()
