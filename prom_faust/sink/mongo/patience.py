"""Waiting out an outage of MongoDB, for as long as it takes, without losing the batch."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from prom_faust.backoff import Backoff
from prom_faust.exceptions import UnreachableError
from prom_faust.lane.batch import Batch
from prom_faust.sink.stats import SinkStats

__all__ = ["Patience"]

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Patience:
    """Calls MongoDB until it answers.

    Args:
        name: the sink's, for the log.
        stats: notes the outage.
        fields: of every line that is logged.
    """

    def __init__(self, name: str, *, stats: SinkStats, fields: Mapping[str, Any]) -> None:
        self._name = name
        self._stats = stats
        self._fields = fields
        self._calm_since = -math.inf

    @property
    def calm(self) -> float:
        """Seconds since the last outage ended; infinite where there was none."""
        return time.monotonic() - self._calm_since

    async def call(self, batch: Batch, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until the server answers. The deadline of each attempt counts from the check of ownership.

        Raises:
            RevokedError: a partition of the batch was revoked meanwhile.
        """
        backoff = Backoff()
        while True:
            batch.check()
            try:
                result = await attempt()
            except UnreachableError as error:
                self._stats.retries += 1
                if self._stats.outage_begins(str(error), time.monotonic()):
                    logger.warning("sink %s waits: %s", self._name, error, extra=self._fields)
                await self.pause(batch, backoff.next())
            else:
                if self._stats.outage_ends(time.monotonic()):
                    logger.warning("sink %s goes on", self._name, extra=self._fields)
                    self._calm_since = time.monotonic()
                batch.check()
                return result

    async def pause(self, batch: Batch, seconds: float) -> None:
        """Let some time pass; the batch says meanwhile that it waits."""
        batch.waiting = True
        await asyncio.sleep(seconds)
        batch.waiting = False
