"""What the sink does with one batch: decode, bury the bad, write the winners, store how far it is.

A bad record that must not be buried, and one whose letter cannot be published, cuts its partition's share: what is
before it is done, and it comes again with all that is behind it, after a pause.

Every await stands between two checks of ownership. An outage is waited out here, for as long as it takes, without
losing the batch; the lane goes on polling meanwhile.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

from prom_faust.backoff import Backoff
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import DeadLetter, letter_of
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.dlq.reason import reason_of
from prom_faust.dlq.redaction import Redactor, names_of
from prom_faust.exceptions import (
    DeadLetterError,
    FailureRateError,
    NotToleratedError,
    PromFaustError,
    RecordError,
    UnreachableError,
    WriteRejectedError,
)
from prom_faust.lane.batch import Batch, Share
from prom_faust.lane.history import Position
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.logs import Throttle, place
from prom_faust.sink.decode import decoder
from prom_faust.sink.event import Change, position
from prom_faust.sink.key import Key
from prom_faust.sink.metrics import SinkHistograms, SinkMeter
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.order import Stored
from prom_faust.sink.outcome import DUPLICATE_KEY, Failure, Verdict
from prom_faust.sink.plan import KeyPlan, Write, apart, group, needs_read, plan_write, renewal
from prom_faust.sink.tolerance import Window, advance, tolerates

__all__ = ["Projector", "SinkStats"]

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


@dataclass(slots=True)
class SinkStats:
    """Counters since the worker started, for operators. They never go down.

    Attributes:
        records: records done: applied, needless, stale or dead-lettered.
        writes: documents and markers written.
        coalesced: records that a later one of their key made needless.
        stale: writes that a newer state had overtaken.
        dead: records dead-lettered.
        retries: attempts that were repeated.
        outage: the last error of an outage that lasts, or None.
    """

    records: int = 0
    writes: int = 0
    coalesced: int = 0
    stale: int = 0
    dead: int = 0
    retries: int = 0
    outage: str | None = None
    _outage_began: float = 0.0
    _outage_seconds: float = 0.0

    def outage_begins(self, error: str, now: float) -> bool:
        """The server does not answer, at a monotonic time in seconds; whether that is new."""
        began = self.outage is None
        if began:
            self._outage_began = now
        self.outage = error
        return began

    def outage_ends(self, now: float) -> bool:
        """The server answers; whether that is new."""
        ended = self.outage is not None
        if ended:
            self._outage_seconds += now - self._outage_began
        self.outage = None
        return ended

    def outage_seconds(self, now: float) -> float:
        """How long the server was away, all in all and up to now."""
        return self._outage_seconds + (now - self._outage_began if self.outage is not None else 0.0)


@dataclass(slots=True)
class _Work:
    """One batch while it is worked on.

    Attributes:
        batch: the batch.
        cuts: partition to the offset from which on it comes again, and why.
        attempts: a record's packed position to how often its write failed for an unlisted reason.
        writes: documents and markers written so far.
    """

    batch: Batch
    cuts: dict[TopicPartition, tuple[int, PromFaustError]] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    renewed: set[int] = field(default_factory=set)
    writes: int = 0

    def has(self, record: Record) -> bool:
        """Whether the record is one to be done with now."""
        return not self.cuts or record.offset < self.cut(TopicPartition(record.topic, record.partition))

    def cut(self, partition: TopicPartition) -> float:
        """The offset from which on a partition's records come again; infinite where all are done."""
        return self.cuts[partition][0] if partition in self.cuts else math.inf

    def without(self, plan: KeyPlan, change: Change) -> KeyPlan:
        """What is left of a key's plan when one of its changes is bad."""
        return KeyPlan(plan.key, [each for each in plan.without(change).changes if self.has(each.record)])

    def done(self, partition: TopicPartition, share: Share) -> int:
        """How many of a partition's records are done, and do not come again."""
        if not share.held and partition not in self.cuts:
            return len(share.records)
        end = self.cut(partition)
        return sum(each.offset < end and each.offset not in share.held for each in share.records)


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
        self._publisher = publisher
        self._consumer = consumer
        self._unique_wait = unique_wait
        self._log = log
        self._meter = meter or SinkHistograms().of(options.collection, options.topic)
        self._calm_since = -math.inf
        self._redactor = _redactor(options)
        self._buried = Throttle(time.monotonic)
        self._window = Window()
        self._stopped: dict[TopicPartition, tuple[int, Backoff]] = {}
        self._fields: dict[str, Any] = {
            "sink": options.collection,
            "topic": options.topic,
            "group": consumer,
        }

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

    async def _settle(self, batch: Batch) -> _Work:
        work = _Work(batch)
        changes, bad = await self._decode_all(batch)
        poison = {position(record) for record, _ in bad}
        await self._bury(work, bad, self._rate((n, n in poison) for n in map(position, batch)))
        if work.cuts:
            changes = [change for change in changes if work.has(change.record)]
        plans = apart(changes) if self.options.appends else list(group(changes).values())
        conflicts = await self._apply(work, plans, may_insert=True)
        if conflicts:
            await self._settle_conflicts(work, conflicts)
        self.stats.coalesced += len(changes) - len(plans)
        return work

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

    def _rate(self, seen: Iterable[tuple[int, bool]]) -> float:
        """The failure rate with these records, by packed position; 0.0 where there is no limit to it."""
        if self.options.max_failure_rate is None:
            return 0.0
        self._window, highest = advance(self._window, seen)
        return highest

    async def _bury(self, work: _Work, bad: Iterable[tuple[Record, RecordError]], rate: float) -> None:
        """Dead-letter records; one that must not be, or whose letter cannot be published, cuts its partition."""
        allowed: list[tuple[Record, RecordError]] = []
        for record, error in bad:
            if not work.has(record):
                continue  # it comes again
            refusal = self._refusal(record, error, rate)
            if refusal is None:
                allowed.append((record, error))
            else:
                self._cut(work, record, refusal)
        now = milliseconds()
        letters = [self._letter(record, error, now) for record, error in allowed if work.has(record)]
        if not letters:
            return
        work.batch.check()
        published = 0
        for letter, failed in zip(letters, await self._publisher.publish(letters), strict=True):
            if failed is None:
                published += 1
            else:  # an outage: the whole share comes again
                name = TopicPartition(letter.record.topic, letter.record.partition)
                self._cut(work, work.batch.shares[name].records[0], failed)
        self.stats.dead += published
        if published and (count := self._buried.count(published)):
            record = letters[0].record
            logger.warning(
                "sink %s: %d records more are on the dead-letter topic, now %s[%d] offset %d: %s",
                *(self.options.collection, count, record.topic, record.partition, record.offset),
                self._reason(allowed[0][1]),
                extra={**self._fields, **place(record)},
            )

    def _letter(self, record: Record, error: RecordError, now: int) -> DeadLetter:
        letter = letter_of(record, error, consumer=self._consumer, died_at=now)
        return letter if self._redactor is None else self._redactor.redact(letter, error)

    def _reason(self, error: RecordError) -> str:
        return reason_of(error, self._names)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The fields that may be named: asked for when the first record is bad, for most sinks never."""
        return self._redactor.names if self._redactor is not None else names_of(self.options.model)

    def _refusal(self, record: Record, error: RecordError, rate: float) -> PromFaustError | None:
        """Why a bad record must not be dead-lettered, or None."""
        options = self.options
        where = f"{record.topic}[{record.partition}] offset {record.offset}"
        if not tolerates(options.tolerance, error):
            return NotToleratedError(
                f'{where} is bad, and with tolerance="{options.tolerance}" it stops its partition: '
                f"{self._reason(error)}. Deploy what can apply it, or a wider tolerance to dead-letter it"
            )
        if options.max_failure_rate is not None and rate > options.max_failure_rate:
            return FailureRateError(
                f"{rate:.0%} of the last records are bad, and max_failure_rate is {options.max_failure_rate:g}: "
                f"they are not dead-lettered. The first here is {where}: {self._reason(error)}. "
                "Deploy what can apply them, or a higher max_failure_rate to dead-letter them"
            )
        return None

    @staticmethod
    def _cut(work: _Work, record: Record, error: PromFaustError) -> None:
        """Let the record's partition come again from there."""
        partition = TopicPartition(record.topic, record.partition)
        if record.offset < work.cut(partition):
            work.cuts[partition] = record.offset, error

    def _put_back(self, work: _Work) -> None:
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
        self, work: _Work, plans: Iterable[KeyPlan], *, may_insert: bool = False
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
                await self._pause(work, backoff.next())
        return conflicts

    def _writes(self, work: _Work, plans: Iterable[KeyPlan], stored: Mapping[Key, Stored]) -> list[Write]:
        writes: list[Write] = []
        for plan in plans:
            seen = stored.get(plan.key)
            write = plan_write(plan, seen, versioned=self.options.versioned, exact=seen is not None)
            if write is None:
                writes += self._stale(work, plan, seen)
            else:
                writes.append(write)
        return writes

    def _stale(self, work: _Work, plan: KeyPlan, stored: Stored | None) -> list[Write]:
        """What is left to do for a key where nothing older than this window stands: once per batch, its marker."""
        self.stats.stale += 1
        write = renewal(plan, stored)
        if write is None or write.change.n in work.renewed:
            return []
        work.renewed.add(write.change.n)
        return [write]

    async def _write_all(
        self, work: _Work, writes: Sequence[Write], *, may_insert: bool
    ) -> list[tuple[Write, Failure]]:
        bulks = self.collection.chunks(writes)
        chunks = iter(bulks)
        failures: list[tuple[Write, Failure]] = []

        async def writer() -> None:
            for chunk in chunks:
                refused = await self._patiently(work, partial(self._write_chunk, work, chunk, may_insert))
                failures.extend(refused)
                self.stats.writes += len(chunk) - len(refused)
                work.writes += len(chunk) - len(refused)

        tasks = [asyncio.create_task(writer()) for _ in bulks[:WRITERS]]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return failures

    async def _write_chunk(
        self, work: _Work, chunk: Sequence[Write], may_insert: bool
    ) -> list[tuple[Write, Failure]]:
        began = time.monotonic()
        refused = await self.collection.write(
            chunk, now=milliseconds(), check=work.batch.check, may_insert=may_insert
        )
        self._meter.wrote(len(chunk), time.monotonic() - began)
        return refused

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
            self._rate((write.change.n, True) for write, _ in refused),
        )
        rest = [plan for write, _ in refused if (plan := work.without(write.plan, write.change)).changes]
        return self._writes(work, rest, {})

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
            error = WriteRejectedError(message, code=DUPLICATE_KEY)
            await self._bury(work, [(record, error)], self._rate([(write.change.n, True)]))
            if (left := work.without(plan, write.change)).changes:
                rest.append(left)
        return rest

    # -- positions and patience ------------------------------------------------------------------------------

    async def _store_positions(self, work: _Work, began: float) -> None:
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
            await self._patiently(
                work,
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
                if self.stats.outage_begins(str(error), time.monotonic()):
                    logger.warning("sink %s waits: %s", self.options.collection, error, extra=self._fields)
                await self._pause(work, backoff.next())
            else:
                if self.stats.outage_ends(time.monotonic()):
                    logger.warning("sink %s goes on", self.options.collection, extra=self._fields)
                    self._calm_since = time.monotonic()
                work.batch.check()
                return result

    async def _pause(self, work: _Work, seconds: float) -> None:
        work.batch.waiting = True
        await asyncio.sleep(seconds)
        work.batch.waiting = False


def _redactor(options: ChangelogOptions) -> Redactor | None:
    """What leaves tagged fields out of a projection's letters."""
    if not options.redact:
        return None
    schemas = [*([options.model] if options.model is not None else []), *options.redact_schemas]
    return Redactor(schemas, options.redact, key=options.key_of if isinstance(options.key_of, str) else None)
