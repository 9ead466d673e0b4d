"""The lane: an at-least-once batch consumer inside the Faust worker, in a consumer group of its own.

Records are read ahead into bounded buffers, batches go to an agent, and what the agent has finished is committed
partition by partition. The polling never stops, whatever happens to the batches: a member that does not poll
is put out of its group.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from mode import Service

from prom_faust.backoff import Backoff
from prom_faust.clients import Clients
from prom_faust.exceptions import LostHistoryError, RevokedError, UnreachableError
from prom_faust.lane.agent import BatchAgent
from prom_faust.lane.batch import Token
from prom_faust.lane.history import Reset, start_offset
from prom_faust.lane.kafka import Committer, LogComparison, PositionStore, kafka_partition
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import TopicPartition
from prom_faust.lane.tasks import Flights

__all__ = ["Lane", "LaneOptions"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""How long one poll waits for records; also how soon a freed buffer is refilled."""
NOWHERE = KafkaPartition("", 0)
"""Polled while every buffer is full: the group sees a live member, and what was read ahead stays."""
CLOSE_SECONDS = 5.0
DRY_POLLS = 3
"""Polls without records after which no room is kept for a partition: its log may end in an open transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneOptions:
    """How a lane reads.

    Args:
        topic: the topic.
        group: the consumer group.
        batch: the most records in one batch.
        buffer: the most records read ahead and not yet worked on.
        max_bytes: the most bytes of records in one batch; twice that is the most read ahead.
        reset: where a group without committed offsets starts.
        retry_after: seconds until held and put-back records come again.
        hold_limit: the most held records of a partition before it takes no new ones.
        drain_timeout: seconds that a stopping lane waits for batches in flight.
        commit_timeout: seconds after which a commit that does not return is tried again later.
        history_interval: seconds between two comparisons of the log with the stored positions, and the age
            after which a changed partition count is seen.
        grows: whether the topic may get more partitions, as a jump-routed one may: its keys then only move up.
        rebuild: what an operator should do about lost history; ``{app}`` stands for the app's name.
    """

    topic: str
    group: str
    batch: int = 500
    buffer: int = 10_000
    max_bytes: int = 8 * 1024 * 1024
    reset: Reset = "earliest"
    retry_after: float = 0.5
    hold_limit: int = 1_000
    drain_timeout: float = 8.0
    commit_timeout: float = 5.0
    history_interval: float = 15.0
    grows: bool = False
    rebuild: str = "delete the consumer group while no worker runs, to read from the start again."


class Lane(Service):
    """Reads one topic in batches for one agent.

    Args:
        clients: opens the Kafka clients.
        agent: gets the batches; its concurrency is the number of batches in flight.
        options: how to read.
        positions: stored positions to compare the log with, or None.
    """

    def __init__(
        self,
        clients: Clients,
        agent: BatchAgent,
        options: LaneOptions,
        *,
        positions: PositionStore | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.clients = clients
        self.agent = agent
        self.options = options
        self.partitions: dict[TopicPartition, Partition] = {}
        self.consumer: AIOKafkaConsumer | None = None
        self._polled_at = 0.0
        self.committer = Committer(lambda: self.consumer, timeout=options.commit_timeout)
        self._history = LogComparison(
            clients,
            topic=options.topic,
            group=options.group,
            positions=positions,
            rebuild=lambda: self.rebuild,
            grows=options.grows,
        )
        self._flights = Flights(
            agent,
            self.partitions,
            batch=options.batch,
            max_bytes=options.max_bytes,
            retry_after=options.retry_after,
            done=self.committer.mark,
            leased=self._leased,
            label=self.label,
        )
        self._starting: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    @property
    def label(self) -> str:
        """Shown in Faust's service graph."""
        return f"Lane: {self.options.topic} -> {self.agent.name}"

    @property
    def rebuild(self) -> str:
        """What an operator should do about lost history."""
        return self.options.rebuild.format(app=self.agent.app.conf.origin or "APP")

    # -- polling ---------------------------------------------------------------------------------------------

    @Service.task
    async def _run(self) -> None:
        backoff = Backoff()
        try:
            while not self._stopping:
                try:
                    await self._consume(backoff)
                except (KafkaError, OSError) as error:
                    delay = backoff.next()
                    logger.warning("%s: Kafka: %r; again in %.1f s", self.label, error, delay)
                    await self.sleep(delay)
        finally:
            self._closed.set()

    @property
    def _stopping(self) -> bool:
        # Faust stops its own consumer before it stops us, and that can take long: we watch the app.
        return bool(self.should_stop or self.agent.app.should_stop)

    async def _consume(self, backoff: Backoff) -> None:
        consumer = self.clients.group_consumer(
            self.options.group, [RoundRobinPartitionAssignor], self.options.history_interval
        )
        await consumer.start()
        self.consumer = consumer
        consumer.subscribe([self.options.topic], listener=_Listener(self, consumer))
        try:
            while not self._stopping:
                if await self._poll(consumer):
                    backoff.reset()
        finally:
            await self._release(self.options.drain_timeout)
            self.consumer = None
            await _close(consumer)

    def _leased(self) -> bool:
        # Polling goes on every fifth of a second, whatever happens. If it did not for a whole session, this
        # process was stopped, and its successor may have deleted what a write of ours would bring back.
        return bool(self.loop.time() - self._polled_at < self.agent.app.conf.broker_session_timeout)

    async def _poll(self, consumer: AIOKafkaConsumer) -> bool:
        """Read what is there into the buffers; whether anything was."""
        self._polled_at = self.loop.time()
        wanted = self._wanted() or [NOWHERE]
        try:
            fetched = await consumer.getmany(
                *wanted, timeout_ms=int(POLL_SECONDS * 1000), max_records=self.options.batch
            )
        except NoOffsetForPartitionError:
            return False  # assigned, and not yet sought to where it starts
        except OffsetOutOfRangeError as error:
            await self._out_of_range(consumer, error.args[0])
            return False
        for theirs, records in fetched.items():
            partition = self.partitions.get(TopicPartition(theirs.topic, theirs.partition))
            if partition is not None:
                partition.push(records)
        for theirs in wanted:
            partition = self.partitions.get(TopicPartition(theirs.topic, theirs.partition))
            if partition is not None and theirs not in fetched:
                partition.dry_polls += 1
        if fetched:
            self._flights.wake()
        return bool(fetched)

    async def _out_of_range(self, consumer: AIOKafkaConsumer, offsets: Mapping[KafkaPartition, int]) -> None:
        """Where we read there is no log: it is another log, or retention has overtaken us."""
        try:
            await self._check_history()
        except UnreachableError as error:
            logger.warning("%s: %s", self.label, error)
            return
        begins = await consumer.beginning_offsets(list(offsets))
        for theirs, begin in begins.items():
            partition = self.partitions.get(TopicPartition(theirs.topic, theirs.partition))
            if partition is not None and offsets[theirs] < begin:
                logger.warning(
                    "%s: records %d to %d of %s are gone", self.label, offsets[theirs], begin, theirs
                )
                consumer.seek(theirs, begin)

    def _wanted(self) -> list[KafkaPartition]:
        """The partitions to poll: those that are due next, as far as the buffer reaches.

        Under a backlog it is better to read much of a few partitions than a little of all: a batch then holds
        more records of each key, and fewer documents are written.
        """
        size = 2 * self.options.max_bytes - sum(
            partition.buffered_bytes for partition in self.partitions.values()
        )
        wanted: list[KafkaPartition] = []
        for index in range(len(self._flights)):
            mine = self._flights.of_slot(index)
            room = self.options.buffer // len(self._flights)
            full = sum(partition.buffered for partition in mine) >= room
            for partition in mine:
                if room <= 0 or full:
                    break
                if partition.stuck:
                    continue
                if partition.buffered < self.options.batch and (size > 0 or not partition.buffered):
                    wanted.append(kafka_partition(partition.token.partition))
                room -= min(self.options.batch, partition.buffered + self._behind(partition))
        return wanted

    def log_end(self, name: TopicPartition) -> tuple[int, int]:
        """The end of an owned partition's log as last seen, and its topic's partition count when it was assigned.

        Raises:
            RevokedError: it is not owned any more.
        """
        partition, consumer = self.partitions.get(name), self.consumer
        if partition is None or consumer is None:
            raise RevokedError(f"{name} was revoked while its batch was in flight")
        return consumer.last_stable_offset(kafka_partition(name)) or 0, partition.topic_partitions

    def _behind(self, partition: Partition) -> int:
        """Records of a partition that are still to be polled, as far as is known."""
        if self.consumer is None or partition.dry_polls >= DRY_POLLS:
            return 0
        end = self.consumer.highwater(kafka_partition(partition.token.partition))
        return 0 if end is None else max(0, end - partition.polled_to)

    async def on_started(self) -> None:
        """Start a worker for each batch that may be in flight."""
        for index in range(len(self._flights)):
            self.add_future(self._flights.work(index, lambda: self._stopping))
        self.add_future(self.committer.run())

    # -- ownership -------------------------------------------------------------------------------------------

    async def assigned(self, names: Iterable[TopicPartition]) -> None:
        """Kafka gave us these partitions: find out where to start, without keeping the group waiting."""
        await self._cancel_starting()
        self._starting = asyncio.create_task(self._start(sorted(names)))

    async def revoked(self) -> None:
        """Kafka takes all partitions back: finish or cancel what is in flight, and commit what is done."""
        await self._cancel_starting()
        await self._release(self.agent.app.conf.broker_rebalance_timeout / 2)

    async def _release(self, timeout: float) -> None:
        """Let go of all partitions within ``timeout`` seconds."""
        await self._cancel_starting()
        try:
            await self._flights.land(finish=timeout * 0.6, cancel=timeout * 0.2)
            try:
                async with asyncio.timeout(timeout * 0.2):
                    await self.committer.flush()
            except TimeoutError:
                logger.warning("%s: what was done last is not committed, and will be done again", self.label)
        finally:
            self.committer.forget()
            self.partitions.clear()

    async def _cancel_starting(self) -> None:
        if self._starting is not None and self._starting is not asyncio.current_task():
            self._starting.cancel()
            await asyncio.wait([self._starting])
            self._starting = None

    async def _start(self, names: list[TopicPartition]) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._try_start(names)
            except LostHistoryError as error:
                self._end_worker(error)
                return
            except (KafkaError, UnreachableError, OSError) as error:
                delay = backoff.next()
                logger.warning("%s: cannot start yet: %r; again in %.1f s", self.label, error, delay)
                await asyncio.sleep(delay)
            except Exception as error:  # noqa: BLE001 - a lane that does not start must not stay up
                await self.crash(error)
                return
            else:
                return

    async def _try_start(self, names: list[TopicPartition]) -> None:
        consumer = self.consumer
        if consumer is None or not names:
            return
        logs = await self._history.compare(consumer, names)
        # Partitions that were added to a group that reads already are new: nothing of them may be skipped.
        known = any(log.committed is not None for log in logs.values())
        starts = {
            name: start_offset(log, "earliest" if known else self.options.reset) for name, log in logs.items()
        }
        await self._history.begin({name: log for name, log in logs.items() if log.committed is None}, starts)
        for name, log in logs.items():
            if log.committed is None:
                # From here on a group without a committed offset has lost it.
                async with asyncio.timeout(self.options.commit_timeout):
                    await consumer.commit({kafka_partition(name): starts[name]})
            elif starts[name] > (log.applied if log.applied is not None else log.committed):
                logger.warning("%s: records before %d of %s are gone", self.label, starts[name], name)
        # All at once: an attempt that fails half-way is made again, and must not have begun.
        for name, offset in starts.items():
            consumer.seek(kafka_partition(name), offset)
            self.partitions[name] = Partition(
                Token(name),
                start=offset,
                hold_limit=self.options.hold_limit,
                topic_partitions=logs[name].partitions,
            )
        self._flights.wake()

    @Service.task
    async def _watch_history(self) -> None:
        while not self._stopping:
            await self.sleep(self.options.history_interval)
            try:
                await self._check_history()
            except (KafkaError, UnreachableError, OSError) as error:
                logger.info("%s: the log was not compared with the stored positions: %r", self.label, error)

    async def _check_history(self) -> None:
        """Compare the logs of our partitions with what is stored; crash the worker if they are others."""
        consumer, names = self.consumer, sorted(self.partitions)
        if consumer is None or not names:
            return
        try:
            await self._history.compare(consumer, names)
        except LostHistoryError as error:
            if self.consumer is consumer and self.partitions:
                self._end_worker(error)

    def _end_worker(self, error: LostHistoryError) -> None:
        """End the worker with one line; ``Service.crash`` would add a traceback of ours that helps nobody."""
        logger.critical("%s: %s", type(error).__name__, error)
        self._crash(error)
        root = self.beacon.root
        if root is not None and isinstance(root.data, Service):
            root.data._crash(error)  # noqa: SLF001 - what Service.crash does for every parent

    # -- the end ---------------------------------------------------------------------------------------------

    async def on_stop(self) -> None:
        """Wait until the batches in flight are done or given up, and the group is left."""
        self._flights.wake()
        try:
            async with asyncio.timeout(self.options.drain_timeout + CLOSE_SECONDS):
                await self._closed.wait()
        except TimeoutError:
            logger.warning("%s: not drained in time; what is left will be done again", self.label)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes Kafka's word on. It must not raise: aiokafka would only log it."""

    def __init__(self, lane: Lane, consumer: AIOKafkaConsumer) -> None:
        self._lane = lane
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:  # noqa: ARG002 - aiokafka's name
        if self._lane.consumer is self._consumer:  # not one that was replaced
            await self._lane.revoked()

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        if self._lane.consumer is self._consumer:
            await self._lane.assigned(TopicPartition(theirs.topic, theirs.partition) for theirs in assigned)


async def _close(consumer: AIOKafkaConsumer) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await consumer.stop()
    except (TimeoutError, KafkaError) as error:
        logger.info("the consumer did not leave its group cleanly: %r", error)
