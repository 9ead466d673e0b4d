"""The partitions that the lane owns: from where they are read, and how they are given back in order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from prom_faust.backoff import Backoff
from prom_faust.exceptions import LostHistoryError, PromFaustError, UnreachableError
from prom_faust.lane.batch import Token
from prom_faust.lane.history import start_offset
from prom_faust.lane.kafka import Committer, LogComparison, kafka_partition
from prom_faust.lane.membership.kafka import Membership
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import TopicPartition
from prom_faust.lane.tasks import Flights
from prom_faust.logs import place

__all__ = ["Fence", "Ownership", "Watcher"]

logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """Who is told what the lane owns. It does not raise."""

    async def assigned(self, names: Sequence[TopicPartition]) -> None:
        """These are owned now; none of their records is worked on before this returns."""
        ...

    async def revoked(self, names: Sequence[TopicPartition]) -> None:
        """These are given back; none of their records is worked on any more, and nobody else has them yet."""
        ...


class Fence(Protocol):
    """Shuts former owners out, where offsets are committed by something else than the group's member."""

    async def open(self, names: Sequence[TopicPartition]) -> None:
        """From here on no former owner commits an offset of these; their committed offsets are read after this.

        Raises:
            KafkaError: Kafka does not answer.
        """
        ...

    async def close(self) -> None:
        """The partitions are given back."""
        ...


class Ownership:
    """What the lane owns.

    Args:
        options: how to read.
        partitions: the owned partitions, kept here.
        flights: the batches in flight.
        committer: commits what is done.
        membership: of the group.
        logs: compares the logs with what is stored.
        watcher: is told, or None.
        fence: shuts former owners out, or None where the group does so.
        end: ends the worker with an error.
        crash: ends the worker with what nobody has thought of.
        label: for logs.

    Attributes:
        consumer: the group's consumer, or None while there is none.
    """

    def __init__(
        self,
        options: LaneOptions,
        partitions: dict[TopicPartition, Partition],
        flights: Flights,
        *,
        committer: Committer,
        membership: Membership,
        logs: LogComparison,
        watcher: Watcher | None,
        fence: Fence | None,
        end: Callable[[PromFaustError], None],
        crash: Callable[[BaseException], Awaitable[None]],
        label: str,
    ) -> None:
        self.consumer: AIOKafkaConsumer | None = None
        self._options = options
        self._partitions = partitions
        self._flights = flights
        self._committer = committer
        self._membership = membership
        self._logs = logs
        self._watcher = watcher
        self._fence = fence
        self._end = end
        self._crash = crash
        self._label = label
        self._fields = {"topic": options.topic, "group": options.group}
        self._starting: asyncio.Task[None] | None = None
        self._told: list[TopicPartition] = []

    def subscribe(self, consumer: AIOKafkaConsumer, *, release_timeout: float) -> None:
        """Join the group with a consumer.

        Args:
            consumer: a started one.
            release_timeout: seconds that a revocation may take.
        """
        self.consumer = consumer
        consumer.subscribe([self._options.topic], listener=_Listener(self, consumer, release=release_timeout))

    # -- gained ----------------------------------------------------------------------------------------------

    async def assigned(self, names: Iterable[TopicPartition]) -> None:
        """Kafka gave us these partitions: find out where to start, without keeping the group waiting."""
        names = sorted(names)
        await self._cancel_starting()
        if self.consumer is not None and (refused := self._membership.assigned(self.consumer, names)):
            self._end(refused)
            return
        self._starting = asyncio.create_task(self._start(names))

    async def _start(self, names: list[TopicPartition]) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._try_start(names)
            except LostHistoryError as error:
                self._end(error)
                return
            except (KafkaError, UnreachableError, OSError) as error:
                delay = backoff.next()
                logger.warning(
                    "%s: cannot start yet: %r; again in %.1f s",
                    *(self._label, error, delay),
                    extra=self._fields,
                )
                await asyncio.sleep(delay)
            except Exception as error:  # noqa: BLE001 - a lane that does not start must not stay up
                await self._crash(error)
                return
            else:
                return

    async def _try_start(self, names: list[TopicPartition]) -> None:
        consumer = self.consumer
        if consumer is None or not names:
            return
        if self._fence is not None:
            await self._fence.open(names)
        logs = await self._logs.compare(consumer, names)
        # Partitions that were added to a group that reads already are new: nothing of them may be skipped.
        known = any(log.committed is not None for log in logs.values())
        starts = {
            name: start_offset(log, "earliest" if known else self._options.reset)
            for name, log in logs.items()
        }
        await self._logs.begin({name: log for name, log in logs.items() if log.committed is None}, starts)
        for name, log in logs.items():
            if log.committed is None:
                # From here on a group without a committed offset has lost it.
                async with asyncio.timeout(self._options.commit_timeout):
                    await consumer.commit({kafka_partition(name): starts[name]})
            elif starts[name] > (log.applied if log.applied is not None else log.committed):
                logger.warning(
                    "%s: records before %d of %s are gone",
                    *(self._label, starts[name], name),
                    extra={**self._fields, **place(name), "offset": starts[name]},
                )
        if self._watcher is not None:
            self._told = names
            await self._watcher.assigned(names)
        # All at once: an attempt that fails half-way is made again, and must not have begun.
        for name, offset in starts.items():
            consumer.seek(kafka_partition(name), offset)
            self._partitions[name] = Partition(
                Token(name),
                start=offset,
                hold_limit=self._options.hold_limit,
                topic_partitions=logs[name].partitions,
            )
        self._flights.wake()

    # -- given back ------------------------------------------------------------------------------------------

    async def revoked(self, timeout: float) -> None:
        """Kafka takes all partitions back: finish or cancel what is in flight, and commit what is done."""
        self._membership.history.revoked()
        await self.release(timeout)
        if self.consumer is not None and (error := await self._membership.replaced(self.consumer)):
            self._end(error)

    async def release(self, timeout: float) -> None:
        """Let go of all partitions within ``timeout`` seconds."""
        await self._cancel_starting()
        try:
            finish = timeout * (0.6 if self._watcher is None else 0.5)
            await self._flights.land(finish=finish, cancel=timeout * 0.2)
            await self._tell_revoked(timeout * 0.1)
            try:
                async with asyncio.timeout(timeout * 0.2):
                    await self._committer.flush()
            except TimeoutError:
                logger.warning(
                    "%s: what was done last is not committed, and will be done again",
                    self._label,
                    extra=self._fields,
                )
        finally:
            self._committer.forget()
            self._partitions.clear()
            if self._fence is not None:
                await self._fence.close()

    async def _tell_revoked(self, timeout: float) -> None:
        told, self._told = self._told, []
        if self._watcher is None or not told:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._watcher.revoked(told)
        except TimeoutError:
            logger.warning(
                "%s: a hook took more than %g s, and was cancelled",
                *(self._label, timeout),
                extra=self._fields,
            )

    async def _cancel_starting(self) -> None:
        if self._starting is not None and self._starting is not asyncio.current_task():
            self._starting.cancel()
            await asyncio.wait([self._starting])
            self._starting = None

    # -- the log ---------------------------------------------------------------------------------------------

    async def check_history(self) -> None:
        """Compare the logs of our partitions with what is stored; crash the worker if they are others."""
        consumer, names = self.consumer, sorted(self._partitions)
        if consumer is None or not names:
            return
        try:
            await self._logs.compare(consumer, names)
        except LostHistoryError as error:
            if self.consumer is consumer and self._partitions:
                self._end(error)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes Kafka's word on. It must not raise: aiokafka would only log it."""

    def __init__(self, ownership: Ownership, consumer: AIOKafkaConsumer, *, release: float) -> None:
        self._ownership = ownership
        self._consumer = consumer
        self._release = release

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:  # noqa: ARG002 - aiokafka's name
        if self._ownership.consumer is self._consumer:  # not one that was replaced
            await self._ownership.revoked(self._release)

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        if self._ownership.consumer is self._consumer:
            await self._ownership.assigned(
                TopicPartition(theirs.topic, theirs.partition) for theirs in assigned
            )
