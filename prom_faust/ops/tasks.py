"""Answers that are shared, and work that is done in the app's own event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prom_faust.exceptions import PromFaustError

__all__ = ["Answer", "Cached", "in_loop"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """An answer, and how old it is.

    Attributes:
        value: the last answer; None where there never was one.
        age: seconds since it was given; None where it never was.
        error: why there is no newer one; None where the answer is fresh.
    """

    value: T | None
    age: float | None
    error: str | None


class Cached(Generic[T]):
    """A question whose answer serves everybody for a while, so that many who ask do not become many questions.

    Only one question is under way at a time, and nobody waits for longer than ``timeout``: then the last answer
    has to do. That it failed is also an answer for a while.

    Args:
        ask: asks.
        fresh: seconds for which an answer, or a failure, serves.
        timeout: seconds that an answer may take.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], *, fresh: float = 1.0, timeout: float = 2.0) -> None:
        self._ask = ask
        self._fresh = fresh
        self._timeout = timeout
        self._value: T | None = None
        self._answered_at: float | None = None
        self._tried_at: float | None = None
        self._error: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def get(self) -> Answer[T]:
        """The answer, at most ``fresh`` seconds old, or the last one with its age."""
        loop = asyncio.get_running_loop()
        if self._tried_at is None or loop.time() - self._tried_at > self._fresh:
            if self._task is None:
                self._task = asyncio.create_task(self._try())
            await asyncio.wait([self._task], timeout=self._timeout)
        age = None if self._answered_at is None else loop.time() - self._answered_at
        return Answer(self._value, age, self._error)

    async def _try(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout * 0.9):
                self._value = await self._ask()
        except TimeoutError:
            self._error = f"Kafka gave no answer within {self._timeout:g} s"
        except Exception as error:  # noqa: BLE001 - whatever it is, the page shows it and goes on
            self._error = str(error) if isinstance(error, PromFaustError) else repr(error)
        else:
            self._answered_at, self._error = loop.time(), None
        finally:
            self._tried_at, self._task = loop.time(), None

    async def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


async def in_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], *, timeout: float) -> T:
    """Do work in a loop, which may be another one than that of the caller: Faust's web server can have a thread.

    Raises:
        TimeoutError: it was not done in time.
    """
    if loop is asyncio.get_running_loop():
        async with asyncio.timeout(timeout):
            return await work
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.wrap_future(future)
    except TimeoutError:
        future.cancel()
        raise
