"""Look ahead on the log: what came behind a record decides whether it may still count.

A late record could bring a deleted document back: its key's tombstone may be applied, and its marker swept, long
since. So the log is read from the record's own position to its end before anything is written, and again before
every chunk; a tombstone that comes later still leaves a marker, which stands longer than the chunk takes.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import State, dlq_topic, letter_of
from prom_faust.exceptions import ConfigurationError, RecordError
from prom_faust.kafka import topic_configs
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.routing.hashing import left_behind, partition_of
from prom_faust.sink.decode import decoder
from prom_faust.sink.event import Change, position
from prom_faust.sink.faust import Projection
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.order import place_at
from prom_faust.sink.replay.candidate import Candidate, Result, Verdict
from prom_faust.sink.replay.outlook import Outlook, Sighting
from prom_faust.sink.verify.report import Progress

__all__ = ["LookAhead", "Source"]

Source = Callable[[], AsyncIterator[Sequence[Candidate | Result]]]
"""Gives the candidates, in chunks, as often as it is called; a result in their place is passed on as it is."""

FRESH_SECONDS = 15.0
"""How long a look ahead holds. Markers stand for a write deadline and 30 s more at least, see ``fence_delay``."""
FORGOTTEN = "tombstones from after it may be cleaned away (delete.retention.ms is over)"
MENDED_KEY = (
    "its key is another than the letter's, whose records may be in other partitions, where positions do not tell "
    "which is later: --to-topic sends it there as a new record"
)


class LookAhead:
    """The log behind some candidates. It has been read up to ``_seen_to``, the letters to their end at the start.

    Args:
        projection: into which they go.
        log: reads the topic and its letters.
        outlook: takes in what they hold.
        progress: told how far it is.
    """

    def __init__(
        self, projection: Projection, log: LogReader, outlook: Outlook, *, progress: Progress
    ) -> None:
        self._projection = projection
        self._options = projection.options
        self._log = log
        self._outlook = outlook
        self._progress = progress
        self._decode = decoder(projection.options)
        self._begins: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._seen_to: dict[TopicPartition, int] = {}
        self._seen_at = 0.0
        self._oldest = 0

    @property
    def fresh(self) -> bool:
        """Whether what was read last still holds: no marker that came after it can be swept yet."""
        return time.monotonic() - self._seen_at < FRESH_SECONDS

    async def open(self) -> None:
        """Find the log, and how long its tombstones stand."""
        topic = self._options.topic
        partitions = await self._log.partitions(topic)
        if not partitions:
            raise ConfigurationError(f"there is no topic {topic}")
        self._begins = await self._log.begins(partitions)
        self._ends = await self._log.ends(partitions)
        config = await topic_configs(self._projection.clients, topic)
        if "compact" in config["cleanup.policy"]:
            self._oldest = milliseconds() - int(config["delete.retention.ms"])

    async def take_in(self, source: Source) -> None:
        """Note every candidate that could be applied, then all that the log holds of their keys."""
        starts: dict[TopicPartition, int] = {}
        taken = 0
        async for candidates in source():
            judged = [self.judge(one) for one in candidates if isinstance(one, Candidate)]
            changes = [one for one in judged if isinstance(one, Change)]
            self._outlook.add(map(self._sighting, changes))
            for change in changes:
                for name, offset in self._spans(change):
                    starts[name] = min(offset, starts.get(name, offset))
            taken += len(candidates)
            self._progress("reading the candidates", taken, 0)
        await self._read_letters()
        self._seen_to = starts
        await self.read_on()

    def judge(self, one: Candidate) -> Change | Result:
        """A candidate's change, or what stands against it, whatever the log holds behind it."""
        if objection := self._objection(one):
            return Result(one, *objection)
        try:
            return self._decode(one.record)
        except RecordError as error:
            letter = letter_of(one.record, error, consumer=self._projection.group, died_at=milliseconds())
            return Result(one, Verdict.REFUSED, str(error), letter)

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

    async def read_on(self) -> None:
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

    def overtaken(self, candidate: Candidate, change: Change) -> Result | None:
        """What stands against a candidate by what the log holds behind it, or None."""
        if self._outlook.is_foreign(change.n):
            return Result(candidate, Verdict.FOREIGN, "the log holds another record at its position")
        winner = self._outlook.winner(self._sighting(change).key)
        if winner == change.n:
            return None
        partition, offset = (0, 0) if winner is None else place_at(winner)
        where = f"{change.record.topic}[{partition}] offset {offset}"
        return Result(candidate, Verdict.SUPERSEDED, f"{where} is a later record of its key")

    def winning(self, records: Sequence[Record]) -> list[Record]:
        """Those of them that nothing has overtaken, as far as the log was read."""
        return [
            record
            for record in records
            if self._outlook.winner(self._sighting(self._decode(record)).key) == position(record)
        ]
