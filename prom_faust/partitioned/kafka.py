"""The first stage: records to the partitions of a repartition topic."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka.errors import KafkaError

from prom_faust.clients import Clients, LateProducer
from prom_faust.dlq.kafka import Graveyard
from prom_faust.exceptions import DeadLetterError, PromFaustError, RecordError, UnreachableError
from prom_faust.lane.batch import Batch, Share
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.logs import place
from prom_faust.partitioned.decode import Reader
from prom_faust.partitioned.source import carried
from prom_faust.routing.hashing import partition_of

__all__ = ["Repartitioner"]

logger = logging.getLogger(__name__)

SEND_SECONDS = 20.0
"""How long the records of one partition may take until all replicas have them."""


class Repartitioner:
    """Sends every record to its logical partition, at least once.

    Args:
        clients: opens the producer, at the first record.
        reader: finds each record's key.
        topic: the repartition topic.
        partitions: how many partitions it has.
        graveyard: for records whose key cannot be read.
    """

    def __init__(
        self, clients: Clients, reader: Reader, *, topic: str, partitions: int, graveyard: Graveyard
    ) -> None:
        self._reader = reader
        self._topic = topic
        self._partitions = partitions
        self._graveyard = graveyard
        self._producer = LateProducer(
            clients, what=f"the producer of {topic}", close_timeout=SEND_SECONDS / 4
        )

    async def forward(self, batch: Batch) -> None:
        """Send a batch on, and wait for all replicas.

        Raises:
            RevokedError: a partition was revoked meanwhile.
        """
        batch.check()
        await asyncio.gather(*(self._forward(batch, name, share) for name, share in batch.shares.items()))
        batch.check()

    async def _forward(self, batch: Batch, name: TopicPartition, share: Share) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(share.records)
        except (TimeoutError, KafkaError, OSError, DeadLetterError) as error:
            logger.warning(
                "%s waits: its records could not be sent on to %s: %r",
                *(name, self._topic, error),
                extra=place(name),
            )
            batch.put_back(name, _reason(error))
            await self.close()

    async def _send(self, records: Sequence[Record]) -> None:
        """Send the records of one partition, in order; raises if one of them is not on its way to be read."""
        producer = await self._producer.get()
        sent: list[asyncio.Future[Any]] = []
        failure: DeadLetterError | None = None
        for record in records:
            if self._reader.is_empty(record):
                continue
            try:
                key = self._reader.key(record)
            except RecordError as error:
                failure = await self._graveyard.bury(record, error)
                if failure is not None:
                    break
            else:
                sent.append(
                    await producer.send(
                        self._topic,
                        value=record.value,
                        key=record.key,
                        partition=partition_of(key, self._partitions),
                        headers=carried(record, key),
                    )
                )
        await asyncio.gather(*sent)
        if failure is not None:
            raise failure

    async def close(self) -> None:
        """Close the producer; the next record opens another."""
        await self._producer.close()


def _reason(error: BaseException) -> PromFaustError:
    return error if isinstance(error, PromFaustError) else UnreachableError(f"Kafka: {error!r}")
