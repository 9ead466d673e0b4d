"""The agent of a partitioned consumer: one record after the other within a partition, the partitions side by side."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import faust

from prom_faust.backoff import Backoff
from prom_faust.exceptions import AgentCrashedError, DeadLetterError, RecordError, RevokedError
from prom_faust.lane.agent import Delivery, DeliveryAgent
from prom_faust.lane.batch import Batch, Share
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.logs import place
from prom_faust.partitioned.event import PartitionedEvent

__all__ = ["Bury", "Decode", "Handle", "RecordAgent"]

logger = logging.getLogger(__name__)

PAUSE_CAP = 30.0
"""The longest pause before a record whose handler keeps raising comes again."""

Decode = Callable[[Record], PartitionedEvent | None]
"""Record to event, or None for what is skipped; raises RecordError for what cannot be read."""
Handle = Callable[[PartitionedEvent], Awaitable[bool]]
"""Handles an event; False where nobody is there to do it, so that it has to wait."""
Bury = Callable[[Record, RecordError], Awaitable[DeadLetterError | None]]
"""Publishes the dead letter of a record; gives the error with which that failed."""


class RecordAgent(DeliveryAgent):
    """Hands records on one by one; a record is done when its handler has returned.

    One whose handler raises comes again after a growing pause, and what is behind it in its partition waits for
    it; what is before it is done, and the other partitions go on.

    Args:
        decode: reads a record.
        handle: handles an event.
        bury: of records that cannot be read.
        app: the Faust app.
        name: the agent's name.
    """

    def __init__(
        self, decode: Decode, handle: Handle, bury: Bury, *, app: faust.App, name: str, **kwargs: Any
    ) -> None:
        self._decode = decode
        self._handle = handle
        self._bury = bury
        self._pauses: dict[TopicPartition, tuple[int, Backoff]] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        super().__init__(app=app, name=name, **kwargs)

    async def _run(self, stream: Any) -> None:
        # One actor for all partitions: a batch is a task, and so another one that takes its time blocks nobody.
        async for delivery in stream:
            if delivery.done.done():
                continue
            task = asyncio.create_task(self._see_through(delivery))
            delivery.begin(task)
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    async def _see_through(self, delivery: Delivery) -> None:
        batch = delivery.batch
        try:
            async with asyncio.TaskGroup() as group:
                for name, share in batch.shares.items():
                    group.create_task(self._work_on(batch, name, share))
        except asyncio.CancelledError:
            delivery.fail(RevokedError("the work on the batch was cancelled"))
            raise
        except Exception as error:
            logger.exception("agent %s: a batch failed", self.name)
            delivery.fail(error)
        else:
            delivery.finish()

    async def _work_on(self, batch: Batch, name: TopicPartition, share: Share) -> None:
        """One partition's records, in order, up to the first that has to come again."""
        for record in share.records:
            # Before that it is not known to be done, and after that this may not be reached any more.
            share.done_to = record.offset
            if batch.landing:
                batch.put_back(name, RevokedError(f"{name} is being given back"), since=record.offset)
                return
            try:
                batch.check()
                handled = await self._pass_on(record)
            except (RevokedError, DeadLetterError) as error:
                level = logging.WARNING if isinstance(error, DeadLetterError) else logging.DEBUG
                logger.log(level, "agent %s: %s", self.name, error, extra=place(record))
                batch.put_back(name, error, since=record.offset)
                return
            except _Failed as failed:
                pause = self._pause(name, record.offset)
                crashed = AgentCrashedError(f"the handler raised {failed.__cause__!r}")
                logger.exception(
                    "agent %s: the handler failed on %s offset %d, which comes again in %.1f s",
                    *(self.name, name, record.offset, pause),
                    exc_info=failed.__cause__,
                    extra=place(record),
                )
                batch.put_back(name, crashed, since=record.offset, pause=pause)
                return
            if not handled:
                batch.put_back(
                    name, RevokedError(f"nobody owns the partition of {name}"), since=record.offset
                )
                return
            self._pauses.pop(name, None)

    async def _pass_on(self, record: Record) -> bool:
        try:
            event = self._decode(record)
        except RecordError as error:
            failure = await self._bury(record, error)
            if failure is not None:
                raise failure from None
            return True
        if event is None:
            return True
        try:
            return await self._handle(event)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise _Failed from error
        except Exception as error:
            raise _Failed from error

    def _pause(self, name: TopicPartition, offset: int) -> float:
        """Seconds until a record comes again, more with every time that it fails in a row."""
        failing, backoff = self._pauses.get(name, (None, Backoff()))
        if failing != offset:
            backoff = Backoff(base=0.5, cap=PAUSE_CAP)
            self._pauses[name] = (offset, backoff)
        return backoff.next()


class _Failed(Exception):  # noqa: N818 - it only marks its cause as the handler's
    """The handler raised."""
