"""Write records that come late, through the sink's own guard, and into the collection that stands by then."""

import asyncio
import dataclasses
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from prom_faust.backoff import Backoff
from prom_faust.clients import Clients
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import DeadLetter
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import ConfigurationError, DeadLetterError, RevokedError, UnreachableError
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.sink.event import Change, position
from prom_faust.sink.faust import Projection
from prom_faust.sink.mend import exactly
from prom_faust.sink.plan import KeyPlan, Write
from prom_faust.sink.replay.candidate import Verdict
from prom_faust.sink.replay.kafka import LookAhead
from prom_faust.sink.service import Projector
from prom_faust.sink.verify.compare import differing_fields, source_of
from prom_faust.sink.verify.mongo import Documents, decode_body

__all__ = ["LateWriter"]

SWAP_SECONDS = 60.0
SWAP_POLL_SECONDS = 0.5
ATTEMPTS = 4
"""How often a chunk is tried, with a new look ahead each, before MongoDB counts as away."""


class LateWriter:
    """Writes what nothing has overtaken.

    Args:
        projection: into which.
        ahead: says before every attempt what still counts.
        dry_run: say what would become of it, and write nothing.
    """

    def __init__(self, projection: Projection, ahead: LookAhead, *, dry_run: bool) -> None:
        self._collection = projection.collection
        self._options = projection.options
        self._ahead = ahead
        self._dry_run = dry_run
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
        self._swaps = 0
        self._written: Sequence[Record] = []

    async def open(self) -> None:
        """Note how often rebuilds have swapped the collection."""
        if not self._dry_run:
            self._swaps = await self._count_swaps()

    async def apply(self, changes: Sequence[Change]) -> Mapping[int, Verdict]:
        """Write; packed position to what is known of it afterwards. What is not named was overtaken."""
        self._written = []
        if not changes:
            return {}
        stood = await self._collection.standing_of(changes)
        known = {change.n: Verdict.ALREADY for change in changes if change.n in stood}
        rest = [change for change in changes if change.n not in stood]
        if self._dry_run:
            return known | {change.n: Verdict.APPLIED for change in rest}
        self._written = [change.record for change in changes]
        known |= await self._rewrite([change for change in changes if change.n in stood])
        await self._write([change.record for change in rest])
        stands = await self._collection.standing_of(changes)
        return known | {change.n: Verdict.APPLIED for change in rest if change.n in stands}

    def refusal(self, change: Change) -> DeadLetter | None:
        """The letter that says why MongoDB has refused a change, once."""
        return self._refusals.letters.pop(change.n, None)

    async def confirm(self) -> None:
        """Write the last chunk again, if it may stand in a collection that a rebuild has replaced since."""
        if self._written and await self._moved():
            await self._ahead.read_on()
            await self._write(self._ahead.winning(self._written))

    async def _rewrite(self, changes: Sequence[Change]) -> dict[int, Verdict]:
        """Put right what stands at its own position with another value: an earlier fix-up was not recorded."""
        documents = await Documents(self._collection).read(
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
            refused = await self._collection.write(writes, now=milliseconds())
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
            await self._ahead.read_on()
            records = self._ahead.winning(records)
        raise UnreachableError("MongoDB does not take the records: run the command again when it does")

    async def _moved(self) -> bool:
        """Whether a rebuild has swapped the collection since this was last asked."""
        before, self._swaps = self._swaps, await self._count_swaps()
        return self._swaps != before

    async def _count_swaps(self) -> int:
        """How many there were; waits for the end of one that is under way.

        Raises:
            ConfigurationError: it does not end.
        """
        positions, began = self._collection.positions, time.monotonic()
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
            leased=lambda: self._ahead.fresh,
        )


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
