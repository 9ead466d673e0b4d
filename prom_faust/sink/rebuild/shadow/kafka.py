"""What a rebuild asks of Kafka: how long tombstones stay, whether the log is the one it has read, and the records."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from prom_faust.clients import Clients
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import (
    LostHistoryError,
    PartitionCountError,
    TopicError,
    UnreachableError,
)
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.history import LogState, Position, check_history
from prom_faust.lane.kafka import read_timestamps
from prom_faust.lane.record import Record, TopicPartition, record_size
from prom_faust.sink.faust import Projection
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.rebuild.shadow.letters import Letters
from prom_faust.sink.rebuild.shadow.mongo import Shadow
from prom_faust.sink.service import Projector
from prom_faust.sink.verify.report import Progress

__all__ = ["Rounds", "lost_history", "tombstone_retention"]

ANSWER_SECONDS = 20.0
RETRY_SECONDS = 0.2
"""Until records that wait for a unique value are tried again."""


async def tombstone_retention(clients: Clients, topic: str) -> int | None:
    """Milliseconds that the topic keeps a tombstone; None where it is not compacted.

    Raises:
        UnreachableError: Kafka does not answer.
    """
    admin: Any = clients.admin()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await admin.start()
            responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    except (KafkaError, OSError, TimeoutError) as error:
        raise UnreachableError(f"Kafka at {clients.brokers} does not describe {topic}: {error!r}") from error
    finally:
        await admin.close()
    configs = {entry[0]: entry[1] for found in responses for each in found.resources for entry in each[4]}
    if "compact" not in configs.get("cleanup.policy", "delete"):
        return None
    return int(configs["delete.retention.ms"])


async def lost_history(
    projection: Projection, log: LogReader, stored: Mapping[int, Position], *, rebuild: str = ""
) -> LostHistoryError | None:
    """Why the topic is not the one at which these positions were stored, or None.

    Args:
        projection: of the topic.
        log: reads it.
        stored: partition number to position.
        rebuild: what an operator should do about it.

    Raises:
        TopicError: there is no such topic.
        UnreachableError: Kafka does not answer.
    """
    options = projection.options
    names = await log.partitions(options.topic)
    if not names:
        raise TopicError(f"there is no topic {options.topic}")
    begins, ends = await log.begins(names), await log.ends(names)
    anchors = {
        name: last
        for name in names
        if (position := stored.get(name.partition)) is not None
        and (last := position.last_offset) is not None
        and begins[name] <= last < ends[name]
    }
    try:
        timestamps = await read_timestamps(projection.clients, anchors)
    except KafkaError as error:
        raise UnreachableError(f"{options.topic} cannot be read: {error!r}") from error
    for name in names:
        position = stored.get(name.partition)
        # No group is asked: whether it still has its offsets matters to a worker only.
        committed = None if position is None else min(position.applied, ends[name])
        state = LogState(begins[name], ends[name], committed, len(names), timestamps.get(name))
        fault = check_history(
            name,
            state,
            position,
            group=projection.group,
            rebuild=rebuild,
            grows=options.grows,
        )
        if fault is not None:
            return fault
    return None


class Rounds:
    """Projects the topic into the shadow, round by round, each up to where the log ended when the round began.

    Memory is bounded by a window, as in a worker. The positions are stored after the data.

    Args:
        projection: the shadow's.
        shadow: where the documents go.
        log: reads the topic and its letters.
        letters: the letters that were read.
        progress: told how far it is.

    Attributes:
        at: partition to the offset before which everything is applied.
    """

    def __init__(
        self, projection: Projection, shadow: Shadow, log: LogReader, letters: Letters, progress: Progress
    ) -> None:
        self.at: dict[int, int] = {}
        self._projection = projection
        self._options = projection.options
        self._shadow = shadow
        self._log = log
        self._letters = letters
        self._progress = progress
        self._projector = Projector(
            projection.options,
            shadow,
            projection.publisher,
            consumer=projection.group,
            unique_wait=projection.settings.unique_wait,
            log=self._log_of,
        )
        self._ends: dict[TopicPartition, int] = {}
        self._last: dict[int, Record] = {}
        self._letters_at: dict[TopicPartition, int] = {}
        self._pending: dict[TopicPartition, list[Record]] = {}
        self._held_since: dict[tuple[TopicPartition, int], float] = {}
        self._count = self._bytes = 0
        self._stage: str | None = None

    def _log_of(self, name: TopicPartition) -> tuple[int, int]:
        return self._ends[name], len(self._ends)

    async def resume(self, at: Mapping[int, int]) -> None:
        """Go on at the stored positions, and where there is none at these."""
        stored = await self._shadow.positions.load_positions(self._options.topic)
        self.at = {**at, **{number: position.applied for number, position in stored.items()}}

    async def catch_up(self, stage: str | None) -> int:
        """Apply what is on the topic now, and its letters; returns how many records were read.

        Args:
            stage: what the progress says it is; None for nothing.

        Raises:
            LostHistoryError: the topic has become another one.
            DeadLetterError: a letter could not be published.
            UnreachableError: Kafka does not answer.
        """
        self._stage = stage
        await self._look()
        await self._read_letters()
        begins = await self._log.begins(list(self._ends))
        spans = {
            name: (max(self.at.get(name.partition, 0), begins[name]), end) for name, end in self._ends.items()
        }
        total = sum(end - begin for begin, end in spans.values() if begin < end)
        done = 0
        async for records in self._log.read(spans):
            await self._take(records)
            self._last[records[-1].partition] = records[-1]
            done += len(records)
            self._say(stage, done, total)
        await self._settle(0)
        await self._store()
        for record in self._letters.left(self.at):
            await self._add(record)
        await self._settle(0)
        return done

    def _say(self, stage: str | None, done: int, total: int) -> None:
        if stage is not None and self._stage is not None:
            self._progress(stage, done, total)

    async def _look(self) -> None:
        """Where the log ends now."""
        topic, before = self._options.topic, len(self._ends)
        names = await self._log.partitions(topic)
        if not names:
            raise TopicError(f"there is no topic {topic}")
        if before and len(names) != before and not (self._options.grows and len(names) > before):
            raise PartitionCountError(f"topic {topic} had {before} partitions and has {len(names)} now")
        self._ends = await self._log.ends(names)

    async def _read_letters(self) -> None:
        """Read on in the letters."""
        topic = self._options.topic
        spans = await self._log.spans(dlq_topic(topic), self._letters_at)
        async for letters in self._log.letters(spans, topic=topic, group=self._projection.group):
            for letter in letters:
                self._letters.add(letter)
        self._letters_at = {name: end for name, (_, end) in spans.items()}

    async def _take(self, records: Sequence[Record]) -> None:
        for record in records:
            if (counting := self._letters.resolve(record)) is not None:
                await self._add(counting)

    async def _add(self, record: Record) -> None:
        self._pending.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
        self._count += 1
        self._bytes += record_size(record)
        if self._count >= self._options.window or self._bytes >= self._options.max_window_bytes:
            await self._settle(max(self._options.size, 2))

    async def _flush(self) -> None:
        """Project what was taken in; what waits for a unique value stays, to come again with what follows."""
        if not self._pending:
            return
        shares = {
            name: Share(Token(name), sorted(records, key=_offset)) for name, records in self._pending.items()
        }
        batch = Batch(shares, held_since=self._held_since, clock=time.monotonic)
        await self._projector.project(batch)
        for share in shares.values():
            if share.put_back is not None:
                raise share.put_back
        self._pending = {name: held for name, share in shares.items() if (held := _held(share))}
        waiting = {(name, record.offset) for name, records in self._pending.items() for record in records}
        self._held_since = {each: self._held_since.get(each, time.monotonic()) for each in waiting}
        self._count = len(waiting)
        self._bytes = sum(record_size(record) for records in self._pending.values() for record in records)

    async def _settle(self, most: int) -> None:
        """Until so many wait at most: they are applied, or after ``unique_wait`` dead-lettered."""
        await self._flush()
        while self._count > most:
            self._say("waiting for unique values", 0, self._count)
            await asyncio.sleep(RETRY_SECONDS)
            await self._flush()

    async def _store(self) -> None:
        """Store the round's end: the log may end in markers and in records that were dead-lettered."""
        positions: dict[int, Position] = {}
        for name, end in self._ends.items():
            number, last = name.partition, self._last.get(name.partition)
            self.at[number] = max(self.at.get(number, 0), end)
            if last is not None:
                positions[number] = Position(end, end, last.offset, last.timestamp, len(self._ends))
        if positions:
            await self._shadow.positions.store_positions(self._options.topic, positions, now=milliseconds())


def _offset(record: Record) -> int:
    return record.offset


def _held(share: Share) -> list[Record]:
    return [record for record in share.records if record.offset in share.held]
