"""How fast records are applied late."""

import asyncio
import time

__all__ = ["CHUNK", "Pace"]

CHUNK = 500
"""Records that are worked on at once."""


class Pace:
    """Waits so long that no more than so many records a second are worked on.

    Args:
        rate: records per second, or None for as fast as it goes.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = time.monotonic()

    @property
    def chunk(self) -> int:
        """Records that are worked on at once."""
        return CHUNK if self._rate is None else max(1, min(CHUNK, int(self._rate)))

    async def after(self, count: int) -> None:
        """Wait after so many."""
        if self._rate is not None:
            self._next = max(self._next, time.monotonic() - 1.0) + count / self._rate
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))
