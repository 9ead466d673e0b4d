"""The lane's polling: records from Kafka into bounded buffers, without a pause, whatever happens to the batches."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from prom_faust.exceptions import UnreachableError
from prom_faust.lane.kafka import kafka_partition
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import TopicPartition
from prom_faust.lane.tasks import Flights

__all__ = ["Polling"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""How long one poll waits for records; also how soon a freed buffer is refilled."""
READ_AHEAD = 8
"""Batches of one partition that are read ahead, if the buffer has room for them: an agent that is done with one in no
time has the next ones at hand until the next poll."""
REBALANCE_SECONDS = 0.05
"""How soon the end of a rebalance is seen, or that the lane has to stop in the middle of one."""
NOWHERE = KafkaPartition("", 0)
"""Polled while every buffer is full: the group sees a live member, and what was read ahead stays."""
DRY_POLLS = 3
"""Polls without records after which no room is kept for a partition: its log may end in an open transaction."""


class Polling:
    """Fills the buffers of the owned partitions.

    Args:
        options: how to read.
        partitions: the owned partitions; the lane adds and removes them.
        flights: told when there is something new.
        check_history: compares the logs with what is stored, and ends the worker if they are others.
        label: for logs.
    """

    def __init__(
        self,
        options: LaneOptions,
        partitions: Mapping[TopicPartition, Partition],
        flights: Flights,
        *,
        check_history: Callable[[], Awaitable[None]],
        label: str,
    ) -> None:
        self._options = options
        self._partitions = partitions
        self._flights = flights
        self._check_history = check_history
        self._label = label
        self._fields = {"topic": options.topic, "group": options.group}

    async def poll(self, consumer: AIOKafkaConsumer) -> bool:
        """Read what is there into the buffers; whether anything was."""
        if consumer._subscription.reassignment_in_progress:  # noqa: SLF001 - getmany would wait for its end, in silence
            consumer._coordinator.check_errors()  # noqa: SLF001 - as getmany does
            await asyncio.sleep(REBALANCE_SECONDS)
            return False
        wanted = self._wanted(consumer) or [NOWHERE]
        try:
            fetched = await consumer.getmany(
                *wanted, timeout_ms=int(POLL_SECONDS * 1000), max_records=self._options.batch
            )
        except NoOffsetForPartitionError:
            return False  # assigned, and not yet sought to where it starts
        except OffsetOutOfRangeError as error:
            await self._out_of_range(consumer, error.args[0])
            return False
        for theirs, records in fetched.items():
            partition = self._partitions.get(TopicPartition(theirs.topic, theirs.partition))
            if partition is not None:
                partition.push(records)
        for theirs in wanted:
            partition = self._partitions.get(TopicPartition(theirs.topic, theirs.partition))
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
            logger.warning("%s: %s", self._label, error, extra=self._fields)
            return
        begins = await consumer.beginning_offsets(list(offsets))
        for theirs, begin in begins.items():
            partition = self._partitions.get(TopicPartition(theirs.topic, theirs.partition))
            if partition is not None and offsets[theirs] < begin:
                logger.warning(
                    "%s: records %d to %d of %s are gone",
                    *(self._label, offsets[theirs], begin, theirs),
                    extra={**self._fields, "partition": theirs.partition, "offset": offsets[theirs]},
                )
                consumer.seek(theirs, begin)

    def _wanted(self, consumer: AIOKafkaConsumer) -> list[KafkaPartition]:
        """The partitions to poll: those that are due next, as far as the buffer reaches.

        Under a backlog it is better to read much of a few partitions than a little of all: a batch then holds
        more records of each key, and fewer documents are written.
        """
        size = 2 * self._options.max_bytes - sum(
            partition.buffered_bytes for partition in self._partitions.values()
        )
        batch = self._options.batch * self._options.parts
        wanted: list[KafkaPartition] = []
        for index in range(len(self._flights)):
            mine = self._flights.of_slot(index)
            room = self._options.buffer // len(self._flights)
            ahead = max(batch, min(room, READ_AHEAD * batch))
            full = sum(partition.buffered for partition in mine) >= room
            for partition in mine:
                if room <= 0 or full:
                    break
                if partition.stuck:
                    continue
                if partition.buffered < ahead and (size > 0 or not partition.buffered):
                    wanted.append(kafka_partition(partition.token.partition))
                room -= min(ahead, partition.buffered + _behind(consumer, partition))
        return wanted


def _behind(consumer: AIOKafkaConsumer, partition: Partition) -> int:
    """Records of a partition that are still to be polled, as far as is known."""
    if partition.dry_polls >= DRY_POLLS:
        return 0
    end = consumer.highwater(kafka_partition(partition.token.partition))
    return 0 if end is None else max(0, end - partition.polled_to)
