"""Sending whole records from outside of Faust's own producer: the same gate, the same routing."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError

from prom_faust.clients import Clients, LateProducer
from prom_faust.exceptions import UnreachableError
from prom_faust.publish.gate import Gate
from prom_faust.publish.kafka import routed_partition

__all__ = ["Sender"]

CLOSE_SECONDS = 5.0


class Sender:
    """Sends records that the gate lets pass, and waits until all replicas have them. An async context manager.

    Args:
        clients: opens the producer, at the first record.
        gate: knows what the topics may carry, and how their keys are routed.
        timeout: seconds after which a record counts as not taken.
    """

    def __init__(self, clients: Clients, gate: Gate, *, timeout: float = 30.0) -> None:
        self._gate = gate
        self._timeout = timeout
        self._producer = LateProducer(clients, what="the producer of records", close_timeout=CLOSE_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._producer.close()

    def admit(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
    ) -> None:
        """See whether a record would pass.

        Raises:
            SendRefusedError: it would not.
        """
        self._gate.admit(topic, key, value, headers)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
        *,
        partition: int | None = None,
    ) -> None:
        """Send one record.

        Args:
            topic: where to.
            key: raw bytes.
            value: raw bytes.
            headers: its headers.
            partition: its partition; by default where the topic's routing puts it.

        Raises:
            SendRefusedError: it does not obey the topic's schema; nothing was sent.
            UnreachableError: Kafka has not taken it in time; it may be on the topic all the same.
        """
        value, admitted = self._gate.admit(topic, key, value, headers)
        try:
            async with asyncio.timeout(self._timeout):
                producer = await self._producer.get()
                if partition is None:
                    count = len(await producer.partitions_for(topic))
                    partition = routed_partition(self._gate.rules.routing(topic), key, value, count)
                await producer.send_and_wait(
                    topic, key=key, value=value, headers=list(admitted or ()), partition=partition
                )
        except (KafkaError, OSError, TimeoutError) as error:
            raise UnreachableError(f"Kafka did not take a record of {topic}: {error!r}") from error
