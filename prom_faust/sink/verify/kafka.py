"""Take in what a topic and its letters hold up to their ends, and wait until the sink has applied it."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from aiokafka.errors import KafkaError

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import NotSettledError, TopicError, UnreachableError
from prom_faust.lane.history import LogState, Position, check_history
from prom_faust.lane.kafka import read_timestamps
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.routing.hashing import left_behind
from prom_faust.sink.decode import decoder
from prom_faust.sink.faust import Projection
from prom_faust.sink.log.entry import Entry, entry_of, entry_of_letter
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.order import position_of
from prom_faust.sink.verify.report import Progress
from prom_faust.sink.verify.spill import Spill

__all__ = ["Intake"]

SETTLE_POLL_SECONDS = 0.25


class Intake:
    """Reads one projection's log and letters into a spill.

    Args:
        projection: whose.
        spill: takes in what they hold.
        log: reads them.
        wait: seconds to wait until the sink has applied what was read.
        progress: told how far it is.

    Attributes:
        read_to: partition to the offset up to which the topic has been read.
        records: records read.
        letters: letters read.
    """

    def __init__(
        self, projection: Projection, spill: Spill, log: LogReader, *, wait: float, progress: Progress
    ) -> None:
        self._projection = projection
        self._options = projection.options
        self._spill = spill
        self._log = log
        self._wait = wait
        self._progress = progress
        self._decode = decoder(projection.options)
        self._letters_to: dict[TopicPartition, int] = {}
        self._last: dict[int, int] = {}
        self.read_to: dict[TopicPartition, int] = {}
        self.records = 0
        self.letters = 0

    async def open(self) -> None:
        """Find the partitions, and make sure that the log is the one that the sink has read."""
        stored = await self._load_positions()
        partitions = await self._log.partitions(self._options.topic)
        if not partitions:
            raise TopicError(f"there is no topic {self._options.topic}")
        self.read_to = await self._log.begins(partitions)
        await self._check_history(stored)

    async def check_history(self) -> None:
        """Make sure that the log is still the one that the sink has read.

        Raises:
            LostHistoryError: it is another one, or what the sink has to read next is gone.
            UnreachableError: Kafka or MongoDB does not answer.
        """
        await self._check_history(await self._load_positions())

    async def _load_positions(self) -> Mapping[int, Position]:
        return await self._projection.collection.positions.load_positions(self._options.topic)

    async def _check_history(self, stored: Mapping[int, Position]) -> None:
        begins, ends = await self._log.begins(list(self.read_to)), await self.ends()
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

    async def moved(self) -> bool:
        """Whether the topic or its letters have grown since they were read."""
        letters = await self._log.partitions(dlq_topic(self._options.topic))
        return await self.ends() != self.read_to or await self._log.ends(letters) != self._letters_to

    async def read_on(self) -> None:
        """Read the topic to its end, wait until that is applied, then read the letters to their end."""
        ends = await self.ends()
        spans = {name: (begin, max(begin, ends[name])) for name, begin in self.read_to.items()}
        total = sum(end - begin for begin, end in spans.values())
        done = 0
        async for records in self._log.read(spans):
            self._spill.add([self._placed(entry_of(record, self._decode)) for record in records])
            self._note_left_behind(records)
            self._last[records[-1].partition] = records[-1].offset
            self.records += len(records)
            done += len(records)
            self._progress("reading the topic", done, total)
        self.read_to = ends
        await self._settle()
        await self._read_letters()

    def _placed(self, entry: Entry) -> Entry:
        """Where every record has a document of its own, its position is its key."""
        return entry._replace(key=entry.n) if self._options.appends else entry

    def _note_left_behind(self, records: Sequence[Record]) -> None:
        """Remember the records that stand where their keys were before a jump-routed topic grew."""
        if self._options.routing == "jump" and not self._options.appends:
            count = len(self.read_to)
            self._spill.add_left_behind(
                position_of(record.partition, record.offset)
                for record in records
                if record.key is not None and left_behind(record.key, record.partition, count)
            )

    async def _settle(self) -> None:
        deadline = time.monotonic() + self._wait
        while True:
            positions = await self._load_positions()
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
            self.letters += len(letters)
            self._progress("reading dead letters", self.letters, 0)
        self._letters_to = {name: end for name, (_, end) in spans.items()}

    async def ends(self) -> dict[TopicPartition, int]:
        """Where the topic ends by now."""
        return await self._log.ends(list(self.read_to))
