"""What an operator does with dead letters: find them, replay, send again, discard.

Whatever is done is written on the dead-letter topic as one more letter of the same record, so that the topic tells
its whole story, and ``sink verify`` counts a replayed record at its position.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace

from prom_faust.clients import Clients
from prom_faust.dlq.envelope import PREFIX, DeadLetter, State, dlq_topic
from prom_faust.dlq.filter import Filter, Row
from prom_faust.dlq.fixup import FixUp, mend
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.dlq.ledger import Ledger
from prom_faust.exceptions import DecodeError, SendRefusedError, UnreachableError
from prom_faust.lane.record import TopicPartition
from prom_faust.publish.gate import Gate
from prom_faust.publish.service import Sender
from prom_faust.sink.faust import Projection
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.replay import Candidate, Outcome, Pace, Result, Verdict, replay
from prom_faust.sink.verify.report import Progress

__all__ = ["DeadLetters", "Trial", "discard", "replay_letters", "resend"]


class DeadLetters:
    """The dead letters of some topics, as they stand now.

    Args:
        clients: opens Kafka clients.
        log: reads the topics.
        ledger: keeps what is needed of each letter.
    """

    def __init__(self, clients: Clients, log: LogReader, ledger: Ledger) -> None:
        self.clients = clients
        self.log = log
        self.ledger = ledger

    async def read(self, topics: Iterable[str], progress: Progress) -> None:
        """Read the letters of these topics.

        Raises:
            UnreachableError: Kafka does not answer.
        """
        for topic in topics:
            spans = await self.log.spans(dlq_topic(topic))
            total, done = sum(end - begin for begin, end in spans.values()), 0
            async for letters in self.log.filed(spans, topic=topic):
                self.ledger.file(letters)
                done += len(letters)
                progress(f"reading {dlq_topic(topic)}", done, total)

    def choose(self, which: Filter, limit: int | None = None) -> int:
        """Choose the letters that are meant; returns how many they are."""
        return self.ledger.choose(self.ledger.rows(which, limit))

    async def chosen(self, topic: str) -> AsyncIterator[list[DeadLetter]]:
        """The latest letters of the chosen records of a topic."""
        spans = self.ledger.chosen_spans(topic)
        named = {TopicPartition(dlq_topic(topic), number): span for number, span in spans.items()}
        async for filed in self.log.filed(named, topic=topic):
            yield [letter for place, letter in filed if self.ledger.is_chosen(topic, place)]

    async def story(self, row: Row) -> list[DeadLetter]:
        """Every letter of one record and consumer, in order."""
        number, last = row.place
        name = TopicPartition(dlq_topic(row.topic), number)
        begins = await self.log.begins([name])
        found: list[DeadLetter] = []
        async for filed in self.log.filed({name: (begins[name], last + 1)}, topic=row.topic):
            found += [
                letter
                for _, letter in filed
                if (letter.record.partition, letter.record.offset, letter.consumer)
                == (row.partition, row.offset, row.consumer)
            ]
        return found


@dataclass(frozen=True, slots=True)
class Trial:
    """How letters are tried again.

    Attributes:
        fix: mends their records, or None.
        max_attempts: a letter that was tried so often is left: it would come back for ever.
        rate: letters per second, or None for as fast as it goes.
        dry_run: say what would become of them, and write nothing.
    """

    fix: FixUp | None = None
    max_attempts: int = 5
    rate: float | None = None
    dry_run: bool = False

    def candidate(self, letter: DeadLetter) -> Candidate | Result:
        """The record to try again, or why it is not tried."""
        as_it_is = Candidate(letter.record, letter.died_at, letter)
        if letter.redacted:
            return Result(as_it_is, Verdict.REFUSED, "parts of it were left out of the letter (redacted)")
        if letter.attempts >= self.max_attempts:
            return Result(
                as_it_is,
                Verdict.REFUSED,
                f"it was tried {letter.attempts} times: mend it with --fix and give a greater --max-attempts",
            )
        try:
            record = mend(letter, self.fix)
        except DecodeError as error:
            return Result(as_it_is, Verdict.REFUSED, str(error))
        if record is None:
            return Result(as_it_is, Verdict.LEFT)
        return Candidate(record, letter.died_at, letter)


async def replay_letters(
    letters: DeadLetters, projection: Projection, trial: Trial, outcome: Outcome, progress: Progress
) -> None:
    """Apply the chosen letters of a projection at their own positions, where nothing later has overtaken them.

    Each that was applied is recorded on the dead-letter topic, and each that failed once more, too.

    Raises:
        UnreachableError: Kafka or MongoDB does not answer. What was done is done; run it again.
    """

    async def source() -> AsyncIterator[list[Candidate | Result]]:
        async for found in letters.chosen(projection.options.topic):
            mine = [trial.candidate(letter) for letter in found if letter.consumer == projection.group]
            for start in range(0, len(mine), pace.chunk):
                yield mine[start : start + pace.chunk]

    publisher, pace = DeadLetterPublisher(letters.clients), Pace(trial.rate)
    try:
        async with LogReader(letters.clients) as log:  # the other one is at the letters meanwhile
            async for results in replay(projection, log, source, dry_run=trial.dry_run, progress=progress):
                if not trial.dry_run:
                    await _publish(publisher, [entry for result in results for entry in _entry(result)])
                outcome.add(results)
                progress("replaying", sum(outcome.counts.values()), 0)
                await pace.after(len(results))
    finally:
        await publisher.close()


def _entry(result: Result) -> list[DeadLetter]:
    """What is to be written of a letter that was tried."""
    letter = result.candidate.letter
    if letter is None:
        return []
    if result.verdict in {Verdict.APPLIED, Verdict.ALREADY}:
        return [replace(letter, record=result.candidate.record, state=State.REPLAYED)]
    if result.letter is not None:
        # When it died still says up to when all that came after it is known.
        failed = result.letter
        return [
            replace(
                letter,
                error_class=failed.error_class,
                message=failed.message,
                attempts=letter.attempts + 1,
            )
        ]
    return []


async def resend(
    letters: DeadLetters, topic: str, gate: Gate, trial: Trial, outcome: Outcome, progress: Progress
) -> None:
    """Send the chosen letters of a topic to it once more, as new records at its end.

    For every consumer of the topic that is a new fact, whatever came after the record.

    Raises:
        UnreachableError: Kafka does not answer. What was done is done; run it again.
    """
    publisher, pace = DeadLetterPublisher(letters.clients), Pace(trial.rate)
    try:
        async with Sender(letters.clients, gate) as sender:
            async for found in letters.chosen(topic):
                for letter in found:
                    tried = trial.candidate(letter)
                    if isinstance(tried, Candidate):
                        tried = await _resend(tried, sender, publisher, dry_run=trial.dry_run)
                    outcome.add([tried])
                    progress("sending", sum(outcome.counts.values()), 0)
                    await pace.after(1)
    finally:
        await publisher.close()


async def _resend(
    tried: Candidate, sender: Sender, publisher: DeadLetterPublisher, *, dry_run: bool
) -> Result:
    record, letter = tried.record, tried.letter
    headers = [*record.headers]
    if letter is not None:
        headers.append((f"{PREFIX}attempts", b"%d" % letter.attempts))
    try:
        if dry_run:
            sender.admit(record.topic, record.key, record.value, headers)
        else:
            await sender.send(record.topic, record.key, record.value, headers)
    except SendRefusedError as error:
        return Result(tried, Verdict.REFUSED, str(error))
    if letter is not None and not dry_run:
        await _publish(publisher, [replace(letter, state=State.MOVED)])
    return Result(tried, Verdict.SENT)


async def discard(letters: DeadLetters, topic: str, outcome: Outcome, progress: Progress) -> None:
    """Record that the chosen letters of a topic are not needed.

    Raises:
        UnreachableError: Kafka does not answer. What was done is done; run it again.
    """
    publisher = DeadLetterPublisher(letters.clients)
    try:
        async for found in letters.chosen(topic):
            await _publish(publisher, [replace(letter, state=State.DISCARDED) for letter in found])
            outcome.add(
                Result(Candidate(letter.record, letter.died_at, letter), Verdict.DISCARDED)
                for letter in found
            )
            progress("discarding", sum(outcome.counts.values()), 0)
    finally:
        await publisher.close()


async def _publish(publisher: DeadLetterPublisher, entries: Sequence[DeadLetter]) -> None:
    for failed in await publisher.publish(entries):
        if failed is not None:
            raise UnreachableError(f"what was done could not be recorded: {failed}. Run it again") from failed
