"""Look ahead on the log, then apply what may still count, while the worker runs or not.

A late record could bring a deleted document back: its key's tombstone may be applied, and its marker swept, long
since. So the log is read from the record's own position to its end before anything is written, and again before
every chunk; a tombstone that comes later still leaves a marker, which stands longer than the chunk takes.
"""

import asyncio
import dataclasses
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from prom_faust.backoff import Backoff
from prom_faust.clients import Clients
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import DeadLetter, State, dlq_topic, letter_of
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import (
    ConfigurationError,
    DeadLetterError,
    RecordError,
    RevokedError,
    UnreachableError,
)
from prom_faust.kafka import topic_configs
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.routing.hashing import left_behind, partition_of
from prom_faust.sink.decode import decoder
from prom_faust.sink.event import Change, position
from prom_faust.sink.faust import Projection
from prom_faust.sink.mend import exactly
from prom_faust.sink.order import place_at
from prom_faust.sink.plan import KeyPlan, Write
from prom_faust.sink.replay.candidate import Candidate, Result, Verdict
from prom_faust.sink.replay.outlook import Outlook, Sighting
from prom_faust.sink.service import Projector
from prom_faust.sink.verify.compare import differing_fields, source_of
from prom_faust.sink.verify.kafka import LogReader
from prom_faust.sink.verify.mongo import Documents, decode_body
from prom_faust.sink.verify.report import Progress

__all__ = ["Pace", "Source", "replay"]

Source = Callable[[], AsyncIterator[Sequence[Candidate | Result]]]
"""Gives the candidates, in chunks, as often as it is called; a result in their place is passed on as it is."""

CHUNK = 500
FRESH_SECONDS = 15.0
"""How long a look ahead holds. Markers stand for a write deadline and 30 s more at least, see ``fence_delay``."""
SWAP_SECONDS = 60.0
SWAP_POLL_SECONDS = 0.5
FORGOTTEN = "tombstones from after it may be cleaned away (delete.retention.ms is over)"
MENDED_KEY = (
    "its key is another than the letter's, whose records may be in other partitions, where positions do not tell "
    "which is later: --to-topic sends it there as a new record"
)
ATTEMPTS = 4
"""How often a chunk is tried, with a new look ahead each, before MongoDB counts as away."""


async def replay(
    projection: Projection,
    log: LogReader,
    source: Source,
    *,
    dry_run: bool = False,
    progress: Progress = lambda *_: None,
) -> AsyncIterator[Sequence[Result]]:
    """Apply records at their original positions, where nothing later has overtaken them.

    Args:
        projection: into which; its worker may run, and need not.
        log: reads the topic.
        source: gives the candidates; asked twice.
        dry_run: say what would become of them, and write nothing.
        progress: told how far it is.

    Yields:
        What became of each candidate, in the order of the source.

    Raises:
        UnreachableError: Kafka or MongoDB does not answer.
        ConfigurationError: the topic is missing.
    """
    with Outlook(versioned=projection.options.versioned) as outlook:
        run = _Replay(projection, log, outlook, dry_run=dry_run, progress=progress)
        await run.open()
        await run.take_in(source)
        async for candidates in source():
            for start in range(0, len(candidates), CHUNK):
                yield await run.settle(candidates[start : start + CHUNK])
                await run.confirm()  # by now whoever asked has recorded what became of them


class _Judged(NamedTuple):
    """A candidate, and its change or what stands against it."""

    candidate: Candidate
    change: Change | None
    against: Result | None


class _Replay:
    """One run. The log has been read up to ``_seen_to``, the letters to their end at the start."""

    def __init__(
        self, projection: Projection, log: LogReader, outlook: Outlook, *, dry_run: bool, progress: Progress
    ) -> None:
        self._projection = projection
        self._options = projection.options
        self._log = log
        self._outlook = outlook
        self._dry_run = dry_run
        self._progress = progress
        self._decode = decoder(projection.options)
        self._refusals = _Refusals(projection.clients)
        self._projector = Projector(
            # What is refused is for the caller to see, whatever a worker would do about it.
            dataclasses.replace(projection.options, tolerance="all", max_failure_rate=None),
            projection.collection,
            self._refusals,
            consumer=projection.group,
            unique_wait=0.0,
            log=lambda _: (0, 0),
        )
        self._begins: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._seen_to: dict[TopicPartition, int] = {}
        self._seen_at = 0.0
        self._swaps = 0
        self._written: Sequence[Record] = []
        self._oldest = 0

    async def open(self) -> None:
        """Find the log, and how long its tombstones stand."""
        topic = self._options.topic
        partitions = await self._log.partitions(topic)
        if not partitions:
            raise ConfigurationError(f"there is no topic {topic}")
        if not self._dry_run:
            self._swaps = await self._count_swaps()
        self._begins = await self._log.begins(partitions)
        self._ends = await self._log.ends(partitions)
        config = await topic_configs(self._projection.clients, topic)
        if "compact" in config["cleanup.policy"]:
            self._oldest = milliseconds() - int(config["delete.retention.ms"])

    # -- looking ahead ---------------------------------------------------------------------------------------

    async def take_in(self, source: Source) -> None:
        """Note every candidate that could be applied, then all that the log holds of their keys."""
        starts: dict[TopicPartition, int] = {}
        taken = 0
        async for candidates in source():
            judged = [self._judge(one) for one in candidates if isinstance(one, Candidate)]
            changes = [one.change for one in judged if one.change is not None]
            self._outlook.add(map(self._sighting, changes))
            for change in changes:
                for name, offset in self._spans(change):
                    starts[name] = min(offset, starts.get(name, offset))
            taken += len(candidates)
            self._progress("reading the candidates", taken, 0)
        await self._read_letters()
        self._seen_to = starts
        await self._look_ahead()

    def _judge(self, one: Candidate) -> _Judged:
        if objection := self._objection(one):
            return _Judged(one, None, Result(one, *objection))
        try:
            return _Judged(one, self._decode(one.record), None)
        except RecordError as error:
            letter = letter_of(one.record, error, consumer=self._projection.group, died_at=milliseconds())
            return _Judged(one, None, Result(one, Verdict.REFUSED, str(error), letter))

    def _objection(self, one: Candidate) -> tuple[Verdict, str] | None:
        """Why a candidate cannot be applied, whatever is in it."""
        record = one.record
        name = TopicPartition(record.topic, record.partition)
        if record.topic != self._options.topic:
            return Verdict.REFUSED, f"it is of topic {record.topic}, not {self._options.topic}"
        if record.offset >= self._ends.get(name, 0):
            return Verdict.FOREIGN, f"the log of {name} ends before it: the topic was recreated"
        if record.offset < self._begins[name] - 1:
            return Verdict.TOO_OLD, f"the log of {name} begins at {self._begins[name]} now"
        if one.known_at < self._oldest:
            return Verdict.TOO_OLD, FORGOTTEN
        if one.letter is not None and record.key != one.letter.record.key and not self._is_home(record):
            return Verdict.REFUSED, MENDED_KEY
        return None

    def _is_home(self, record: Record) -> bool:
        """Whether every record of its key, now and later, has a position that tells which is later."""
        options, count = self._options, len(self._begins)
        if options.versioned or options.appends or count == 1:
            return True
        return (
            options.routing == "jump"
            and record.key is not None
            and partition_of(record.key, count) == record.partition
        )

    def _spans(self, change: Change) -> Iterable[tuple[TopicPartition, int]]:
        """From where each partition has to be read: all that can hold a change that outranks this one."""
        options, record = self._options, change.record
        count = len(self._begins)
        if options.versioned:
            yield from self._begins.items()
            return
        yield TopicPartition(record.topic, record.partition), record.offset
        home_stays = options.appends or (
            options.routing == "jump"
            and not (record.key is not None and left_behind(record.key, record.partition, count))
        )
        if not home_stays:
            for number in range(record.partition + 1, count):
                name = TopicPartition(record.topic, number)
                yield name, self._begins[name]

    async def _read_letters(self) -> None:
        """The group's letters of this topic: what they take out, and what was put back in."""
        topic = self._options.topic
        spans = await self._log.spans(dlq_topic(topic))
        async for letters in self._log.letters(spans, topic=topic, group=self._projection.group):
            self._outlook.bury(position(letter.record) for letter in letters)
            replayed = (letter.record for letter in letters if letter.state is State.REPLAYED)
            self._outlook.see(filter(None, map(self._sight, replayed)), replayed=True)

    async def _look_ahead(self) -> None:
        """Read on to where the log ends now."""
        looked_at = time.monotonic()
        ends = await self._log.ends(list(self._seen_to))
        spans = {name: (start, max(start, ends[name])) for name, start in self._seen_to.items()}
        total, done = sum(end - start for start, end in spans.values()), 0
        async for records in self._log.read(spans):
            for record in records:
                self._outlook.meet(position(record), record.timestamp)
            self._outlook.see(filter(None, map(self._sight, records)))
            done += len(records)
            self._progress("looking ahead", done, total)
        self._seen_to = {name: end for name, (_, end) in spans.items()}
        self._seen_at = looked_at

    def _sight(self, record: Record) -> Sighting | None:
        try:
            return self._sighting(self._decode(record))
        except RecordError:
            return None

    def _sighting(self, change: Change) -> Sighting:
        # Where every record has a document, none overtakes another.
        key = change.n if self._options.appends else change.key
        return Sighting(change.n, key, change.version, change.deletes, change.record.timestamp)

    # -- applying --------------------------------------------------------------------------------------------

    async def settle(self, candidates: Sequence[Candidate | Result]) -> list[Result]:
        """Apply a chunk; what became of each, in their order."""
        self._written = []
        if not self._dry_run:
            await self._look_ahead()
        results: dict[int, Result] = {}
        open_: dict[int, Change] = {}
        for index, one in enumerate(candidates):
            if isinstance(one, Result):
                results[index] = one
                continue
            judged = self._judge(one)
            if judged.change is None or judged.against is not None:
                results[index] = judged.against or Result(one, Verdict.REFUSED)
            elif (found := self._overtaken(one, judged.change)) is not None:
                results[index] = found
            else:
                open_[index] = judged.change
        reached = await self._apply(list(open_.values()))
        for index, change in open_.items():
            one = candidates[index]
            if isinstance(one, Candidate):
                results[index] = self._result(one, change, reached)
        return [results[index] for index in range(len(candidates))]

    def _overtaken(self, candidate: Candidate, change: Change) -> Result | None:
        if self._outlook.is_foreign(change.n):
            return Result(candidate, Verdict.FOREIGN, "the log holds another record at its position")
        winner = self._outlook.winner(self._sighting(change).key)
        if winner == change.n:
            return None
        partition, offset = (0, 0) if winner is None else place_at(winner)
        where = f"{change.record.topic}[{partition}] offset {offset}"
        return Result(candidate, Verdict.SUPERSEDED, f"{where} is a later record of its key")

    async def _apply(self, changes: Sequence[Change]) -> Mapping[int, Verdict]:
        """Write; packed position to what is known of it afterwards. What is not named was overtaken."""
        if not changes:
            return {}
        stood = await self._projection.collection.standing_of(changes)
        known = {change.n: Verdict.ALREADY for change in changes if change.n in stood}
        rest = [change for change in changes if change.n not in stood]
        if self._dry_run:
            return known | {change.n: Verdict.APPLIED for change in rest}
        self._written = [change.record for change in changes]
        known |= await self._rewrite([change for change in changes if change.n in stood])
        await self._write([change.record for change in rest])
        stands = await self._projection.collection.standing_of(changes)
        return known | {change.n: Verdict.APPLIED for change in rest if change.n in stands}

    async def _rewrite(self, changes: Sequence[Change]) -> dict[int, Verdict]:
        """Put right what stands at its own position with another value: an earlier fix-up was not recorded."""
        documents = await Documents(self._projection.collection).read(
            change.n if self._options.appends else change.key for change in changes
        )
        owned = self._options.field_names if self._options.write == "set" else None
        writes: list[Write] = []
        for change in changes:
            found = documents.get(change.n if self._options.appends else change.key, [])
            if change.body is None or len(found) != 1 or source_of(found[0]) != change.n:
                continue
            if differing_fields(decode_body(change.body), found[0], owned):
                plan = KeyPlan(change.key, [change])
                writes.append(Write(plan, change, exactly(found[0]), change.version, exact=True))
        verdicts = {write.change.n: Verdict.REFUSED for write in writes}
        if writes and not self._options.appends:
            refused = await self._projection.collection.write(writes, now=milliseconds())
            standing = {write.change.n for write, _ in refused}
            verdicts |= {n: Verdict.APPLIED for n in verdicts if n not in standing}
        return verdicts

    async def _write(self, records: Sequence[Record]) -> None:
        backoff = Backoff()
        for _ in range(ATTEMPTS):
            if not records:
                return
            try:
                await self._projector.apply(self._batch(records))
                if not await self._moved():
                    return
            except RevokedError:  # MongoDB took too long: by now, a tombstone may have come and gone
                await asyncio.sleep(backoff.next())
            await self._look_ahead()
            records = self._winning(records)
        raise UnreachableError("MongoDB does not take the records: run the command again when it does")

    async def confirm(self) -> None:
        """Write the last chunk again, if it may stand in a collection that a rebuild has replaced since."""
        if self._written and await self._moved():
            await self._look_ahead()
            await self._write(self._winning(self._written))

    def _winning(self, records: Sequence[Record]) -> list[Record]:
        return [
            record
            for record in records
            if self._outlook.winner(self._sighting(self._decode(record)).key) == position(record)
        ]

    async def _moved(self) -> bool:
        """Whether a rebuild has swapped the collection since this was last asked."""
        before, self._swaps = self._swaps, await self._count_swaps()
        return self._swaps != before

    async def _count_swaps(self) -> int:
        """How many there were; waits for the end of one that is under way.

        Raises:
            ConfigurationError: it does not end.
        """
        positions, began = self._projection.collection.positions, time.monotonic()
        while (swaps := await positions.count_swaps(self._options.topic)) is None:
            if time.monotonic() > began + SWAP_SECONDS:
                raise ConfigurationError(
                    f"a rebuild of {self._options.collection} was cut off in its swap: run it again (sink rebuild "
                    f"{self._options.collection} --shadow), and then this command"
                )
            await asyncio.sleep(SWAP_POLL_SECONDS)
        return swaps

    def _batch(self, records: Sequence[Record]) -> Batch:
        parts: dict[TopicPartition, list[Record]] = defaultdict(list)
        for record in sorted(records, key=position):
            parts[TopicPartition(record.topic, record.partition)].append(record)
        return Batch(
            {name: Share(Token(name), part) for name, part in parts.items()},
            held_since={},
            clock=time.monotonic,
            leased=lambda: time.monotonic() - self._seen_at < FRESH_SECONDS,
        )

    def _result(self, candidate: Candidate, change: Change, reached: Mapping[int, Verdict]) -> Result:
        letter = self._refusals.letters.pop(change.n, None)
        if letter is not None:
            return Result(candidate, Verdict.REFUSED, letter.message, letter)
        if change.n in reached:
            refused = reached[change.n] is Verdict.REFUSED
            reason = "another value stands at its position, and cannot be replaced" if refused else ""
            return Result(candidate, reached[change.n], reason)
        return Result(candidate, Verdict.SUPERSEDED, "a newer state stands")


class _Refusals(DeadLetterPublisher):
    """Keeps the letters of what MongoDB refuses: whoever replays says what becomes of them."""

    def __init__(self, clients: Clients) -> None:
        super().__init__(clients)
        self.letters: dict[int, DeadLetter] = {}

    async def publish(self, letters: Sequence[DeadLetter]) -> list[DeadLetterError | None]:
        """Keep them."""
        for letter in letters:
            self.letters[position(letter.record)] = letter
        return [None] * len(letters)


class Pace:
    """Waits so long that no more than so many records a second are worked on.

    Args:
        rate: records per second, or None for as fast as it goes.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = time.monotonic()

    @property
    def chunk(self) -> int:
        """Records that are worked on at once."""
        return CHUNK if self._rate is None else max(1, min(CHUNK, int(self._rate)))

    async def after(self, count: int) -> None:
        """Wait after so many."""
        if self._rate is not None:
            self._next = max(self._next, time.monotonic() - 1.0) + count / self._rate
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))
