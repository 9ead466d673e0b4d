"""Dead letters of Faust streams: what an agent's topic holds and cannot be read."""

import asyncio
import logging
import time
from typing import Any, cast

import faust
from faust.types.tuples import Message

from prom_faust.backoff import Backoff
from prom_faust.dlq.envelope import letter_of
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import DecodeError
from prom_faust.lane.record import PlainRecord

__all__ = ["Burial"]

logger = logging.getLogger(__name__)


class Burial:
    """Publishes the unreadable records of an app's streams.

    Args:
        app: the app; its id is the letters' consumer.
        publisher: publishes them.
    """

    def __init__(self, app: faust.App, publisher: DeadLetterPublisher) -> None:
        self._app = app
        self._publisher = publisher

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
            died_at=time.time_ns() // 1_000_000,
        )
        backoff = Backoff()
        while (failure := (await self._publisher.publish([letter]))[0]) is not None:
            logger.warning("%s: tried again", failure)
            # A rebalance and the worker's end wait for the records at hand. Not for this one: nothing behind it is
            # read meanwhile, so its offset is not committed, and it comes again.
            cast(Any, self._app.consumer)._unacked_messages.discard(message)  # noqa: SLF001
            await asyncio.sleep(backoff.next())

    async def close(self) -> None:
        """Close the publisher."""
        await self._publisher.close()
