"""Dead letters of Faust streams: what an agent's topic holds and cannot be read."""

import asyncio
import logging
from typing import Any, cast

import faust
from faust.types.tuples import Message

from prom_faust.backoff import Backoff
from prom_faust.clients import Clients
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import DeadLetter, dlq_topic, letter_of
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import DecodeError, PromFaustError, TopicError, UnreachableError
from prom_faust.kafka import ensure_topics
from prom_faust.lane.record import PlainRecord
from prom_faust.logs import place
from prom_faust.settings import Settings
from prom_faust.topics import dead_letter_spec

__all__ = ["Burial"]

logger = logging.getLogger(__name__)


class Burial:
    """Publishes the unreadable records of an app's streams.

    Args:
        app: the app; its id is the letters' consumer.
        clients: opens Kafka clients.
        settings: whether topics may be made.
    """

    def __init__(self, app: faust.App, clients: Clients, settings: Settings) -> None:
        self._app = app
        self._clients = clients
        self._settings = settings
        self._publisher = DeadLetterPublisher(clients)
        self._there: set[str] = set()

    async def bury(self, message: Message, error: Exception) -> None:
        """Publish a record to its topic's dead-letter topic, however long that takes."""
        record = PlainRecord(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            timestamp=round(message.timestamp * 1000),
            key=message.key,
            value=message.value,
            headers=tuple(cast(Any, message.headers or ())),
        )
        letter = letter_of(
            record,
            DecodeError(str(error)),
            consumer=self._app.conf.id,
            died_at=milliseconds(),
        )
        backoff = Backoff()
        while (failure := await self._publish(letter)) is not None:
            logger.warning("%s: tried again", failure, extra=place(record))
            # A rebalance and the worker's end wait for the records at hand. Not for this one: nothing behind it is
            # read meanwhile, so its offset is not committed, and it comes again.
            cast(Any, self._app.consumer)._unacked_messages.discard(message)  # noqa: SLF001
            await asyncio.sleep(backoff.next())

    async def _publish(self, letter: DeadLetter) -> PromFaustError | None:
        topic = dlq_topic(letter.record.topic)
        try:
            if topic not in self._there:  # of a topic that is not declared, nobody has seen to it
                await ensure_topics(self._clients, [dead_letter_spec(topic)], self._settings)
                self._there.add(topic)
        except (TopicError, UnreachableError) as error:
            return error
        failure = (await self._publisher.publish([letter]))[0]
        if failure is not None:
            self._there.discard(topic)
        return failure

    async def close(self) -> None:
        """Close the publisher."""
        await self._publisher.close()
