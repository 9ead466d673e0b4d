"""The lane: an at-least-once batch consumer inside the Faust worker, in a consumer group of its own.

Records are read ahead into bounded buffers, batches go to an agent, and what the agent has finished is committed
partition by partition. The polling never stops, whatever happens to the batches: a member that does not poll
is put out of its group.
"""

import asyncio
import logging
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from mode import Service

from prom_faust.assignment.history import RebalanceHistory
from prom_faust.backoff import Backoff
from prom_faust.clients import Clients, close_consumer
from prom_faust.dlq.kafka import Graveyard
from prom_faust.exceptions import ConfigurationError, PromFaustError, RevokedError, UnreachableError
from prom_faust.lane.agent import DeliveryAgent
from prom_faust.lane.kafka import Committer, LogComparison, PositionStore, kafka_partition
from prom_faust.lane.losses.kafka import Losses, reached
from prom_faust.lane.membership.kafka import Membership
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.ownership.kafka import Fence, Ownership, Watcher
from prom_faust.lane.partition import Partition
from prom_faust.lane.polling.kafka import Polling
from prom_faust.lane.record import TopicPartition
from prom_faust.lane.tasks import Flights
from prom_faust.membership.service import end_worker

__all__ = ["Lane", "LaneOptions"]

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0


class Lane(Service):
    """Reads one topic in batches for one agent.

    Args:
        clients: opens the Kafka clients.
        agent: gets the batches; its concurrency is the number of batches in flight.
        options: how to read.
        positions: stored positions to compare the log with, or None.
        watcher: is told what is assigned and revoked, or None.
        graveyard: publishes the records that the agent rejects, or None where it does so itself.
        fence: shuts former owners out, where the agent commits offsets itself; None where the lane commits them.

    Attributes:
        partitions: the partitions that are owned and read.
        committer: commits what the agent has done.
        losses: the partitions of which deletes may have been missed.
    """

    def __init__(
        self,
        clients: Clients,
        agent: DeliveryAgent,
        options: LaneOptions,
        *,
        positions: PositionStore | None = None,
        watcher: Watcher | None = None,
        graveyard: Graveyard | None = None,
        fence: Fence | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if options.group == clients.app.conf.id:
            raise ConfigurationError(
                f"{agent.name} cannot have the group {options.group}: it is the one of the app's own streams, and "
                "each would take the other's partitions. Give another group="
            )
        self.clients = clients
        self.agent = agent
        self.options = options
        self.partitions: dict[TopicPartition, Partition] = {}
        self.committer = Committer(lambda: self.consumer, timeout=options.commit_timeout)
        self._graveyard = graveyard
        self.losses = Losses(
            clients, options.topic, self.partitions, positions if options.follows_deletes else None
        )
        self._membership = Membership(clients, options)
        self._flights = Flights(
            agent,
            self.partitions,
            slots=options.slots or agent.concurrency,
            parts=options.parts,
            batch=options.batch,
            max_bytes=options.max_bytes,
            retry_after=options.retry_after,
            done=self.committer.mark if fence is None else _is_committed,
            leased=self._leased,
            policy=options.policy,
            bury=None if graveyard is None else graveyard.bury,
            label=self.label,
        )
        self._ownership = Ownership(
            options,
            self.partitions,
            self._flights,
            committer=self.committer,
            membership=self._membership,
            logs=LogComparison(
                clients,
                topic=options.topic,
                group=options.group,
                positions=positions,
                losses=self.losses,
                rebuild=lambda: self.rebuild,
                grows=options.grows,
            ),
            watcher=watcher,
            fence=fence,
            end=self._end_worker,
            crash=self.crash,
            label=self.label,
        )
        self._polling = Polling(
            options,
            self.partitions,
            self._flights,
            check_history=self.check_history,
            label=self.label,
        )
        self._fields = {"topic": options.topic, "group": options.group}
        self._polled_at = 0.0
        self._left: KafkaError | None = None
        self._closed = asyncio.Event()

    @property
    def label(self) -> str:
        """Shown in Faust's service graph."""
        return f"Lane: {self.options.topic} -> {self.agent.name}"

    @property
    def rebuild(self) -> str:
        """What an operator should do about lost history."""
        return self.options.rebuild.format(app=self.agent.app.conf.origin or "APP")

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The group's consumer, or None while there is none."""
        return self._ownership.consumer

    @property
    def member(self) -> str:
        """The member's stable name in the group."""
        return self._membership.identity.name

    @property
    def history(self) -> RebalanceHistory:
        """The member's rebalances."""
        return self._membership.history

    @property
    def in_flight(self) -> int:
        """How many batches the agent has."""
        return self._flights.in_flight

    def log_end(self, name: TopicPartition) -> tuple[int, int]:
        """The end of an owned partition's log as last seen, and its topic's partition count when it was assigned.

        Raises:
            RevokedError: it is not owned any more.
        """
        partition, consumer = self.partitions.get(name), self.consumer
        if partition is None or consumer is None:
            raise RevokedError(f"{name} was revoked while its batch was in flight")
        return consumer.last_stable_offset(kafka_partition(name)) or 0, partition.topic_partitions

    async def applied(self, name: TopicPartition) -> int:
        """The offset before which everything of an owned partition is applied.

        Raises:
            RevokedError: it is not owned any more.
            KafkaError: it is not at the moment.
        """
        partition, consumer = self.partitions.get(name), self.consumer
        if partition is None or consumer is None:
            raise RevokedError(f"{name} was revoked")
        return (await reached(consumer, partition))[0]

    # -- the life of a lane ----------------------------------------------------------------------------------

    async def on_started(self) -> None:
        """Start a worker for each batch that may be in flight."""
        for index in range(len(self._flights)):
            self.add_future(self._flights.work(index, lambda: self._stopping))
        self.add_future(self.committer.run())

    @property
    def _stopping(self) -> bool:
        # Faust stops its own consumer before it stops us, and that can take long: we watch the app.
        return bool(self.should_stop or self.agent.app.should_stop)

    def _leased(self) -> bool:
        # Polling goes on every fifth of a second, whatever happens. If it did not for a whole session, this
        # process was stopped, and its successor may have deleted what a write of ours would bring back.
        polls = bool(self.loop.time() - self._polled_at < self._membership.session_timeout)
        return polls and not (self.options.strict and self._membership.silent)

    @Service.task
    async def _run(self) -> None:
        backoff = Backoff()
        try:
            while not self._stopping:
                try:
                    await self._consume(backoff)
                except (KafkaError, OSError) as error:
                    if (refused := self._membership.refusal(error)) is not None:
                        self._end_worker(refused)
                        return
                    delay = backoff.next()
                    logger.warning(
                        "%s: Kafka: %r; again in %.1f s", self.label, error, delay, extra=self._fields
                    )
                    await self.sleep(delay)
        finally:
            self._closed.set()

    async def _consume(self, backoff: Backoff) -> None:
        opened = await self.wait(self._membership.consumer())
        if opened.stopped:
            return
        consumer: AIOKafkaConsumer = opened.result
        self._left = None
        self._ownership.subscribe(consumer, release_timeout=self.agent.app.conf.broker_rebalance_timeout / 2)
        try:
            while not self._stopping:
                if self._left is not None:
                    raise self._left
                self._polled_at = self.loop.time()
                if await self._polling.poll(consumer):
                    backoff.reset()
                self._flights.progress()
        finally:
            await self._ownership.release(self.options.drain_timeout)
            self._ownership.consumer = None
            await close_consumer(consumer, what=self.label, timeout=CLOSE_SECONDS)

    @Service.task
    async def _watch_history(self) -> None:
        while not self._stopping:
            await self.sleep(min(self.options.history_interval, self.losses.interval))
            try:
                await self.check_history()
            except (KafkaError, UnreachableError, OSError) as error:
                logger.info(
                    "%s: the log was not compared with the stored positions: %r",
                    *(self.label, error),
                    extra=self._fields,
                )

    async def check_history(self) -> None:
        """Compare the logs of our partitions with what is stored; end the worker if they are others.

        Raises:
            KafkaError: Kafka does not answer.
            UnreachableError: what is stored cannot be read.
        """
        await self._ownership.check_history()

    def rejoin(self, error: KafkaError) -> None:
        """Leave the group, and join it anew: what this member knows of its partitions is not to be gone on with."""
        self._left = error

    def _end_worker(self, error: PromFaustError) -> None:
        if not self.crashed:  # another lane may have said it for the whole worker
            self._crash(error)
            end_worker(self, error)

    async def on_stop(self) -> None:
        """Wait until the batches in flight are done or given up, and the group is left."""
        self._flights.wake()
        try:
            async with asyncio.timeout(self.options.drain_timeout + CLOSE_SECONDS):
                await self._closed.wait()
        except TimeoutError:
            logger.warning(
                "%s: not drained in time; what is left will be done again", self.label, extra=self._fields
            )
        if self._graveyard is not None:
            await self._graveyard.close()


def _is_committed(name: TopicPartition, offset: int) -> None:
    """Where the agent commits, there is nothing left to do."""
