"""One way from values to bytes or back, and how long it takes."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Literal, Protocol

from benchmarks.codec.documents import Document

__all__ = ["Direction", "Path", "Timed", "WrongResultError", "seconds"]

Direction = Literal["send", "message", "receive"]
"""``send``: value to bytes and headers; ``message``: all of it that ``topic.send`` does before the producer is
asked, keys too; ``receive``: message to value."""


class WrongResultError(Exception):
    """A path does not do what the others do, so there is nothing to compare."""


class Timed(Protocol):
    """What can be measured, in this process or in another.

    Attributes:
        direction: which way.
        name: short; unique within the direction.
        title: for people.
    """

    @property
    def direction(self) -> Direction: ...  # noqa: D102 - see above
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102

    def run(self, count: int) -> float:
        """Handle so many messages; the seconds that it took."""
        ...


@dataclass(frozen=True, slots=True)
class Path:
    """A path of this process.

    Attributes:
        direction: which way.
        name: short; unique within the direction.
        title: for people.
        call: handles one message.
        inputs: what it is called with, over and over.
        plain: the document in what ``call`` gives.
    """

    direction: Direction
    name: str
    title: str
    call: Callable[[Any], Any]
    inputs: Sequence[Any]
    plain: Callable[[Any], Any]

    def check(self, wanted: Iterable[Document]) -> None:
        """See that the path gives the documents, as many of them as it is called with.

        Raises:
            WrongResultError: it does not.
        """
        for value, document in zip(self.inputs, wanted, strict=False):
            found = self.plain(self.call(value))
            if found != document:
                raise WrongResultError(
                    f"{self.direction}, {self.title}: {found!r:.200}, not {document!r:.200}"
                )

    def run(self, count: int) -> float:
        """Handle so many messages; the seconds that it took."""
        return seconds(self.call, self.inputs, count)


def seconds(call: Callable[[Any], Any], inputs: Sequence[Any], count: int) -> float:
    """The CPU time of this thread for so many calls: nothing here waits, and other programs do not count.

    The loop's own share is some hundredths of a microsecond per message.
    """
    values = islice(cycle(inputs), count)
    started = time.thread_time()
    for value in values:
        call(value)
    return time.thread_time() - started
