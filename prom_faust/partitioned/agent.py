"""The agent that works record by record: one after the other within a partition, the partitions side by side."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import faust

from prom_faust.exceptions import DeadLetterError, RecordError, RevokedError
from prom_faust.lane.agent import Delivery, DeliveryAgent
from prom_faust.lane.batch import Token
from prom_faust.lane.failure.policy import Policy
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.lane.records.tasks import Attempts, Outlet, ShareWork, Steps, Workers
from prom_faust.partitioned.event import PartitionedEvent

__all__ = ["Bury", "Decode", "Handle", "RecordAgent", "record_steps"]

logger = logging.getLogger(__name__)

Decode = Callable[[Record], PartitionedEvent | None]
"""Record to event, or None for what is skipped; raises RecordError for what cannot be read."""
Handle = Callable[[PartitionedEvent], Awaitable[bool]]
"""Handles an event; False where nobody is there to do it, so that it has to wait."""
Bury = Callable[[Record, RecordError], Awaitable[DeadLetterError | None]]
"""Publishes the dead letter of a record; gives the error with which that failed."""


def record_steps(decode: Decode, handle: Handle, bury: Bury) -> Steps:
    """The steps of records that send nothing that must be done together with them."""

    async def call(event: PartitionedEvent) -> tuple[()]:
        if not await handle(event):
            raise RevokedError(f"nobody owns the partition of {event.source}")
        return ()

    async def publish(record: Record, error: RecordError) -> tuple[()]:
        failure = await bury(record, error)
        if failure is not None:
            raise failure
        return ()

    return Steps(decode, call, publish)


class RecordAgent(DeliveryAgent):
    """Hands records on one by one; a record is done when its handler has returned.

    One whose handler raises comes again after a growing pause, unless the policy is another, and what is behind it
    waits for it; what is before it is done, and the other partitions go on.

    Args:
        steps: what is done with each record.
        app: the Faust app.
        name: the agent's name.
        policy: what is done when the handler raises.
        workers: who works; one for each partition by default.
        outlet: gives a partition's outlet, where not the lane commits what is done.
    """

    def __init__(
        self,
        steps: Steps,
        *,
        app: faust.App,
        name: str,
        policy: Policy | None = None,
        workers: Workers | None = None,
        outlet: Callable[[TopicPartition], Outlet] | None = None,
        **kwargs: Any,
    ) -> None:
        self._steps = steps
        self._policy = policy or Policy()
        self._workers = workers or Workers()
        self._outlet = outlet
        self._attempts: dict[TopicPartition, Attempts] = {}
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
            if self._outlet is not None:
                batch.check()  # the outlets are those of this ownership
            works = [
                ShareWork(
                    batch,
                    name,
                    self._steps,
                    attempts=self._attempts_of(share.token),
                    workers=self._workers,
                    policy=self._policy,
                    outlet=None if self._outlet is None else self._outlet(name),
                    label=f"agent {self.name}",
                )
                for name, share in batch.shares.items()
            ]
            async with asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(work.run())
        except asyncio.CancelledError:
            delivery.fail(RevokedError("the work on the batch was cancelled"))
            raise
        except RevokedError as error:
            delivery.fail(error)
        except Exception as error:
            logger.exception("agent %s: a batch failed", self.name)
            delivery.fail(error)
        else:
            delivery.finish()

    def _attempts_of(self, token: Token) -> Attempts:
        found = self._attempts.get(token.partition)
        if found is None or found.token is not token:
            found = self._attempts[token.partition] = Attempts(token)
        return found
