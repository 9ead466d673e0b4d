"""How a user's hook is called: a cancellation of its own is a failure, and one of whoever calls it is none."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

__all__ = ["Hook", "call"]

Hook = Callable[[frozenset[int]], Awaitable[Any] | Any]
"""Is called with the partitions that a member lost, or gained; sync or async."""


async def call(hook: Hook, partitions: frozenset[int]) -> None:
    """Call a hook, sync or async.

    Raises:
        Exception: whatever the hook raised; RuntimeError where that was the cancellation of something else.
        asyncio.CancelledError: the task that runs this was cancelled.
    """
    try:
        answer = hook(partitions)
        if isawaitable(answer):
            await answer
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("the hook raised CancelledError, and nobody had cancelled it") from error
