"""Publishing dead letters, awaited: a letter that is not on its topic stops its partition."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from aiokafka.errors import KafkaError

from prom_faust.clients import Clients, LateProducer
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import DeadLetter, dlq_topic, encode, letter_of, value_of
from prom_faust.dlq.reason import reason_of
from prom_faust.exceptions import DeadLetterError, RecordError, TopicError, UnreachableError
from prom_faust.kafka import ensure_topics
from prom_faust.lane.record import Record
from prom_faust.logs import Throttle, place
from prom_faust.settings import Settings
from prom_faust.topics import dead_letter_spec

__all__ = ["DeadLetterPublisher", "Graveyard"]

logger = logging.getLogger(__name__)

CHUNK = 500
CLOSE_SECONDS = 2.0
"""Every letter is waited for: when the producer is closed there is nothing left to send."""


class DeadLetterPublisher:
    """Publishes letters to ``<topic>.dlq``, to the partition of the record where there is one.

    Args:
        clients: opens the producer, at the first letter.
        timeout: seconds after which a letter counts as not published.
    """

    def __init__(self, clients: Clients, *, timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._producer = LateProducer(clients, what="the dead-letter producer", close_timeout=CLOSE_SECONDS)

    async def publish(self, letters: Sequence[DeadLetter]) -> list[DeadLetterError | None]:
        """Publish letters and wait for all replicas.

        Returns:
            For each letter None, or the error with which it was not published. It may be on the topic all the
            same, after a timeout: readers must expect a letter twice.
        """
        results: list[DeadLetterError | None] = []
        # A flood of letters gets a deadline per handful, or one that is slow would never be through.
        for start in range(0, len(letters), CHUNK):
            results += await asyncio.gather(*map(self._publish, letters[start : start + CHUNK]))
        if any(results):
            await self.close()
        return results

    async def _publish(self, letter: DeadLetter) -> DeadLetterError | None:
        topic = dlq_topic(letter.record.topic)
        try:
            async with asyncio.timeout(self._timeout):
                producer = await self._producer.get()
                partitions = await producer.partitions_for(topic)
                await producer.send_and_wait(
                    topic,
                    key=letter.record.key,
                    value=value_of(letter),
                    headers=encode(letter),
                    partition=letter.record.partition % len(partitions),
                )
        except (TimeoutError, KafkaError, OSError) as error:
            return DeadLetterError(f"a dead letter could not be published to {topic}: {error!r}")
        return None

    async def close(self) -> None:
        """Close the producer; the next letter opens another."""
        await self._producer.close()


class Graveyard:
    """Publishes the records that a group cannot read.

    Args:
        clients: opens the producer.
        settings: whether topics may be made.
        group: the letters' consumer.
        original: gives the record as it was on its own topic; the record itself by default.
    """

    def __init__(
        self,
        clients: Clients,
        settings: Settings,
        group: str,
        original: Callable[[Record], Record] = lambda record: record,
    ) -> None:
        self._clients = clients
        self._settings = settings
        self._group = group
        self._original = original
        self._publisher = DeadLetterPublisher(clients)
        self._there: set[str] = set()
        self._buried = Throttle(time.monotonic)

    async def letter(self, record: Record, error: RecordError) -> DeadLetter:
        """The letter of a record, whose topic is there.

        Raises:
            DeadLetterError: it is not, and cannot be made now.
        """
        found = self._original(record)
        letter = letter_of(found, error, consumer=self._group, died_at=milliseconds())
        topic = dlq_topic(found.topic)
        try:
            if topic not in self._there:
                await ensure_topics(self._clients, [dead_letter_spec(topic)], self._settings)
                self._there.add(topic)
        except (TopicError, UnreachableError) as failure:
            raise DeadLetterError(f"a dead letter could not be published to {topic}: {failure}") from failure
        if count := self._buried.count():
            logger.warning(
                "group %s: %d records more go to the dead-letter topic, now offset %d of %s[%d]: %s",
                *(self._group, count, found.offset, found.topic, found.partition, reason_of(error, ())),
                extra={"group": self._group, **place(found)},
            )
        return letter

    async def bury(self, record: Record, error: RecordError) -> DeadLetterError | None:
        """Publish the letter of a record; gives the error with which that failed."""
        try:
            letter = await self.letter(record, error)
        except DeadLetterError as failure:
            return failure
        return (await self._publisher.publish([letter]))[0]

    async def close(self) -> None:
        """Close the producer."""
        await self._publisher.close()
