"""What becomes of a record that the sink cannot apply: a letter, or, where it must not have one, a cut."""

import logging
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import DeadLetter, letter_of
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.dlq.reason import reason_of
from prom_faust.dlq.redaction import Redactor, names_of
from prom_faust.exceptions import FailureRateError, NotToleratedError, PromFaustError, RecordError
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.logs import Throttle, place
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.stats import SinkStats
from prom_faust.sink.tolerance import Window, advance, tolerates
from prom_faust.sink.work import Work

__all__ = ["SinkBurial"]

logger = logging.getLogger(__name__)


class SinkBurial:
    """Dead-letters the bad records of one projection.

    Args:
        options: the projection's.
        publisher: publishes the letters.
        consumer: the consumer group's name, written into them.
        stats: counts them.
        fields: of every line that is logged.

    Raises:
        ConfigurationError: no field has one of the tags to be redacted.
    """

    def __init__(
        self,
        options: ChangelogOptions,
        publisher: DeadLetterPublisher,
        *,
        consumer: str,
        stats: SinkStats,
        fields: Mapping[str, Any],
    ) -> None:
        self._options = options
        self._publisher = publisher
        self._consumer = consumer
        self._stats = stats
        self._fields = fields
        self._redactor = _redactor(options)
        self._buried = Throttle(time.monotonic)
        self._window = Window()

    def rate(self, seen: Iterable[tuple[int, bool]]) -> float:
        """The failure rate with these records, by packed position; 0.0 where there is no limit to it."""
        if self._options.max_failure_rate is None:
            return 0.0
        self._window, highest = advance(self._window, seen)
        return highest

    async def bury(self, work: Work, bad: Iterable[tuple[Record, RecordError]], rate: float) -> None:
        """Dead-letter records; one that must not be, or whose letter cannot be published, cuts its partition."""
        allowed: list[tuple[Record, RecordError]] = []
        for record, error in bad:
            if not work.has(record):
                continue  # it comes again
            refusal = self._refusal(record, error, rate)
            if refusal is None:
                allowed.append((record, error))
            else:
                work.cut_off(record, refusal)
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
                work.cut_off(work.batch.shares[name].records[0], failed)
        self._stats.dead += published
        if published and (count := self._buried.count(published)):
            record = letters[0].record
            logger.warning(
                "sink %s: %d records more are on the dead-letter topic, now %s[%d] offset %d: %s",
                *(self._options.collection, count, record.topic, record.partition, record.offset),
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
        return self._redactor.names if self._redactor is not None else names_of(self._options.model)

    def _refusal(self, record: Record, error: RecordError, rate: float) -> PromFaustError | None:
        """Why a bad record must not be dead-lettered, or None."""
        options = self._options
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


def _redactor(options: ChangelogOptions) -> Redactor | None:
    """What leaves tagged fields out of a projection's letters."""
    if not options.redact:
        return None
    schemas = [*([options.model] if options.model is not None else []), *options.redact_schemas]
    return Redactor(schemas, options.redact, key=options.key_of if isinstance(options.key_of, str) else None)
