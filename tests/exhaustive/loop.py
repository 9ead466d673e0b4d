"""An event loop without sockets and without waiting: what is next runs at once, and time is a number.

A flight is run some hundred thousand times. On asyncio's own loop its timeouts would be real, and each run would
cost a selector's system calls.
"""

import asyncio
import heapq
from collections import deque

__all__ = ["Loop"]


class Loop(asyncio.AbstractEventLoop):
    """As much of a loop as tasks, futures and timeouts need."""

    def __init__(self):
        self._ready = deque()
        self._timers = []
        self._now = 0.0
        self._tasks = []

    def run(self, coroutine):
        """Run until the coroutine is done, and then until nothing is ready any more."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(coroutine)
            while not task.done() or self._ready:
                while not self._ready:
                    self._advance()
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()
            return task.result()
        finally:
            asyncio._set_running_loop(None)

    def _advance(self):
        assert self._timers, "everything waits, and nothing will come"
        timer = heapq.heappop(self._timers)
        if not timer._cancelled:
            self._now = timer.when()
            self._ready.append(timer)

    def time(self):
        return self._now

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, timer)
        return timer

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coroutine, **kwargs):
        task = asyncio.Task(coroutine, loop=self, **kwargs)
        self._tasks.append(task)
        return task

    def cancel_all(self):
        """End whatever still runs, but for the caller."""
        for task in self._tasks:
            if task is not asyncio.current_task(self):
                task.cancel()

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def _timer_handle_cancelled(self, handle):
        pass

    def call_exception_handler(self, context):
        """A crash ends tasks whose outcome nobody asks for."""
