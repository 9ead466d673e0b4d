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
from typing import Any

from bson.raw_bson import RawBSONDocument

from prom_faust.clock import milliseconds
from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.record import TopicPartition
from prom_faust.sink.faust import Projection
from prom_faust.sink.key import Key, key_value
from prom_faust.sink.log.entry import DEAD, POISON
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.mend import Mended
from prom_faust.sink.order import place_at
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
from prom_faust.sink.verify.kafka import Intake
from prom_faust.sink.verify.mongo import Documents, decode_body, same_bytes
from prom_faust.sink.verify.repair import Expected, Projected, mend
from prom_faust.sink.verify.report import WRONG, Difference, Kind, Progress, Report
from prom_faust.sink.verify.spill import Spill

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
    projection: Projection,
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
    """One run."""

    def __init__(
        self, projection: Projection, spill: Spill, log: LogReader, *, wait: float, progress: Progress
    ) -> None:
        self._projection = projection
        self._options = projection.options
        self._spill = spill
        self._intake = Intake(projection, spill, log, wait=wait, progress=progress)
        self._progress = progress
        self._documents = Documents(projection.collection)
        self._owned = projection.options.field_names if projection.options.write == "set" else None
        self._counts: Counter[str] = Counter()
        self._foreign = _Tally()
        self._tally = _Tally()
        self._written = 0
        self._removed = 0

    async def run(self) -> None:
        """Read, fold, compare, and look again at what looks wrong."""
        await self._intake.open()
        await self._intake.read_on()
        await asyncio.to_thread(self._spill.index)
        await self._fold()
        await self._scan()
        await self._judge()
        for _ in range(ROUNDS):
            if not self._tally.counts or not await self._intake.moved():
                break
            await self._intake.read_on()
            await self._judge()

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
            ends = await self._intake.ends()
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
            ahead=offset >= self._intake.read_to.get(name, 0),
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
        await self._intake.check_history()
        await self._intake.read_on()
        documents = await self._documents.read(keys)
        ends = await self._intake.ends()
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
            records=self._intake.records,
            letters=self._intake.letters,
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
