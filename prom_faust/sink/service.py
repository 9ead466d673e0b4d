"""What the sink does with one batch: decode, bury the bad, write the winners, store how far it is.

Every await stands between two checks of ownership. An outage is waited out here, for as long as it takes, without
losing the batch; the lane goes on polling meanwhile.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from prom_faust.backoff import Backoff
from prom_faust.dlq.envelope import letter_of
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import DeadLetterError, RecordError, UnreachableError, WriteRejectedError
from prom_faust.lane.batch import Batch
from prom_faust.lane.history import Position
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.sink.decode import decoder
from prom_faust.sink.event import Change
from prom_faust.sink.key import Key
from prom_faust.sink.mongo import Collection
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.order import Stored
from prom_faust.sink.outcome import Failure, Verdict
from prom_faust.sink.plan import KeyPlan, Write, apart, group, needs_read, plan_write

__all__ = ["Projector", "SinkStats"]

logger = logging.getLogger(__name__)
T = TypeVar("T")

SLICE = 250
"""Records decoded between two turns of the event loop: a few milliseconds."""
ATTEMPTS_ALONE = 3
"""How often an unlisted error is tried again before the document counts as bad."""
WRITERS = 2
"""Bulk writes in flight for one batch: one is encoded while the server works on the other."""

Log = Callable[[TopicPartition], tuple[int, int]]
"""Partition to (log end, number of partitions of its topic), as the lane last saw them."""


@dataclass(slots=True)
class SinkStats:
    """Counters since the worker started, for operators.

    Attributes:
        records: records taken in.
        writes: documents and markers written.
        coalesced: records that a later one of their key made needless.
        stale: writes that a newer state had overtaken.
        dead: records dead-lettered.
        held: records that wait for a unique value at the moment.
        retries: attempts that were repeated.
        outage: the last error of an outage that lasts, or None.
    """

    records: int = 0
    writes: int = 0
    coalesced: int = 0
    stale: int = 0
    dead: int = 0
    held: int = 0
    retries: int = 0
    outage: str | None = None


@dataclass(slots=True)
class _Work:
    """One batch while it is worked on."""

    batch: Batch
    dropped: set[TopicPartition] = field(default_factory=set)
    attempts: dict[int, int] = field(default_factory=dict)
    writes: int = 0

    def has(self, record: Record) -> bool:
        return TopicPartition(record.topic, record.partition) not in self.dropped


class Projector:
    """Applies batches of one topic to one collection.

    Args:
        options: the projection's options.
        collection: where the documents go.
        publisher: publishes dead letters.
        consumer: the consumer group's name, written into dead letters.
        unique_wait: seconds that a record waits for a unique value before it counts as bad.
        log: what the lane knows of a partition's log.
    """

    def __init__(
        self,
        options: ChangelogOptions,
        collection: Collection,
        publisher: DeadLetterPublisher,
        *,
        consumer: str,
        unique_wait: float,
        log: Log,
    ) -> None:
        self.options = options
        self.collection = collection
        self.stats = SinkStats()
        self._decode = decoder(options)
        self._publisher = publisher
        self._consumer = consumer
        self._unique_wait = unique_wait
        self._log = log
        self._calm_since = -math.inf

    async def project(self, batch: Batch) -> None:
        """Bring the collection to the state after this batch.

        When it returns, every record's effect is in MongoDB by majority, or its letter is on the dead-letter
        topic, or the batch says that it is held or put back.

        Raises:
            RevokedError: a partition was revoked meanwhile.
        """
        work = _Work(batch)
        changes, bad = await self._decode_all(batch)
        await self._bury(work, bad)
        wanted = [change for change in changes if work.has(change.record)]
        plans = apart(wanted) if self.options.appends else list(group(wanted).values())
        conflicts = await self._apply(work, plans)
        if conflicts:
            await self._settle_conflicts(work, conflicts)
        await self._store_positions(work)
        self.stats.records += len(batch)
        self.stats.coalesced += len(changes) - len(plans)
        self.stats.held = sum(len(share.held) for share in batch.shares.values())

    # -- decode and bury -------------------------------------------------------------------------------------

    async def _decode_all(self, batch: Batch) -> tuple[list[Change], list[tuple[Record, RecordError]]]:
        changes: list[Change] = []
        bad: list[tuple[Record, RecordError]] = []
        for count, record in enumerate(batch, start=1):
            try:
                changes.append(self._decode(record))
            except RecordError as error:
                bad.append((record, error))
            if count % SLICE == 0:
                await asyncio.sleep(0)
        return changes, bad

    async def _bury(self, work: _Work, bad: Sequence[tuple[Record, RecordError]]) -> None:
        """Dead-letter records; a partition whose letter cannot be published is put back whole."""
        if not bad:
            return
        work.batch.check()
        now = _milliseconds()
        letters = [letter_of(record, error, consumer=self._consumer, died_at=now) for record, error in bad]
        published = 0
        for letter, failed in zip(letters, await self._publisher.publish(letters), strict=True):
            if failed is None:
                published += 1
            else:
                self._drop(work, letter.record, failed)
        self.stats.dead += published
        record, error = bad[0]
        if published:
            logger.warning(
                "sink %s: %d records are on the dead-letter topic; the first: %s[%d] offset %d, key %.80r: %.300s",
                *(self.options.collection, published, record.topic, record.partition, record.offset),
                *(record.key, error),
            )

    def _drop(self, work: _Work, record: Record, error: DeadLetterError) -> None:
        partition = TopicPartition(record.topic, record.partition)
        if partition not in work.dropped:
            logger.error("%s stops: %s", partition, error)
        work.dropped.add(partition)
        work.batch.put_back(partition, error)

    # -- write -----------------------------------------------------------------------------------------------

    async def _apply(self, work: _Work, plans: Iterable[KeyPlan]) -> list[KeyPlan]:
        """Write every key's winner; returns the keys that wait for a unique value."""
        plans = list(plans)
        versioned = self.options.versioned
        stored = await self._read(work, [plan.key for plan in plans if needs_read(plan, versioned=versioned)])
        pending = self._writes(plans, stored)
        conflicts: list[KeyPlan] = []
        backoff = Backoff()
        while pending:
            failures = await self._write_all(work, pending)
            again, taken = await self._judge(work, failures)
            conflicts += taken
            pending = again
            if any(failure.verdict in {Verdict.RETRY, Verdict.UNKNOWN} for _, failure in failures):
                await self._pause(work, backoff.next())
        return conflicts

    def _writes(self, plans: Iterable[KeyPlan], stored: Mapping[Key, Stored]) -> list[Write]:
        writes: list[Write] = []
        for plan in plans:
            seen = stored.get(plan.key)
            write = plan_write(plan, seen, versioned=self.options.versioned, exact=seen is not None)
            if write is None:
                self.stats.stale += 1
            else:
                writes.append(write)
        return writes

    async def _write_all(self, work: _Work, writes: Sequence[Write]) -> list[tuple[Write, Failure]]:
        size = self.options.size
        chunks = iter([writes[start : start + size] for start in range(0, len(writes), size)])
        failures: list[tuple[Write, Failure]] = []

        async def writer() -> None:
            for chunk in chunks:
                refused = await self._patiently(work, partial(self._write_chunk, work, chunk))
                failures.extend(refused)
                self.stats.writes += len(chunk) - len(refused)
                work.writes += len(chunk) - len(refused)

        tasks = [asyncio.create_task(writer()) for _ in range(min(WRITERS, -(-len(writes) // size)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return failures

    async def _write_chunk(self, work: _Work, chunk: Sequence[Write]) -> list[tuple[Write, Failure]]:
        return await self.collection.write(chunk, now=_milliseconds(), check=work.batch.check)

    async def _judge(
        self, work: _Work, failures: Sequence[tuple[Write, Failure]]
    ) -> tuple[list[Write], list[KeyPlan]]:
        """Decide what becomes of the writes that failed: (to be written again, waiting for a unique value)."""
        if not failures:
            return [], []
        doubtful = {Verdict.KEY_TAKEN, Verdict.UNIQUE}
        stored = await self._read(
            work, [write.change.key for write, failure in failures if failure.verdict in doubtful]
        )
        again: list[Write] = []
        waiting: list[KeyPlan] = []
        refused: list[tuple[Write, Failure]] = []
        for write, failure in failures:
            if failure.verdict is Verdict.PRESENT:
                self.stats.stale += 1
            elif failure.verdict in doubtful:
                seen = stored.get(write.plan.key)
                newer = plan_write(
                    write.plan, seen, versioned=self.options.versioned, exact=self.options.versioned
                )
                if newer is None:
                    self.stats.stale += 1
                elif failure.verdict is Verdict.UNIQUE:
                    waiting.append(write.plan)
                else:
                    again.append(newer)
            elif failure.verdict is Verdict.RETRY or not self._give_up(work, write, failure):
                self.stats.retries += 1
                again.append(write)
            else:
                refused.append((write, failure))
        again += await self._refuse(work, refused)
        return again, waiting

    def _give_up(self, work: _Work, write: Write, failure: Failure) -> bool:
        if failure.verdict is Verdict.BAD_DATA:
            return True
        tried = work.attempts[write.change.n] = work.attempts.get(write.change.n, 0) + 1
        return tried >= ATTEMPTS_ALONE

    async def _refuse(self, work: _Work, refused: Sequence[tuple[Write, Failure]]) -> list[Write]:
        """Dead-letter the winners that MongoDB refuses; returns the writes of each key's next best."""
        await self._bury(
            work,
            [
                (write.change.record, WriteRejectedError(failure.message, code=failure.code))
                for write, failure in refused
            ],
        )
        rest = [
            plan
            for write, _ in refused
            if work.has(write.change.record) and (plan := write.plan.without(write.change)).changes
        ]
        return self._writes(rest, {})

    # -- unique values ---------------------------------------------------------------------------------------

    async def _settle_conflicts(self, work: _Work, conflicts: list[KeyPlan]) -> None:
        """Let unique values move between keys: now if the batch allows it, else with a later batch.

        A value may be given up by a record of this batch, in an intermediate state that coalescing skipped, or by
        one that is still to come. Only what waited for ``unique_wait`` is bad data.
        """
        while conflicts:
            left = await self._apply(work, conflicts)
            if len(left) == len(conflicts) and not await self._step_through(work, left):
                expired = [plan for plan in left if self._expired(work, plan)]
                for plan in left:
                    if plan not in expired:
                        for change in plan.changes:
                            work.batch.hold(change.record, "waits for a value that another document has")
                left = await self._bury_expired(work, expired)
            conflicts = left

    async def _step_through(self, work: _Work, plans: Sequence[KeyPlan]) -> bool:
        """Write the states that coalescing skipped, in their order; whether that moved anything."""
        moved = False
        for plan in plans:
            for end in range(1, len(plan.changes)):
                before = work.writes
                await self._apply(work, [KeyPlan(plan.key, plan.changes[:end])])
                moved = moved or work.writes > before
        return moved

    def _expired(self, work: _Work, plan: KeyPlan) -> bool:
        write = plan_write(plan, None, versioned=self.options.versioned)
        if write is None:
            return False
        # An outage is no waiting: what would free the value could not be applied either.
        calm = time.monotonic() - self._calm_since
        return min(work.batch.held_for(write.change.record), calm) >= self._unique_wait

    async def _bury_expired(self, work: _Work, plans: Sequence[KeyPlan]) -> list[KeyPlan]:
        rest: list[KeyPlan] = []
        for plan in plans:
            write = plan_write(plan, None, versioned=self.options.versioned)
            if write is None:
                continue
            record = write.change.record
            message = f"another document has had one of its unique values for {self._unique_wait:g} s"
            await self._bury(work, [(record, WriteRejectedError(message, code=11000))])
            if work.has(record) and (left := plan.without(write.change)).changes:
                rest.append(left)
        return rest

    # -- positions and patience ------------------------------------------------------------------------------

    async def _store_positions(self, work: _Work) -> None:
        positions: dict[int, Position] = {}
        for partition, share in work.batch.shares.items():
            if partition in work.dropped:
                continue
            applied = min(share.held, default=share.records[-1].offset + 1)
            done = [record for record in share.records if record.offset < applied]
            if done:
                end, partitions = self._log(partition)
                positions[partition.partition] = Position(
                    applied, max(end, applied), done[-1].offset, done[-1].timestamp, partitions
                )
        if positions:
            await self._patiently(
                work,
                lambda: self.collection.store_positions(self.options.topic, positions, now=_milliseconds()),
            )

    async def _read(self, work: _Work, keys: Sequence[Key]) -> dict[Key, Stored]:
        if not keys or self.options.appends:  # what is inserted depends on nothing that stands
            return {}
        return await self._patiently(work, lambda: self.collection.read(keys))

    async def _patiently(self, work: _Work, call: Callable[[], Awaitable[T]]) -> T:
        """Call until the server answers. The deadline of each call counts from the check of ownership."""
        backoff = Backoff()
        while True:
            work.batch.check()
            try:
                result = await call()
            except UnreachableError as error:
                self.stats.retries += 1
                if self.stats.outage is None:
                    logger.warning("sink %s waits: %s", self.options.collection, error)
                self.stats.outage = str(error)
                await self._pause(work, backoff.next())
            else:
                if self.stats.outage is not None:
                    logger.warning("sink %s goes on", self.options.collection)
                    self.stats.outage = None
                    self._calm_since = time.monotonic()
                work.batch.check()
                return result

    async def _pause(self, work: _Work, seconds: float) -> None:
        work.batch.waiting = True
        await asyncio.sleep(seconds)
        work.batch.waiting = False


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
