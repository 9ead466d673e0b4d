"""The work on one partition's share of a batch, record by record: one after the other, or key by key."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from prom_faust.backoff import Backoff
from prom_faust.exceptions import (
    AgentCrashedError,
    DeadLetterError,
    PromFaustError,
    RecordError,
    RevokedError,
)
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.failure.policy import FOREVER, Policy, Verdict, counts, dead
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.lane.records.order import Ledger, strands
from prom_faust.logs import place

__all__ = ["Attempts", "Outlet", "ShareWork", "Steps", "Workers"]

logger = logging.getLogger(__name__)

PAUSE_BASE = 0.5
PAUSE_CAP = 30.0
"""The longest pause, in seconds, before a record whose handler keeps raising comes again."""
FLUSH_SECONDS = 0.1
"""How long what is done may wait for an outlet; Kafka Streams' ``commit.interval.ms`` for exactly-once."""
COMMIT = -1
"""Stands for an outlet's commit among the offsets of records that failed."""

Sent = Sequence[Any]
"""What a record sends, for the outlet."""


class Outlet(Protocol):
    """Takes what the records of a partition send, together with how far it is done."""

    async def commit(self, sent: Sent, offset: int) -> None:
        """All or nothing: these messages, and that everything before the offset is done.

        Raises:
            PromFaustError: nothing is done, as far as anybody knows.
        """
        ...


class Steps:
    """What is done with each record.

    Args:
        decode: record to event, or None for what is skipped; raises RecordError for what cannot be read.
        call: handles an event, and gives what it sends; RevokedError where nobody is there to do it.
        bury: dead-letters a record, and gives what that sends; DeadLetterError where it could not be published.
    """

    def __init__(
        self,
        decode: Callable[[Record], Any],
        call: Callable[[Any], Awaitable[Sent]],
        bury: Callable[[Record, RecordError], Awaitable[Sent]],
    ) -> None:
        self._decode = decode
        self._call = call
        self.bury = bury

    async def handle(self, record: Record) -> Sent:
        """Handle a record; gives what it sends.

        Raises:
            HandlerFailed: from what the user's function raised.
            RevokedError: see above.
            DeadLetterError: see above.
        """
        try:
            event = self._decode(record)
        except RecordError as error:
            return await self.bury(record, error)
        if event is None:
            return ()
        try:
            return await self._call(event)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise HandlerFailed from error
        except RevokedError:
            raise
        except Exception as error:
            raise HandlerFailed from error


class HandlerFailed(Exception):  # noqa: N818 - it only marks its cause as the handler's
    """The handler raised."""


class Workers:
    """Those who work, each on one record at a time.

    Args:
        count: how many there are; None for one for every share.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count
        self._locks = [asyncio.Lock() for _ in range(count or 0)]

    def turn(self, worker: int) -> AbstractAsyncContextManager[Any]:
        """Wait for a worker; who asks first has it first."""
        return self._locks[worker] if self._locks else nullcontext()


@dataclass(slots=True)
class Attempts:
    """What is known of a partition's records that come again, as long as it is owned.

    Attributes:
        token: ownership of the partition.
        failures: offset to how often the handler has raised, and the pauses.
        ahead: offsets that are done, though one before them is not.
    """

    token: Token
    failures: dict[int, tuple[int, Backoff]] = field(default_factory=dict)
    ahead: set[int] = field(default_factory=set)

    def failed(self, offset: int, error: BaseException) -> tuple[int, float]:
        """Count a failure; gives how many there were, and the seconds until the record comes again."""
        failures, backoff = self.failures.get(offset, (0, Backoff(base=PAUSE_BASE, cap=PAUSE_CAP)))
        self.failures[offset] = failures + counts(error), backoff
        return failures + counts(error), backoff.next()


class ShareWork:
    """One partition's share: every record is handled, up to those that have to come again.

    A record that fails holds up its worker's records behind it. The other workers go on as far as this share goes,
    and their records do not come again while the partition is owned; but with an outlet they do, as nothing of
    theirs was committed.

    Args:
        batch: the batch.
        name: the partition.
        steps: what is done with each record.
        attempts: what is known of its records.
        workers: who works.
        policy: what is done when the handler raises.
        outlet: commits what is done, instead of the lane; or None.
        label: for logs.
    """

    def __init__(
        self,
        batch: Batch,
        name: TopicPartition,
        steps: Steps,
        *,
        attempts: Attempts,
        workers: Workers,
        policy: Policy,
        outlet: Outlet | None,
        label: str,
    ) -> None:
        self._batch = batch
        self._name = name
        self._share: Share = batch.shares[name]
        self._steps = steps
        self._attempts = attempts
        self._workers = workers
        self._policy = policy
        self._outlet = outlet
        self._label = label
        self._ledger = Ledger[Sent]([record.offset for record in self._share.records])
        self._failures: dict[int, tuple[PromFaustError, float | None]] = {}
        self._flush_failure: tuple[PromFaustError, float] | None = None

    async def run(self) -> None:
        """Work on the share; what has to come again is put back."""
        attempts, records = self._attempts, self._share.records
        self._share.done_to = records[0].offset
        for offset in attempts.ahead:
            self._finish(offset, ())
        left = [record for record in records if record.offset not in attempts.ahead]
        async with asyncio.TaskGroup() as group:
            over = asyncio.Event()
            if self._outlet is not None:
                group.create_task(self._flush_until(over, self._outlet))
            async with asyncio.TaskGroup() as workers:
                for worker, mine in strands(left, self._workers.count).items():
                    workers.create_task(self._strand(worker, mine))
            over.set()
        attempts.ahead = self._ledger.ahead if self._outlet is None else set()
        since = self._share.done_to
        if since <= records[-1].offset:
            error, pause = self._reason()
            self._batch.put_back(self._name, error, since=since, pause=pause)

    def _reason(self) -> tuple[PromFaustError, float | None]:
        """Why records come again, and the seconds until then, where that is known."""
        if self._flush_failure is not None:
            return self._flush_failure
        if self._failures:
            return self._failures[min(self._failures)]
        return RevokedError(f"{self._name} is being given back"), None

    async def _strand(self, worker: int, records: Sequence[Record]) -> None:
        """The records of one worker, in order, up to the first that has to come again."""
        for record in records:
            async with self._workers.turn(worker):
                if self._batch.landing or self._flush_failure is not None:
                    return
                try:
                    self._batch.check()
                    sent = await self._handle(record)
                except (RevokedError, DeadLetterError) as error:
                    level = logging.WARNING if isinstance(error, DeadLetterError) else logging.DEBUG
                    logger.log(level, "%s: %s", self._label, error, extra=place(record))
                    self._failures[record.offset] = error, None
                    return
                except _AgainError as again:
                    self._failures[record.offset] = again.reason, again.pause
                    return
            self._attempts.failures.pop(record.offset, None)
            self._finish(record.offset, sent)

    async def _handle(self, record: Record) -> Sent:
        try:
            return await self._steps.handle(record)
        except HandlerFailed as failed:
            error = failed.__cause__ or failed
        failures, pause = self._attempts.failed(record.offset, error)
        where = f"{self._name} offset {record.offset}"
        match self._policy.verdict(error, failures=failures, records=1):
            case Verdict.BURY:
                return await self._steps.bury(record, dead(error, failures))
            case Verdict.STOP:
                logger.error(
                    "%s: %s has stopped at offset %d",
                    *(self._label, self._name, record.offset),
                    exc_info=error,
                    extra=place(record),
                )
                raise _AgainError(
                    PromFaustError(f"it has stopped at offset {record.offset}: {error!r}"), FOREVER
                )
            case _:
                logger.error(
                    "%s: the handler failed on %s, which comes again in %.1f s",
                    *(self._label, where, pause),
                    exc_info=error,
                    extra=place(record),
                )
                raise _AgainError(AgentCrashedError(f"the handler raised {error!r}"), pause)

    def _finish(self, offset: int, sent: Sent) -> None:
        self._ledger.finish(offset, sent)
        if self._outlet is None:
            self._share.done_to = self._ledger.to

    async def _flush_until(self, over: asyncio.Event, outlet: Outlet) -> None:
        """Give the outlet what is done, again and again, and a last time when all is over."""
        last = False
        while not last and self._flush_failure is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await over.wait()
            last = over.is_set()
            await self._flush(outlet)

    async def _flush(self, outlet: Outlet) -> None:
        offset, sent = self._ledger.to, [each for gave in self._ledger.take() for each in gave]
        if offset == self._share.done_to:
            return
        try:
            await outlet.commit(sent, offset)
        except PromFaustError as error:
            logger.warning("%s: %s: %s", self._label, self._name, error)
            self._flush_failure = error, self._attempts.failed(COMMIT, error)[1]
        else:
            self._attempts.failures.pop(COMMIT, None)
            self._share.done_to = offset


class _AgainError(Exception):
    """A record comes again.

    Attributes:
        reason: shown to operators.
        pause: seconds until then.
    """

    def __init__(self, reason: PromFaustError, pause: float) -> None:
        super().__init__(reason, pause)
        self.reason = reason
        self.pause = pause
