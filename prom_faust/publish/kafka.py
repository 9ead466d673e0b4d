"""Faust's producer and consumer with the gate and the routing in them.

One adapter over private members of Faust 0.15 and aiokafka 0.14: ``App._new_transport``,
``AIOKafkaProducer._partition`` and the consumer thread's ``key_partition``. They are the only places at which the
topic is known on every path: ``topic.send``, tables, transactions and the threaded producer.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar, cast

import faust
from aiokafka import AIOKafkaProducer
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, FutureMessage, RecordMetadata

from prom_faust.clients import patient
from prom_faust.exceptions import ConfigurationError, TopicError
from prom_faust.membership.kafka import GroupConsumer, GroupConsumerThread
from prom_faust.publish.gate import Gate
from prom_faust.publish.rules import Rules
from prom_faust.routing.hashing import Routing, partition_of
from prom_faust.routing.kafka import default_partition
from prom_faust.routing.key import stand_in
from prom_faust.schema.header import pairs

__all__ = ["install_transport", "routed_partition"]


FIND_SECONDS = 10
"""How long a command waits for a topic that no worker has made."""


def routed_partition(
    routing: Routing | None, key: bytes | None, value: bytes | None, partitions: int
) -> int | None:
    """The partition of a record, or None where a partitioner may choose as it likes."""
    if routing == "jump":
        return partition_of(stand_in(value) if key is None else key, partitions)
    if routing == "kafka" and key is not None:
        return default_partition(key, partitions)
    return None


def install_transport(app: faust.App, gate: Gate) -> None:
    """Let the app's producer and consumer, when they are made, be those of this module."""
    build = app._new_transport  # noqa: SLF001 - the only place where both come from

    def new_transport() -> Any:
        transport = build()
        if not isinstance(transport, driver.Transport):
            raise ConfigurationError(
                f'prom_faust needs the aiokafka driver (broker="kafka://..."), not {type(transport).__module__}'
            )
        # On the instance: another app of the process keeps its own.
        bound = {"gate": gate, "rules": gate.rules}
        instance = cast(Any, transport)
        instance.Producer = type("Producer", (GatedProducer,), bound)
        instance.Consumer = type("Consumer", (RoutedConsumer,), bound)
        return transport

    app._new_transport = new_transport  # type: ignore[method-assign] # noqa: SLF001 - see above


class RoutedKafkaProducer(AIOKafkaProducer):  # type: ignore[misc] # aiokafka is untyped
    """aiokafka's producer, asked per topic where a key belongs."""

    rules: Rules

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        patient(self)

    def _partition(
        self,
        topic: str,
        partition: int | None,
        key: Any,
        value: Any,
        serialized_key: Any,
        serialized_value: Any,
    ) -> int:
        if partition is None:
            known = self._metadata.partitions_for_topic(topic)
            routing = self.rules.routing(topic)
            partition = (
                routed_partition(routing, serialized_key, serialized_value, len(known)) if known else None
            )
        return int(super()._partition(topic, partition, key, value, serialized_key, serialized_value))


class GatedKafkaProducer(RoutedKafkaProducer):
    """A routed producer that is used without Faust's around it: it has the gate itself."""

    gate: Gate

    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> asyncio.Future[Any]:
        """Send, if the record may pass."""
        value, found = self.gate.admit(topic, key, value, headers)
        sent: asyncio.Future[Any] = await super().send(
            topic, value, key, partition, timestamp_ms, pairs(found)
        )
        return sent


class GatedProducer(driver.Producer):
    """Faust's producer; nothing leaves it that the gate has not let pass."""

    gate: ClassVar[Gate]
    rules: ClassVar[Rules]

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Send, if the record may pass."""
        value, headers = self.gate.admit(topic, key, value, headers)
        if not self.app.in_worker:
            await self._find(topic)
        return await super().send(
            topic, key, value, partition, timestamp, headers, transactional_id=transactional_id
        )

    async def _find(self, topic: str) -> None:
        """See that a declared topic is there: no worker may have made it yet, and aiokafka waits for 20 minutes.

        Raises:
            TopicError: it is not.
        """
        if self.rules.find(topic) is None:
            return
        client = self._ensure_producer().client
        client.add_topic(topic)
        for _ in range(FIND_SECONDS):
            if client.cluster.partitions_for_topic(topic) is None:
                await client.force_metadata_update()
            if client.cluster.partitions_for_topic(topic) is not None:
                return
            await asyncio.sleep(1.0)
        raise TopicError(
            f"topic {topic} is not there, or Kafka is away: start a worker, which makes it at its start"
        )

    def send_soon(self, fut: FutureMessage) -> None:
        """Buffer, if the record may pass: later there is no caller to hear of it."""
        message = fut.message
        topic = message.topic or message.channel.get_topic_name()
        value, headers = self.gate.admit(
            topic,
            cast(bytes | None, message.key),
            cast(bytes | None, message.value),
            cast(Any, message.headers),
        )
        fut.message = message._replace(value=value, headers=cast(Any, headers))
        super().send_soon(fut)

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Where a key belongs; also in a process that has never sent to the topic.

        Raises:
            KeyError: nothing is known of the topic yet; Faust's web server then answers that it is not ready.
        """
        count = self._partition_count(topic)
        if not count:
            raise KeyError(topic)
        partition = routed_partition(self.rules.routing(topic), key, None, count)
        return super().key_partition(topic, key) if partition is None else TP(topic, partition)

    def _partition_count(self, topic: str) -> int | None:
        producer = self._producer
        known = producer._metadata.partitions_for_topic(topic) if producer is not None else None  # noqa: SLF001
        consumed = self.app.consumer.topic_partitions(topic) if self.app.in_worker else None
        return len(known) if known else consumed or self.rules.partitions(topic)

    @property
    def _producer_type(self) -> type[AIOKafkaProducer]:
        return type("KafkaProducer", (RoutedKafkaProducer,), {"rules": self.rules})

    def transactional(self, transactional_id: str, **settings: Any) -> AIOKafkaProducer:
        """A producer of transactions, which has yet to be started; nothing leaves it that the gate has not let pass.

        Args:
            transactional_id: as soon as one is started, no other one of this id can send any more.
            **settings: aiokafka's, beside those of the app.
        """
        cls = type("TransactionalProducer", (GatedKafkaProducer,), {"rules": self.rules, "gate": self.gate})
        common = {**self._settings_default(), **self._settings_auth(), "acks": "all"}
        return cls(**{**common, "transactional_id": transactional_id, **settings})

    def create_threaded_producer(self) -> driver.ThreadedProducer:
        """The producer of a thread of its own; what it gets has passed ``send_soon``."""
        return RoutedThreadedProducer(default_producer=self, app=self.app)


class RoutedThreadedProducer(driver.ThreadedProducer):
    """Faust's threaded producer on the routed client."""

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        default = self._default_producer
        settings: Mapping[str, Any] = {
            **default._settings_default(),  # noqa: SLF001 - as Faust's own does
            **default._settings_auth(),  # noqa: SLF001
            **default._settings_extra(),  # noqa: SLF001
        }
        return default._producer_type(  # noqa: SLF001
            loop=self.thread_loop, **settings, transactional_id=transactional_id
        )


class RoutedConsumer(GroupConsumer):
    """Faust's consumer, whose thread is asked where a key belongs: transactions choose the partition first."""

    gate: ClassVar[Gate]
    rules: ClassVar[Rules]

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return RoutedConsumerThread(self, loop=self.loop, beacon=self.beacon)


class RoutedConsumerThread(GroupConsumerThread):
    """Faust's consumer thread with our routing."""

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Where a key belongs; None before the topic is known."""
        if partition is None and key is not None:
            rules = cast(RoutedConsumer, self.consumer).rules
            known = self._ensure_consumer()._client.cluster.partitions_for_topic(topic)  # noqa: SLF001 - as Faust's
            partition = routed_partition(rules.routing(topic), key, None, len(known)) if known else None
        found: int | None = super().key_partition(topic, key, partition)
        return found
