"""The tasks in which a subscription calls its user's functions, and the one in which it ends."""

import asyncio
from collections.abc import Callable
from functools import wraps
from inspect import isawaitable
from typing import Any, TypeVar

from prom_faust.lane.faust import Stop

__all__ = ["AtWork", "ending"]

T = TypeVar("T")


class AtWork:
    """A user's functions that are at work at this moment: what they wait for must not wait for them."""

    def __init__(self) -> None:
        self._tasks: list[
            asyncio.Task[Any] | None
        ] = []  # a task is here twice if a function has called another

    def within(self, function: Callable[[T], Any]) -> Callable[[T], Any]:
        """The same function, sync or async; the task that calls it is known for as long as that takes."""

        @wraps(function)
        async def call(argument: T) -> None:
            task = asyncio.current_task()
            self._tasks.append(task)
            try:
                answer = function(argument)
                if isawaitable(answer):
                    await answer
            finally:
                self._tasks.remove(task)

        return call

    @property
    def here(self) -> bool:
        """Whether it is one of them that asks."""
        return asyncio.current_task() in self._tasks


def ending(end: Stop, at_work: AtWork) -> Stop:
    """Something that happens once, in a task of its own, whoever asks for it and however often.

    Whoever asks waits for it, except for a function that is at work: it would wait for itself.
    """
    task: asyncio.Task[None] | None = None

    async def stop() -> None:
        nonlocal task
        if task is None:
            task = asyncio.ensure_future(end())
        if at_work.here:
            await asyncio.sleep(0)  # it has begun
        else:
            await asyncio.shield(task)

    return stop
