"""Reading a topic up to where it ended, without a consumer group.

A log has holes: what the cleaner took, transaction markers, records of aborted transactions. So the end is
reached when the reader's position is there, whether or not a record came from there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from prom_faust.clients import Clients
from prom_faust.dlq.envelope import DeadLetter
from prom_faust.dlq.envelope import decode as decode_letter
from prom_faust.dlq.ledger import Filed
from prom_faust.exceptions import DecodeError, UnreachableError
from prom_faust.lane.kafka import kafka_partition
from prom_faust.lane.record import Record, TopicPartition

__all__ = ["LogReader", "Span"]

Span = tuple[int, int]
"""The first offset to read and the one to stop before."""

POLL_SECONDS = 0.5
POLL_RECORDS = 2_000
"""Records handed out at once: some tens of milliseconds of decoding between two turns of the event loop."""
STALL_SECONDS = 30.0
"""How long nothing may advance before the log counts as unreadable."""
ANSWER_SECONDS = 20.0
ACCESS_SECONDS = 2.0
"""How long a broker may take to say whether it lets us in."""


class LogReader:
    """Reads logs. An async context manager.

    Args:
        clients: opens the clients; made where a loop runs.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._consumer: Any = clients.reader()
        self._admin: Any = clients.admin()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._admin.start()
                await self._consumer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await self._close()
            await self._clients.check_access(timeout=ACCESS_SECONDS)
            raise self._unreachable(error) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._consumer.stop()
        await self._admin.close()

    def _unreachable(self, error: Exception) -> UnreachableError:
        return UnreachableError(f"Kafka at {self._clients.brokers} cannot be read: {error!r}")

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """The topic's partitions; none where there is no such topic.

        All topics are asked for: to ask for one that is missing can create it.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if topic not in await self._admin.list_topics():
                    return []
                (described,) = await self._admin.describe_topics([topic])
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return sorted(TopicPartition(topic, partition["partition"]) for partition in described["partitions"])

    async def begins(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset of each log."""
        return await self._offsets("beginning_offsets", partitions)

    async def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each log."""
        return await self._offsets("end_offsets", partitions)

    async def _offsets(self, which: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                offsets = await getattr(self._consumer, which)(list(map(kafka_partition, partitions)))
        except (KafkaError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return {partition: offsets[kafka_partition(partition)] for partition in partitions}

    async def spans(
        self, topic: str, since: Mapping[TopicPartition, int] | None = None
    ) -> dict[TopicPartition, Span]:
        """Each log of a topic, from there on or from its begin, to its end now; none where there is no topic."""
        partitions = await self.partitions(topic)
        begins, ends = await self.begins(partitions), await self.ends(partitions)
        return {name: ((since or {}).get(name, begins[name]), ends[name]) for name in partitions}

    async def letters(
        self, spans: Mapping[TopicPartition, Span], *, topic: str, group: str
    ) -> AsyncIterator[list[DeadLetter]]:
        """The dead letters in these spans that say something of a topic's records and a consumer group."""
        async for filed in self.filed(spans, topic=topic):
            yield [letter for _, letter in filed if letter.consumer == group]

    async def filed(self, spans: Mapping[TopicPartition, Span], *, topic: str) -> AsyncIterator[list[Filed]]:
        """The dead letters in these spans of a topic's records, whoever's they are, each with its own place."""
        async for records in self.read(spans):
            found: list[Filed] = []
            for record in records:
                try:
                    letter = decode_letter(record)
                except DecodeError:
                    continue  # somebody else's record
                if letter.record.topic == topic:
                    found.append(((record.partition, record.offset), letter))
            yield found

    async def read(self, spans: Mapping[TopicPartition, Span]) -> AsyncIterator[Sequence[Record]]:
        """The records of these spans, those of one partition in order.

        Raises:
            UnreachableError: nothing came for a while.
        """
        pending = {kafka_partition(name): end for name, (begin, end) in spans.items() if begin < end}
        if not pending:
            return
        self._consumer.assign(list(pending))
        for name, (begin, end) in spans.items():
            if begin < end:
                self._consumer.seek(kafka_partition(name), begin)
        clock = asyncio.get_running_loop().time
        reached: dict[KafkaPartition, int] = {}
        advanced = clock()
        while pending:
            for theirs, records in (await self._fetch(pending)).items():
                inside = [record for record in records if record.offset < pending[theirs]]
                if inside:
                    yield inside
            now_at = {theirs: await self._consumer.position(theirs) for theirs in pending}
            if now_at != reached:
                reached, advanced = now_at, clock()
            elif clock() - advanced > STALL_SECONDS:
                raise _stalled(pending)
            done = [theirs for theirs, end in pending.items() if now_at[theirs] >= end]
            self._consumer.pause(*done)
            for theirs in done:
                del pending[theirs]

    async def _fetch(self, partitions: Iterable[KafkaPartition]) -> dict[KafkaPartition, list[Record]]:
        try:
            fetched: dict[KafkaPartition, list[Record]] = await self._consumer.getmany(
                *partitions, timeout_ms=int(POLL_SECONDS * 1000), max_records=POLL_RECORDS
            )
        except KafkaError as error:
            raise self._unreachable(error) from error
        return fetched


def _stalled(partitions: Iterable[KafkaPartition]) -> UnreachableError:
    stuck = ", ".join(f"{theirs.topic}[{theirs.partition}]" for theirs in partitions)
    return UnreachableError(
        f"{stuck}: nothing came for {STALL_SECONDS:g} s before the log's end. Does the broker answer, "
        "and is a transaction open?"
    )
