"""What the lane asks of Kafka beside records: the state of the log, and commits that cannot block it."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
)
from aiokafka.protocol.commit import OffsetFetchRequest

from prom_faust.clients import Clients, check_coordinator, started
from prom_faust.clock import milliseconds
from prom_faust.exceptions import LostHistoryError, PositionLostError, UnreachableError
from prom_faust.lane.freshness import Synced
from prom_faust.lane.history import LogState, Position, check_history, has_grown
from prom_faust.lane.losses.kafka import Losses, LossStore
from prom_faust.lane.record import TopicPartition
from prom_faust.logs import place

__all__ = [
    "Committer",
    "LogComparison",
    "PositionStore",
    "committed_offsets",
    "kafka_partition",
    "log_states",
    "read_timestamps",
]

logger = logging.getLogger(__name__)

ANCHOR_FETCH_BYTES = 1024
ANCHOR_SECONDS = 5.0
COMMIT_RETRY_SECONDS = 1.0
OFFSETS_SECONDS = 10.0
CONFIRM_SECONDS = (0.5, 1.5)
"""The pauses between looks at a log that is not as it was left."""


class PositionStore(LossStore, Protocol):
    """Where applied positions are stored beside the data."""

    async def load_positions(self, topic: str) -> Mapping[int, Position]:
        """Partition number to position."""

    async def store_positions(self, topic: str, positions: Mapping[int, Position], *, now: int) -> None:
        """Store positions, never backwards."""


def kafka_partition(partition: TopicPartition) -> KafkaPartition:
    """The client's own type for a partition."""
    return KafkaPartition(partition.topic, partition.partition)


async def log_states(
    clients: Clients,
    consumer: AIOKafkaConsumer,
    partitions: Iterable[TopicPartition],
    stored: Mapping[int, Position],
) -> dict[TopicPartition, LogState]:
    """Ask the broker for the state of each partition's log.

    Args:
        clients: opens the reader that looks at the last applied records.
        consumer: the group's consumer.
        partitions: whose logs.
        stored: partition number to stored position, whose last applied record is looked up.

    Raises:
        KafkaError: the broker does not answer.
    """
    wanted = list(partitions)
    theirs = [kafka_partition(partition) for partition in wanted]
    if not theirs:
        return {}
    at = milliseconds()
    # What grows is read after what must not exceed it: under steady input a commit overtakes an older end.
    committed = await committed_offsets(consumer, wanted)
    begins = await consumer.beginning_offsets(theirs)
    ends = await consumer.end_offsets(theirs)
    anchors = {
        partition: stored[partition.partition].last_offset
        for partition in wanted
        if partition.partition in stored
    }
    timestamps = await read_timestamps(
        clients,
        {
            partition: offset
            for partition, offset in anchors.items()
            if offset is not None
            and begins[kafka_partition(partition)] <= offset < ends[kafka_partition(partition)]
        },
    )
    return {
        partition: LogState(
            begin=begins[kafka_partition(partition)],
            end=ends[kafka_partition(partition)],
            committed=committed[partition],
            partitions=_partition_count(consumer, partition.topic),
            last_timestamp=timestamps.get(partition),
            applied=stored[partition.partition].applied if partition.partition in stored else None,
            at=at,
        )
        for partition in wanted
    }


async def committed_offsets(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int | None]:
    """The group's committed offsets; None where it has none, and never where the coordinator only cannot tell.

    Raises:
        KafkaError: the coordinator cannot tell at the moment.
        TimeoutError: it did not answer in time.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - the response is not to be had otherwise
    wanted = list(partitions)
    topics: dict[str, list[int]] = {}
    for partition in wanted:
        topics.setdefault(partition.topic, []).append(partition.partition)
    async with asyncio.timeout(OFFSETS_SECONDS):
        await coordinator.ensure_coordinator_known()
        response = await coordinator._send_req(  # noqa: SLF001
            OffsetFetchRequest(coordinator.group_id, list(topics.items()))
        )
    return _committed(response, coordinator)


def _committed(response: Any, coordinator: Any) -> dict[TopicPartition, int | None]:
    codes = [response.error_code] if hasattr(response, "error_code") else []
    found: dict[TopicPartition, int | None] = {}
    for topic, entries in response.topics:
        for number, offset, _, code in entries:
            codes.append(code)
            found[TopicPartition(topic, number)] = None if offset < 0 else offset
    for code in codes:
        check_coordinator(code, coordinator)
    return found


async def _refresh(consumer: AIOKafkaConsumer) -> None:
    """Have the client ask for the topic's partitions now, not when its metadata is of age."""
    async with asyncio.timeout(OFFSETS_SECONDS):
        await consumer._client.force_metadata_update()  # noqa: SLF001 - no public call refreshes what it knows


def _partition_count(consumer: AIOKafkaConsumer, topic: str) -> int:
    partitions = consumer.partitions_for_topic(topic)
    if not partitions:
        raise UnreachableError(f"Kafka says nothing of topic {topic} at the moment")
    return len(partitions)


async def read_timestamps(
    clients: Clients, offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The timestamps, in ms, of the records at these very offsets; those that the cleaner removed are left out."""
    if not offsets:
        return {}
    reader = clients.reader(partition_fetch_bytes=ANCHOR_FETCH_BYTES)
    found: dict[TopicPartition, int] = {}
    async with started(reader, what="the reader of the last applied records"):
        pending: dict[Any, TopicPartition] = {kafka_partition(partition): partition for partition in offsets}
        reader.assign(list(pending))
        for theirs, partition in pending.items():
            reader.seek(theirs, offsets[partition])
        deadline = asyncio.get_running_loop().time() + ANCHOR_SECONDS
        while pending and (left := deadline - asyncio.get_running_loop().time()) > 0:
            for theirs, records in (await reader.getmany(timeout_ms=int(left * 1000))).items():
                if theirs not in pending:
                    continue
                partition = pending.pop(theirs)
                if records[0].offset == offsets[partition]:
                    found[partition] = records[0].timestamp
    return found


class LogComparison:
    """Compares logs with the positions that are stored beside the data.

    Args:
        clients: opens the reader that looks at the last applied records.
        topic: the topic.
        group: the consumer group.
        positions: where positions are stored, or None.
        losses: sees which deletes may have been missed.
        rebuild: gives what an operator should do about lost history.
        grows: whether more partitions keep the order of each key's records.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        topic: str,
        group: str,
        positions: PositionStore | None,
        losses: Losses,
        rebuild: Callable[[], str],
        grows: bool = False,
    ) -> None:
        self._clients = clients
        self._topic = topic
        self._group = group
        self._positions = positions
        self._losses = losses
        self._rebuild = rebuild
        self._grows = grows
        self._known_count = 0

    async def compare(
        self, consumer: AIOKafkaConsumer, names: list[TopicPartition]
    ) -> dict[TopicPartition, LogState]:
        """The state of the logs; that they are others is believed when several looks agree.

        For a moment after a restart a broker may show a log only up to an older high watermark.

        Raises:
            LostHistoryError: every look says so.
        """
        for pause in CONFIRM_SECONDS:
            try:
                return await self._look(consumer, names)
            except LostHistoryError as error:
                logger.warning(
                    "%s; looking again in %g s",
                    *(error, pause),
                    extra={"topic": self._topic, "group": self._group},
                )
                await asyncio.sleep(pause)
                # Another member may have stored a partition count that this one has not seen yet.
                await _refresh(consumer)
        return await self._look(consumer, names)

    async def _look(
        self, consumer: AIOKafkaConsumer, names: list[TopicPartition]
    ) -> dict[TopicPartition, LogState]:
        """The state of the logs, compared with what is stored.

        Raises:
            LostHistoryError: a log is not the one at which the sink stopped.
        """
        store = self._positions
        stored = {} if store is None else await store.load_positions(self._topic)
        logs = await log_states(self._clients, consumer, names, stored)
        for name, log in logs.items():
            error = check_history(
                name,
                log,
                stored.get(name.partition),
                group=self._group,
                rebuild=self._rebuild(),
                grows=self._grows,
            )
            if error is not None:
                raise error
            if store is not None and log.applied is None and log.committed is not None:
                raise PositionLostError(
                    f"group {self._group} has committed offset {log.committed} of {name}, but no position is stored "
                    f"beside the data: the database was emptied. {self._rebuild()}"
                )
        await self._adopt_growth(logs, stored)
        # Last: a log that is another one has lost nothing.
        await self._losses.look(consumer, logs, stored)
        return logs

    async def _adopt_growth(
        self, logs: Mapping[TopicPartition, LogState], stored: Mapping[int, Position]
    ) -> None:
        """Store the new partition count of a topic that has grown, and say once what that means."""
        grown = {
            name.partition: replace(stored[name.partition], partitions=log.partitions)
            for name, log in logs.items()
            if has_grown(log, stored.get(name.partition))
        }
        if self._positions is None or not grown:
            return
        before = min(stored[number].partitions for number in grown)
        count = max(position.partitions for position in grown.values())
        if count > self._known_count:
            logger.warning(
                "topic %s has grown from %d to %d partitions: keys that moved keep their old copies where they were, "
                "and a deleted one may come back with a rebuild, until they are re-homed; sink verify names them",
                self._topic,
                before,
                count,
                extra={"topic": self._topic, "group": self._group},
            )
            self._known_count = count
        await self._positions.store_positions(self._topic, grown, now=milliseconds())

    async def begin(
        self, logs: Mapping[TopicPartition, LogState], starts: Mapping[TopicPartition, int]
    ) -> None:
        """Store where partitions without a committed offset start, before they get one."""
        if self._positions is not None and logs:
            positions = {
                name.partition: Position(
                    starts[name],
                    max(log.end, starts[name]),
                    partitions=log.partitions,
                    synced=Synced(log.at, starts[name]),
                )
                for name, log in logs.items()
            }
            await self._positions.store_positions(self._topic, positions, now=milliseconds())


class Committer:
    """Commits one partition at a time, under a deadline, and never while the lane waits.

    aiokafka's ``commit`` tries for ever while the broker is down, and fails for all partitions of a call if one is
    gone. An offset given here is one whose effects are done, so a commit that is lost only means redelivery.

    Args:
        consumer: gives the consumer, or None while there is none.
        timeout: seconds after which a commit that does not return is left for later.
    """

    def __init__(self, consumer: Callable[[], AIOKafkaConsumer | None], *, timeout: float) -> None:
        self._consumer = consumer
        self._timeout = timeout
        self._pending: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()

    def mark(self, partition: TopicPartition, offset: int) -> None:
        """Everything before ``offset`` is done."""
        if self._committed.get(partition) != offset:
            self._pending[partition] = offset
            self._changed.set()

    def forget(self) -> None:
        """The partitions are no longer ours."""
        self._pending.clear()
        self._committed.clear()

    async def run(self) -> None:
        """Commit what was marked, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.flush():
                await asyncio.sleep(COMMIT_RETRY_SECONDS)
                self._changed.set()

    async def flush(self) -> bool:
        """Commit what was marked; False if something has to be tried again."""
        async with self._lock:
            results = await asyncio.gather(*[self._commit(*item) for item in self._pending.items()])
        return all(results)

    async def _commit(self, partition: TopicPartition, offset: int) -> bool:
        consumer = self._consumer()
        if consumer is None:
            return False
        try:
            async with asyncio.timeout(self._timeout):
                await consumer.commit({kafka_partition(partition): offset})
        except (CommitFailedError, IllegalStateError) as error:
            logger.info(
                "offset %d of %s is not committed, the group has moved on: %s",
                *(offset, partition, error),
                extra={**place(partition), "offset": offset},
            )
        except (TimeoutError, KafkaError) as error:
            logger.warning(
                "offset %d of %s is not committed yet: %r",
                *(offset, partition, error),
                extra={**place(partition), "offset": offset},
            )
            return False
        else:
            self._committed[partition] = offset
        if self._pending.get(partition) == offset:
            del self._pending[partition]
        return True
