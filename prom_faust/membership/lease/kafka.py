"""A member's lease, and queues that give a stream nothing while it is over.

A worker that stood still for longer than its session (SIGSTOP, a frozen container) has lost its partitions, and
learns it a moment after it goes on. What its streams would handle in that moment another worker has handled before,
and the last write to a table's changelog would be the older one. An adapter over private members of aiokafka 0.14 and
mode 0.7.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

from mode.utils.queues import ThrowableQueue

__all__ = ["HeldQueue", "Lease"]

LOOK_SECONDS = 0.05
"""How long one that is held waits before it looks again; the answer to a heartbeat takes about as long."""


class Lease:
    """A session, counted from the last heartbeat that the group's coordinator answered; written in any thread.

    Before the first assignment there is nothing to lose, and it does not end.

    Args:
        session_timeout: seconds after which the group takes a silent member for dead.
    """

    __slots__ = ("_end", "_session_timeout")

    def __init__(self, session_timeout: float) -> None:
        self._session_timeout = session_timeout
        self._end = math.inf

    @property
    def over(self) -> bool:
        """Whether the group may have given the partitions to another member."""
        return time.monotonic() >= self._end

    def renew(self, heard: float) -> None:
        """The group takes us for a member.

        Args:
            heard: seconds of the monotonic clock; not later than the coordinator heard of us.
        """
        self._end = heard + self._session_timeout

    def listen(self, coordinator: Any) -> None:
        """Let the heartbeats of a started consumer renew it."""
        beat = coordinator._do_heartbeat  # noqa: SLF001 - aiokafka tells nobody of its heartbeats

        async def noted() -> bool:
            sent = time.monotonic()
            answered = bool(await beat())
            if answered:
                self.renew(sent)
            return answered

        coordinator._do_heartbeat = noted  # noqa: SLF001

    async def wait(self, flows: Callable[[], bool]) -> None:
        """Wait until it is renewed, or nothing flows any more: a rebalance has begun, or the worker ends.

        Args:
            flows: whether records may go to the streams.
        """
        while self.over and flows():  # noqa: ASYNC110 - it is renewed in another thread
            await asyncio.sleep(LOOK_SECONDS)


class HeldQueue(ThrowableQueue[Any]):
    """A stream's queue, which gives nothing while the lease is over.

    If a rebalance comes it gives what it held, and Faust's stream leaves it out: it looks at the flow, and at the
    generation of each event.

    Args:
        lease: the lease of the app's consumer.
    """

    def __init__(self, *args: Any, lease: Lease, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lease = lease

    async def get(self) -> Any:
        """The next event."""
        event = await super().get()
        if self._lease.over:
            try:
                await self._lease.wait(self._flow_control.is_active)
            except asyncio.CancelledError:
                self._queue.appendleft(event)  # type: ignore[attr-defined] # for the stream that takes its place
                raise
        return event
