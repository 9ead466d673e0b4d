"""Exactly-once: a transactional producer for each owned partition, which also commits that partition's offsets.

The scheme of one transactional id per input partition (KIP-98): whoever starts a producer under that id shuts the
former owner out, and waits until its last transaction is ended, before it reads the committed offset. What the
former owner does from then on, awake or woken, fails. It needs no group metadata in the transaction (KIP-447),
which aiokafka 0.14 cannot send.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

from prom_faust.clients import close_producer, ended
from prom_faust.events.event import Message
from prom_faust.exceptions import ProducerFencedError, TransactionAbortedError
from prom_faust.lane.kafka import kafka_partition
from prom_faust.lane.record import TopicPartition

__all__ = ["PartitionProducer", "Transactions"]

logger = logging.getLogger(__name__)

OPEN_SECONDS = 20.0
"""How long the former owner's last transaction may take to end; then it is tried again."""
SEND_SECONDS = 20.0
"""How long messages may take; then the transaction is aborted. Kafka itself ends it after a minute."""
ABORT_SECONDS = 5.0
CLOSE_SECONDS = 2.0


class PartitionProducer:
    """The transactions of one partition, as long as it is owned. It is an outlet of its records.

    Args:
        producer: makes the transactions.
        name: the partition.
        group: whose offset is committed.
        fenced: told that this producer can do nothing more.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        name: TopicPartition,
        group: str,
        *,
        fenced: Callable[[KafkaError], None],
    ) -> None:
        self._producer = producer
        self._name = name
        self._group = group
        self._fenced = fenced
        self._usable = True
        self._closed = False

    @property
    def what(self) -> str:
        """What it is for, in logs."""
        return f"the transactional producer of {self._name}"

    async def start(self) -> None:
        """Shut former owners out, and wait until their last transaction is ended.

        Raises:
            KafkaError: Kafka does not answer.
        """
        await self._producer.start()

    def check(self) -> None:
        """See that it can be used.

        Raises:
            ProducerFencedError: it cannot, and never will.
        """
        if not self._usable:
            raise ProducerFencedError(f"{self.what} is not to be used any more")

    async def commit(self, sent: Sequence[Message], offset: int) -> None:
        """One transaction: the messages, and that everything before the offset is done.

        Raises:
            TransactionAbortedError: it was aborted: the records may come again here.
            ProducerFencedError: the partition has another owner, or what became of the transaction is not known.
        """
        self.check()
        self._usable = False  # until the transaction has ended: an interrupted one leaves nobody knows what
        try:
            await self._producer.begin_transaction()
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(sent)
            await self._producer.send_offsets_to_transaction(
                {kafka_partition(self._name): offset}, self._group
            )
        except Exception as error:
            await self._abort(error)
            self._usable = True
            raise TransactionAbortedError(f"the transaction was aborted: {error!r}") from error
        try:
            await self._producer.commit_transaction()
        except Exception as error:
            raise self._end(error) from error
        self._usable = True

    async def _send(self, sent: Sequence[Message]) -> None:
        futures = [
            await self._producer.send(
                message.topic,
                value=message.value,
                key=message.key,
                partition=await self._partition(message),
                timestamp_ms=message.timestamp,
                headers=list(message.headers),
            )
            for message in sent
        ]
        await asyncio.gather(*futures)

    async def _partition(self, message: Message) -> int | None:
        if message.like is None:
            return message.partition
        return message.like % len(await self._producer.partitions_for(message.topic))

    async def _abort(self, error: Exception) -> None:
        """Abort the open transaction.

        Raises:
            ProducerFencedError: that cannot be done.
        """
        if not isinstance(error, ProducerFenced | InvalidProducerEpoch):
            try:
                async with asyncio.timeout(ABORT_SECONDS):
                    await self._producer.abort_transaction()
            except Exception as failure:  # noqa: BLE001 - whatever it is, the transaction may be open
                error = failure
            else:
                return
        raise self._end(error) from error

    def _end(self, error: Exception) -> ProducerFencedError:
        if not self._closed:
            self._fenced(error if isinstance(error, KafkaError) else KafkaError(repr(error)))
        return ProducerFencedError(f"{self.what} is fenced, or what it did last is not known: {error!r}")

    async def close(self) -> None:
        """Close it; a transaction that was interrupted is aborted, or readers would wait for its timeout."""
        self._usable, self._closed = False, True
        manager = self._producer._txn_manager  # noqa: SLF001 - there is no public word for either
        if manager.is_in_transaction():
            await ended(self._producer.abort_transaction(), self.what, CLOSE_SECONDS)
        if manager.is_fatal_error():
            _hear_out(self._producer)
        await close_producer(self._producer, what=self.what, timeout=CLOSE_SECONDS)


def _hear_out(producer: AIOKafkaProducer) -> None:
    """Ask the futures of a failed producer for their error: nobody else does, and asyncio would complain of each."""
    producer._txn_manager.wait_for_transaction_end().exception()  # noqa: SLF001 - see above
    for batches in producer._message_accumulator._batches.values():  # noqa: SLF001
        for batch in batches:
            if batch._drain_waiter.done():  # noqa: SLF001
                batch._drain_waiter.exception()  # noqa: SLF001


class Transactions:
    """The transactional producers of what a lane owns. It is the lane's fence.

    Args:
        make: makes a producer, which has yet to be started, of a transactional id.
        group: the lane's consumer group.
        fenced: told that a producer was fenced: the lane has to join its group anew.
    """

    def __init__(
        self, make: Callable[[str], AIOKafkaProducer], group: str, *, fenced: Callable[[KafkaError], None]
    ) -> None:
        self._make = make
        self._group = group
        self._fenced = fenced
        self._producers: dict[TopicPartition, PartitionProducer] = {}

    def of(self, name: TopicPartition) -> PartitionProducer:
        """The producer of an owned partition.

        Raises:
            ProducerFencedError: there is none that can be used.
        """
        if name not in self._producers:
            raise ProducerFencedError(f"{name} is not owned")
        self._producers[name].check()
        return self._producers[name]

    async def open(self, names: Sequence[TopicPartition]) -> None:
        """Start a producer for each partition; former owners are shut out, and their transactions ended.

        Raises:
            KafkaError: Kafka does not answer.
            TimeoutError: it did not in time.
        """
        await self.close()
        for name in names:
            client = self._make(f"{self._group}-{name.topic}-{name.partition}")
            self._producers[name] = PartitionProducer(client, name, self._group, fenced=self._fenced)
        try:
            async with asyncio.timeout(OPEN_SECONDS), asyncio.TaskGroup() as group:
                for producer in self._producers.values():
                    group.create_task(producer.start())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def close(self) -> None:
        """Close all producers."""
        producers = list(self._producers.values())
        self._producers.clear()
        await asyncio.gather(*(producer.close() for producer in producers))
