"""What the sink does with one batch: decode, bury the bad, write the winners, store how far it is.

A bad record that must not be buried, and one whose letter cannot be published, cuts its partition's share: what is
before it is done, and it comes again with all that is behind it, after a pause.

Every await stands between two checks of ownership. An outage is waited out, for as long as it takes, without losing
the batch; the lane goes on polling meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from prom_faust.backoff import Backoff
from prom_faust.clock import milliseconds
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import DeadLetterError, RecordError, UnreachableError, WriteRejectedError
from prom_faust.lane.batch import Batch
from prom_faust.lane.history import Position
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.logs import place
from prom_faust.sink.bulk import BulkSize
from prom_faust.sink.burial.kafka import SinkBurial
from prom_faust.sink.decode import decoder
from prom_faust.sink.event import Change, position
from prom_faust.sink.key import Key
from prom_faust.sink.metrics import SinkHistograms, SinkMeter
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.mongo.patience import Patience
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.order import Stored
from prom_faust.sink.outcome import DUPLICATE_KEY, Failure, Verdict
from prom_faust.sink.plan import KeyPlan, Write, apart, group, needs_read, plan_write, renewal
from prom_faust.sink.stats import SinkStats
from prom_faust.sink.work import Work

__all__ = ["Projector"]

logger = logging.getLogger(__name__)
T = TypeVar("T")

SLICE = 250
"""Records decoded between two turns of the event loop: a few milliseconds."""
ATTEMPTS_ALONE = 3
"""How often an unlisted error is tried again before the document counts as bad."""
WRITERS = 2
"""Bulk writes in flight for one batch: one is encoded while the server works on the other."""
PAUSE_CAP = 30.0
"""The longest pause before a bad record that stops its partition is tried again."""

Log = Callable[[TopicPartition], tuple[int, int]]
"""Partition to (log end, number of partitions of its topic), as the lane last saw them."""


class Projector:
    """Applies batches of one topic to one collection.

    Args:
        options: the projection's options.
        collection: where the documents go.
        publisher: publishes dead letters.
        consumer: the consumer group's name, written into dead letters.
        unique_wait: seconds that a record waits for a unique value before it counts as bad.
        log: what the lane knows of a partition's log.
        meter: the projection's histograms; some that nobody reads by default.

    Raises:
        ConfigurationError: no field has one of the tags to be redacted.
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
        meter: SinkMeter | None = None,
    ) -> None:
        self.options = options
        self.collection = collection
        self.stats = SinkStats()
        self._decode = decoder(options)
        self._unique_wait = unique_wait
        self._log = log
        self._meter = meter or SinkHistograms().of(options.collection, options.topic)
        self._stopped: dict[TopicPartition, tuple[int, Backoff]] = {}
        self._fields: dict[str, Any] = {
            "sink": options.collection,
            "topic": options.topic,
            "group": consumer,
        }
        self._write_size = BulkSize(options.size, deadline=collection.server.deadline)
        self._read_size = BulkSize(options.size, deadline=collection.server.deadline)
        self._patience = Patience(options.collection, stats=self.stats, fields=self._fields)
        self._burial = SinkBurial(
            options, publisher, consumer=consumer, stats=self.stats, fields=self._fields
        )

    async def project(self, batch: Batch) -> None:
        """Bring the collection to the state after this batch.

        When it returns, every record's effect is in MongoDB by majority, or its letter is on the dead-letter
        topic, or the batch says that it is held or put back.

        Raises:
            RevokedError: a partition was revoked meanwhile.
        """
        began = time.monotonic()
        work = await self._settle(batch)
        await self._store_positions(work, began)
        self._put_back(work)
        self.stats.records += sum(work.done(*share) for share in batch.shares.items())

    async def apply(self, batch: Batch) -> None:
        """Do the same for records that no lane has read: how far the topic is applied stays as it is."""
        self._put_back(await self._settle(batch))

    async def _settle(self, batch: Batch) -> Work:
        work = Work(batch)
        changes, bad = await self._decode_all(batch)
        poison = {position(record) for record, _ in bad}
        await self._burial.bury(work, bad, self._burial.rate((n, n in poison) for n in map(position, batch)))
        if work.cuts:
            changes = [change for change in changes if work.has(change.record)]
        plans = apart(changes) if self.options.appends else list(group(changes).values())
        conflicts = await self._apply(work, plans, may_insert=True)
        if conflicts:
            await self._settle_conflicts(work, conflicts)
        self.stats.coalesced += len(changes) - len(plans)
        return work

    # -- decode, and put back --------------------------------------------------------------------------------

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

    def _put_back(self, work: Work) -> None:
        """Tell the lane which partitions come again; that they stop, and go on, is logged once."""
        for partition in work.batch.shares:
            fields = {**self._fields, **place(partition)}
            if partition not in work.cuts:
                if self._stopped.pop(partition, None) is not None:
                    logger.warning("sink %s: %s goes on", self.options.collection, partition, extra=fields)
                continue
            offset, error = work.cuts[partition]
            if partition not in self._stopped:
                logger.error(
                    "sink %s: %s stops at offset %d: %s",
                    *(self.options.collection, partition, offset, error),
                    extra={**fields, "offset": offset},
                )
            since, backoff = self._stopped.get(partition, (offset, Backoff(base=1.0, cap=PAUSE_CAP)))
            if since != offset:
                backoff.reset()
            self._stopped[partition] = offset, backoff
            # A letter that cannot be published is an outage, which the lane's own pause is for.
            pause = None if isinstance(error, DeadLetterError) else backoff.next()
            work.batch.put_back(partition, error, since=offset, pause=pause)

    # -- write -----------------------------------------------------------------------------------------------

    async def _apply(
        self, work: Work, plans: Iterable[KeyPlan], *, may_insert: bool = False
    ) -> list[KeyPlan]:
        """Write every key's winner; returns the keys that wait for a unique value."""
        plans = list(plans)
        versioned = self.options.versioned
        stored = await self._read(work, [plan.key for plan in plans if needs_read(plan, versioned=versioned)])
        pending = self._writes(work, plans, stored)
        conflicts: list[KeyPlan] = []
        backoff = Backoff()
        while pending:
            failures = await self._write_all(work, pending, may_insert=may_insert)
            may_insert = False
            again, taken = await self._judge(work, failures)
            conflicts += taken
            pending = again
            if any(failure.verdict in {Verdict.RETRY, Verdict.UNKNOWN} for _, failure in failures):
                await self._patience.pause(work.batch, backoff.next())
        return conflicts

    def _writes(self, work: Work, plans: Iterable[KeyPlan], stored: Mapping[Key, Stored]) -> list[Write]:
        writes: list[Write] = []
        for plan in plans:
            seen = stored.get(plan.key)
            write = plan_write(plan, seen, versioned=self.options.versioned, exact=seen is not None)
            if write is None:
                writes += self._stale(work, plan, seen)
            else:
                writes.append(write)
        return writes

    def _stale(self, work: Work, plan: KeyPlan, stored: Stored | None) -> list[Write]:
        """What is left to do for a key where nothing older than this window stands: once per batch, its marker."""
        self.stats.stale += 1
        write = renewal(plan, stored)
        if write is None or write.change.n in work.renewed:
            return []
        work.renewed.add(write.change.n)
        return [write]

    async def _write_all(
        self, work: Work, writes: Sequence[Write], *, may_insert: bool
    ) -> list[tuple[Write, Failure]]:
        bulks = self.collection.chunks(writes)
        chunks = iter(bulks)
        failures: list[tuple[Write, Failure]] = []

        async def writer() -> None:
            for chunk in chunks:
                rest = chunk
                while rest:
                    refused, count = await self._patience.call(
                        work.batch, partial(self._write_some, work, rest, may_insert)
                    )
                    rest = rest[count:]
                    failures.extend(refused)
                    self.stats.writes += count - len(refused)
                    work.writes += count - len(refused)

        tasks = [asyncio.create_task(writer()) for _ in bulks[:WRITERS]]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return failures

    async def _write_some(
        self, work: Work, writes: Sequence[Write], may_insert: bool
    ) -> tuple[list[tuple[Write, Failure]], int]:
        """One bulk of the first of them, as many as the server can do in time: (those that failed, how many)."""
        bulk = writes[: self._write_size.value]
        call = self.collection.write(bulk, now=milliseconds(), check=work.batch.check, may_insert=may_insert)
        refused, seconds = await _timed(self._write_size, len(bulk), call)
        self._meter.wrote(len(bulk), seconds)
        return refused, len(bulk)

    async def _judge(
        self, work: Work, failures: Sequence[tuple[Write, Failure]]
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
                foreign = seen is not None and seen.n is None
                newer = plan_write(
                    write.plan,
                    seen,
                    versioned=self.options.versioned,
                    exact=self.options.versioned or foreign,
                )
                if newer is None:
                    again += self._stale(work, write.plan, seen)
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

    def _give_up(self, work: Work, write: Write, failure: Failure) -> bool:
        if failure.verdict is Verdict.BAD_DATA:
            return True
        tried = work.attempts[write.change.n] = work.attempts.get(write.change.n, 0) + 1
        return tried >= ATTEMPTS_ALONE

    async def _refuse(self, work: Work, refused: Sequence[tuple[Write, Failure]]) -> list[Write]:
        """Dead-letter the winners that MongoDB refuses; returns the writes of each key's next best."""
        await self._burial.bury(
            work,
            [
                (write.change.record, WriteRejectedError(failure.message, code=failure.code))
                for write, failure in refused
            ],
            self._burial.rate((write.change.n, True) for write, _ in refused),
        )
        rest = [plan for write, _ in refused if (plan := work.without(write.plan, write.change)).changes]
        return self._writes(work, rest, {})

    # -- unique values ---------------------------------------------------------------------------------------

    async def _settle_conflicts(self, work: Work, conflicts: list[KeyPlan]) -> None:
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

    async def _step_through(self, work: Work, plans: Sequence[KeyPlan]) -> bool:
        """Write the states that coalescing skipped, in their order; whether that moved anything."""
        moved = False
        for plan in plans:
            for end in range(1, len(plan.changes)):
                before = work.writes
                await self._apply(work, [KeyPlan(plan.key, plan.changes[:end])])
                moved = moved or work.writes > before
        return moved

    def _expired(self, work: Work, plan: KeyPlan) -> bool:
        write = plan_write(plan, None, versioned=self.options.versioned)
        if write is None:
            return False
        # An outage is no waiting: what would free the value could not be applied either.
        return min(work.batch.held_for(write.change.record), self._patience.calm) >= self._unique_wait

    async def _bury_expired(self, work: Work, plans: Sequence[KeyPlan]) -> list[KeyPlan]:
        rest: list[KeyPlan] = []
        for plan in plans:
            write = plan_write(plan, None, versioned=self.options.versioned)
            if write is None:
                continue
            record = write.change.record
            message = f"another document has had one of its unique values for {self._unique_wait:g} s"
            error = WriteRejectedError(message, code=DUPLICATE_KEY)
            await self._burial.bury(work, [(record, error)], self._burial.rate([(write.change.n, True)]))
            if (left := work.without(plan, write.change)).changes:
                rest.append(left)
        return rest

    # -- positions and patience ------------------------------------------------------------------------------

    async def _store_positions(self, work: Work, began: float) -> None:
        positions: dict[int, Position] = {}
        times: list[int] = []
        for partition, share in work.batch.shares.items():
            applied = int(min([*share.held, work.cut(partition), share.records[-1].offset + 1]))
            done = [record for record in share.records if record.offset < applied]
            if done:
                end, partitions = self._log(partition)
                positions[partition.partition] = Position(
                    applied, max(end, applied), done[-1].offset, done[-1].timestamp, partitions
                )
                times += done[0].timestamp, done[-1].timestamp
        if positions:
            await self._patience.call(
                work.batch,
                lambda: self.collection.positions.store_positions(
                    self.options.topic, positions, now=milliseconds()
                ),
            )
            self._meter.applied(
                len(work.batch),
                time.monotonic() - began,
                oldest=min(times),
                newest=max(times),
                now=milliseconds(),
            )

    async def _read(self, work: Work, keys: Sequence[Key]) -> dict[Key, Stored]:
        found: dict[Key, Stored] = {}
        if self.options.appends:  # what is inserted depends on nothing that stands
            return found
        for documents, wanted in self.collection.homes(keys):
            rest = wanted
            while rest:
                stored, count = await self._patience.call(
                    work.batch, partial(self._read_some, documents, rest)
                )
                found |= stored
                rest = rest[count:]
        return found

    async def _read_some(self, documents: Any, keys: Sequence[Key]) -> tuple[dict[Key, Stored], int]:
        chunk = keys[: self._read_size.value]
        stored, _ = await _timed(self._read_size, len(chunk), self.collection.read(documents, chunk))
        return stored, len(chunk)


async def _timed(size: BulkSize, count: int, call: Awaitable[T]) -> tuple[T, float]:
    """What a call for so many documents gives, and its seconds; the next ones are as many as fit."""
    began = time.monotonic()
    try:
        result = await call
    except UnreachableError:
        size.given_up(count, time.monotonic() - began)
        raise
    seconds = time.monotonic() - began
    size.answered(count, seconds)
    return result, seconds
