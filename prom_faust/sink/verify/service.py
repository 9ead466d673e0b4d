"""Verify one projection: read the topic, its letters and the collection, and compare.

The worker may run meanwhile. The topic is read up to where it ended at the start, then the sink is waited
for, then the letters are read: so a record that was dead-lettered has its letter there. What looks wrong is
looked at again after reading on, because a key can change between the reading of the topic and of the
collection. What a repair writes is guarded as the worker's own writes are.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError
from bson.raw_bson import RawBSONDocument

from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import (
    ConfigurationError,
    NotSettledError,
    TopicError,
    UnreachableError,
)
from prom_faust.lane.history import LogState, Position, check_history
from prom_faust.lane.kafka import read_timestamps
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.routing.hashing import left_behind
from prom_faust.sink.decode import decoder
from prom_faust.sink.key import Key, key_value
from prom_faust.sink.mend import Mended
from prom_faust.sink.order import place_at, position_of
from prom_faust.sink.plan import Write
from prom_faust.sink.verify.compare import (
    Facts,
    Finding,
    differing_fields,
    is_marker,
    judge,
    place_of,
    source_of,
)
from prom_faust.sink.verify.entry import DEAD, POISON, Entry, entry_of, entry_of_letter
from prom_faust.sink.verify.kafka import LogReader
from prom_faust.sink.verify.mongo import Documents, decode_body, same_bytes
from prom_faust.sink.verify.repair import Expected, Projected, mend
from prom_faust.sink.verify.report import WRONG, Difference, Kind, Progress, Report
from prom_faust.sink.verify.spill import Spill

if TYPE_CHECKING:
    from prom_faust.sink.faust import Projection

__all__ = ["verify"]

ROUNDS = 3
"""How often keys that changed meanwhile are looked at again."""
SHOWN = 20
"""Findings of each kind that are named; all are counted."""
CHUNK = 500
SETTLE_POLL_SECONDS = 0.25
FENCE_MARGIN = 15.0
"""Seconds of a fence's slack that are left for clocks and scheduling."""
NO_KEY = "a document without a key of a record"
PERHAPS_DELETED = (
    "the topic has grown and the key's home is another partition now: if it was deleted there, and the cleaner "
    "removed the tombstone, delete this old copy too"
)
OLD_COPY = (
    "the topic has grown and the key's home is another partition now: this copy stays until it is re-homed"
)


async def verify(
    projection: "Projection",
    *,
    wait: float = 30.0,
    progress: Progress | None = None,
    repair: bool = False,
) -> Report:
    """Compare a projection's collection with the fold of its topic.

    Args:
        projection: what to verify; its worker may run, and need not.
        wait: seconds to wait until the sink has applied what was on the topic at the start.
        progress: told how far it is.
        repair: mend what differs, and look at it again; else nothing is changed.

    Raises:
        NotSettledError: the sink has not applied it in time.
        LostHistoryError: the topic is not the one that the sink has read.
        UnreachableError: Kafka or MongoDB does not answer.
        TopicError: there is no such topic.
        ConfigurationError: a repair of an append-only projection.
    """
    if repair and projection.options.appends:
        raise ConfigurationError(
            f'{projection.options.collection} is written with write="insert": a repair cannot tell which documents '
            "retention has left it. sink rebuild makes it anew from what the topic holds"
        )
    started = time.monotonic()
    with Spill(versioned=projection.options.versioned) as spill:
        async with LogReader(projection.lane.clients) as log:
            run = _Verification(projection, spill, log, wait=wait, progress=progress or _silent)
            await run.run()
            if repair:
                await run.repair()
            return run.report(time.monotonic() - started)


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass


class _Verification:
    """One run. The log has been read up to ``_read_to``, the letters up to ``_letters_to``."""

    def __init__(
        self, projection: "Projection", spill: Spill, log: LogReader, *, wait: float, progress: Progress
    ) -> None:
        self._projection = projection
        self._options = projection.options
        self._spill = spill
        self._log = log
        self._wait = wait
        self._progress = progress
        self._decode = decoder(projection.options)
        self._documents = Documents(projection.collection)
        self._owned = projection.options.field_names if projection.options.write == "set" else None
        self._read_to: dict[TopicPartition, int] = {}
        self._letters_to: dict[TopicPartition, int] = {}
        self._last: dict[int, int] = {}
        self._counts: Counter[str] = Counter()
        self._foreign = _Tally()
        self._tally = _Tally()
        self._written = 0
        self._removed = 0

    async def run(self) -> None:
        """Read, fold, compare, and look again at what looks wrong."""
        await self._open()
        await self._read_on()
        await asyncio.to_thread(self._spill.index)
        await self._fold()
        await self._scan()
        await self._judge()
        for _ in range(ROUNDS):
            if not self._tally.counts or not await self._moved():
                break
            await self._read_on()
            await self._judge()

    # -- the log ---------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Find the partitions, and make sure that the log is the one that the sink has read."""
        stored = await self._projection.collection.positions.load_positions(self._options.topic)
        partitions = await self._log.partitions(self._options.topic)
        if not partitions:
            raise TopicError(f"there is no topic {self._options.topic}")
        self._read_to = await self._log.begins(partitions)
        await self._check_history(stored)

    async def _check_history(self, stored: Mapping[int, Position]) -> None:
        partitions = list(self._read_to)
        begins, ends = await self._log.begins(partitions), await self._log.ends(partitions)
        anchors = {
            name: last
            for name, begin in begins.items()
            if (position := stored.get(name.partition)) is not None
            and (last := position.last_offset) is not None
            and begin <= last < ends[name]
        }
        try:
            timestamps = await read_timestamps(self._projection.lane.clients, anchors)
        except KafkaError as error:
            raise UnreachableError(f"{self._options.topic} cannot be read: {error!r}") from error
        for name, begin in begins.items():
            position = stored.get(name.partition)
            # Whether the group still has its offsets matters to a worker that starts, not here.
            committed = min(position.applied, ends[name]) if position is not None else None
            state = LogState(begin, ends[name], committed, len(begins), timestamps.get(name))
            lane = self._projection.lane
            fault = check_history(
                name,
                state,
                position,
                group=lane.options.group,
                rebuild=lane.rebuild,
                grows=lane.options.grows,
            )
            if fault is not None:
                raise fault

    async def _moved(self) -> bool:
        """Whether the topic or its letters have grown since they were read."""
        letters = await self._log.partitions(dlq_topic(self._options.topic))
        return (
            await self._log.ends(list(self._read_to)) != self._read_to
            or await self._log.ends(letters) != self._letters_to
        )

    async def _read_on(self) -> None:
        """Read the topic to its end, wait until that is applied, then read the letters to their end."""
        ends = await self._log.ends(list(self._read_to))
        spans = {name: (begin, max(begin, ends[name])) for name, begin in self._read_to.items()}
        total = sum(end - begin for begin, end in spans.values())
        done = 0
        async for records in self._log.read(spans):
            self._spill.add([self._placed(entry_of(record, self._decode)) for record in records])
            self._note_left_behind(records)
            self._last[records[-1].partition] = records[-1].offset
            self._counts["records"] += len(records)
            done += len(records)
            self._progress("reading the topic", done, total)
        self._read_to = ends
        await self._settle()
        await self._read_letters()

    def _placed(self, entry: Entry) -> Entry:
        """Where every record has a document of its own, its position is its key."""
        return entry._replace(key=entry.n) if self._options.appends else entry

    def _note_left_behind(self, records: Sequence[Record]) -> None:
        """Remember the records that stand where their keys were before a jump-routed topic grew."""
        if self._options.routing == "jump" and not self._options.appends:
            count = len(self._read_to)
            self._spill.add_left_behind(
                position_of(record.partition, record.offset)
                for record in records
                if record.key is not None and left_behind(record.key, record.partition, count)
            )

    async def _settle(self) -> None:
        deadline = time.monotonic() + self._wait
        while True:
            positions = await self._projection.collection.positions.load_positions(self._options.topic)
            lost = [number for number, position in positions.items() if position.lost_since is not None]
            lag = self._lag(positions)
            if not lag and not lost:
                return
            if time.monotonic() >= deadline:
                raise self._not_settled(lag, lost)
            self._progress("waiting for the sink", 0, sum(lag.values()))
            await asyncio.sleep(SETTLE_POLL_SECONDS)

    def _not_settled(self, lag: Mapping[int, int], lost: Sequence[int]) -> NotSettledError:
        behind = ", ".join(f"partition {number} by {count}" for number, count in sorted(lag.items()))
        why = (
            f"the sink still lags behind {self._options.topic} ({behind} offsets)"
            if lag
            else f"partitions {', '.join(map(str, sorted(lost)))} may hold deleted keys: their history was lost"
        )
        return NotSettledError(
            f"{self._options.collection} is not settled: after {self._wait:g} s {why}. Is a worker running? "
            "Wait longer with --wait",
            lag=lag,
        )

    def _lag(self, positions: Mapping[int, Position]) -> dict[int, int]:
        """Partition to offsets not applied. The log may end in markers, which nothing applies."""
        applied = {number: position.applied for number, position in positions.items()}
        return {
            number: last + 1 - applied.get(number, 0)
            for number, last in self._last.items()
            if applied.get(number, 0) <= last
        }

    async def _read_letters(self) -> None:
        """Read the group's letters of this topic. Other groups' are none of ours."""
        topic = self._options.topic
        spans = await self._log.spans(dlq_topic(topic), self._letters_to)
        async for letters in self._log.letters(spans, topic=topic, group=self._projection.group):
            for letter in letters:
                entry = self._placed(entry_of_letter(letter, self._decode))
                self._spill.add_letter(entry, replayed=letter.replayed)
            self._counts["letters"] += len(letters)
            self._progress("reading dead letters", self._counts["letters"], 0)
        self._letters_to = {name: end for name, (_, end) in spans.items()}

    # -- the collection --------------------------------------------------------------------------------------

    async def _fold(self) -> None:
        for expected in self._spill.fold_slices():
            self._counts["keys"] = expected
            self._progress("folding", expected, 0)
            await asyncio.sleep(0)

    async def _scan(self) -> None:
        """Compare every document with what was folded; what differs is suspected, for now."""
        total = await self._documents.estimate()
        seen = 0
        async for name, documents in self._documents.stream():
            self._scan_batch(name, documents)
            seen += len(documents)
            self._progress("comparing", seen, max(total, seen))
            await asyncio.sleep(0)
        self._spill.suspect_miscounted()

    def _scan_batch(self, name: str, documents: Sequence[RawBSONDocument]) -> None:
        found: list[Key] = []
        suspects: list[Key] = []
        for document in documents:
            if is_marker(document):
                self._counts["markers"] += 1
                continue
            self._counts["documents"] += 1
            key = self._documents.key_of(document)
            stray = NO_KEY if key is None else self._documents.stray(name, document)
            if key is None or stray:
                self._foreign.add(str(document.get("_id")), (Kind.EXTRA, stray or NO_KEY))
                continue
            found.append(key)
            body = self._spill.expected_body(key)
            if body is None or not self._same(document, body):
                suspects.append(key)
        self._spill.mark_found(found)
        self._spill.suspect(suspects)

    def _same(self, document: RawBSONDocument, body: bytes) -> bool:
        return same_bytes(document, body) or not differing_fields(
            decode_body(body), decode_body(document.raw), self._owned
        )

    async def _judge(self) -> None:
        """Read what is suspected once more, and compare it with all that is known by now."""
        self._tally = _Tally()
        for keys in self._spill.suspects(CHUNK):
            documents = await self._documents.read(keys)
            ends = await self._log.ends(list(self._read_to))
            acquitted: list[Key] = []
            for key in keys:
                finding = self._judge_key(key, documents.get(key, []), ends)
                if finding is None:
                    acquitted.append(key)
                else:
                    self._tally.add(key, finding)
            self._spill.acquit(acquitted)

    def _judge_key(
        self, key: Key, documents: Sequence[Mapping[str, Any]], ends: Mapping[TopicPartition, int]
    ) -> Finding | None:
        outcome = self._spill.outcome(key)
        body = None if outcome is None or outcome.deletes else self._spill.body(outcome.n)
        finding = judge(
            outcome,
            None if body is None else decode_body(body),
            documents,
            self._facts(key, documents[0], ends) if documents else Facts(),
            versioned=self._options.versioned,
            owned=self._owned,
        )
        if finding and finding[0] is Kind.MISSING and outcome and self._spill.is_left_behind(outcome.n):
            return Kind.MISSING, f"{finding[1]}; {PERHAPS_DELETED}"
        return finding

    def _facts(self, key: Key, document: Mapping[str, Any], ends: Mapping[TopicPartition, int]) -> Facts:
        n = source_of(document)
        if n is None or document["_src"].get("t") != self._options.topic:
            return Facts()
        partition, offset = place_at(n)
        name = TopicPartition(self._options.topic, partition)
        return self._spill.facts(
            key,
            n,
            ahead=offset >= self._read_to.get(name, 0),
            beyond=offset >= ends.get(name, 0),
            outlived=self._options.appends,
        )

    # -- repair ----------------------------------------------------------------------------------------------

    async def repair(self) -> None:
        """Mend what is wrong, and look again; what cannot be mended stays in the report."""
        for _ in range(ROUNDS):
            before = self._written + self._removed
            for keys in self._spill.suspects(CHUNK):
                await self._mend(keys)
            await self._judge()
            if not self._tally.counts or self._written + self._removed == before:
                return

    async def _mend(self, keys: Sequence[Key]) -> None:
        """Mend some keys by what is on the topic now.

        What is not read yet may delete a key, and its marker does not stand for ever: what is decided here must
        not be written later than that.
        """
        projection = self._projection
        until = time.monotonic() + projection.fence_delay - projection.settings.write_deadline - FENCE_MARGIN
        await self._check_history(await projection.collection.positions.load_positions(self._options.topic))
        await self._read_on()
        documents = await self._documents.read(keys)
        ends = await self._log.ends(list(self._read_to))
        wrong = [
            key
            for key in keys
            if (finding := self._judge_key(key, documents.get(key, []), ends)) and finding[0] in WRONG
        ]
        mended = [self._mended(key, documents.get(key, []), ends) for key in wrong]
        # First those that go: they may have unique values that the others need.
        removals = [each for each in mended if isinstance(each, tuple)]
        for start in range(0, len(removals), self._options.size):
            if time.monotonic() < until:
                chunk = removals[start : start + self._options.size]
                self._removed += await projection.collection.replace_exactly(chunk)
        writes = [each for each in mended if isinstance(each, Write)]
        for start in range(0, len(writes), self._options.size):
            if time.monotonic() < until:
                part = writes[start : start + self._options.size]
                refused = await projection.collection.write(part, now=milliseconds())
                self._written += len(part) - len(refused)
        self._progress("repairing", self._written + self._removed, 0)

    def _mended(
        self, key: Key, found: Sequence[Mapping[str, Any]], ends: Mapping[TopicPartition, int]
    ) -> Write | Mended | None:
        outcome = self._spill.outcome(key)
        body = None if outcome is None or outcome.deletes else self._spill.body(outcome.n)
        return mend(
            key,
            outcome,
            None if body is None else Expected(body, decode_body(body)),
            found,
            Projected(self._options.topic, self._options.versioned, self._owned),
            inside=bool(found) and not self._facts(key, found[0], ends).beyond,
            left_behind=outcome is not None and self._spill.is_left_behind(outcome.n),
            now=milliseconds(),
        )

    # -- the outcome -----------------------------------------------------------------------------------------

    def report(self, seconds: float) -> Report:
        """What was found."""
        poison = _Tally()
        for n, key, text in self._spill.poison(SHOWN):
            poison.add(key, (Kind.POISON, f"{place_of(n)} does not decode and has no dead letter: {text}"))
        leftover = _Tally()
        for key, n in self._spill.leftover(SHOWN):
            leftover.add(key, (Kind.LEFTOVER, f"{place_of(n)}: {OLD_COPY}"))
        found = [*self._tally.shown, *self._foreign.shown, *poison.shown, *leftover.shown]
        counts = self._tally.counts + self._foreign.counts
        return Report(
            collection=self._options.collection,
            topic=self._options.topic,
            group=self._projection.group,
            records=self._counts["records"],
            letters=self._counts["letters"],
            dead=self._spill.count(DEAD),
            keys=self._counts["keys"],
            documents=self._counts["documents"],
            markers=self._counts["markers"],
            missing=counts[Kind.MISSING],
            extra=counts[Kind.EXTRA],
            different=counts[Kind.DIFFERENT],
            poison=self._spill.count(POISON),
            retained=counts[Kind.RETAINED],
            moving=counts[Kind.MOVING],
            leftover=self._spill.count_leftover(),
            seconds=seconds,
            written=self._written,
            removed=self._removed,
            differences=tuple(sorted(found, key=lambda finding: finding.kind not in WRONG)),
        )


class _Tally:
    """Findings: all counted, the first of each kind kept."""

    def __init__(self) -> None:
        self.counts: Counter[Kind] = Counter()
        self.shown: list[Difference] = []

    def add(self, key: Key | None, finding: Finding) -> None:
        kind, reason = finding
        self.counts[kind] += 1
        if self.counts[kind] <= SHOWN:
            self.shown.append(Difference(kind, None if key is None else key_value(key), reason))
