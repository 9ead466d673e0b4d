"""Topics and records for tests, through a producer and an admin client of their own."""

import asyncio
import random
from collections.abc import Iterable, Mapping
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import RecordMetadata

from prom_faust import partition_of


def as_value(value: Any) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else orjson.dumps(value)


def at_home(key: bytes | None, all_partitions: list[int], available: list[int]) -> int:
    """The partitioner of a client that routes as ``prom.topic`` does."""
    return random.choice(all_partitions) if key is None else partition_of(key, len(all_partitions))


class Topics:
    """Creates topics, sends records, reads them back."""

    def __init__(self, bootstrap: str, partitioner: Any = at_home) -> None:
        self.bootstrap = bootstrap
        self.producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", max_request_size=64 << 20, partitioner=partitioner
        )
        self.admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self) -> Self:
        await self.producer.start()
        await self.admin.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.producer.stop()
        await self.admin.close()

    async def create(self, name: str, partitions: int = 1, **config: str) -> str:
        topic = NewTopic(name, partitions, 1, topic_configs={"cleanup.policy": "compact", **config})
        response = await self.admin.create_topics([topic])
        assert response.topic_errors[0][1] == 0, response
        await self._visible(name, partitions)
        return name

    async def _visible(self, name: str, partitions: int) -> None:
        for _ in range(200):
            described = await self.admin.describe_topics([name])
            if len(described[0]["partitions"]) == partitions and all(
                p["leader"] >= 0 for p in described[0]["partitions"]
            ):
                await self.producer.client.force_metadata_update()
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{name} did not appear with {partitions} partitions")

    async def delete(self, name: str) -> None:
        await self.admin.delete_topics([name])
        for _ in range(200):
            if name not in await self.admin.list_topics():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{name} did not go away")

    async def configure(self, name: str, **config: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, name, configs=config)
        await self.admin.alter_configs([resource])

    async def grow(self, name: str, partitions: int) -> None:
        await self.admin.create_partitions({name: NewPartitions(partitions)})
        await self._visible(name, partitions)

    async def send(
        self,
        topic: str,
        key: str | bytes | None,
        value: Any,
        *,
        partition: int | None = None,
        headers: Mapping[str, bytes] | None = None,
        timestamp: int | None = None,
    ) -> RecordMetadata:
        return await self.producer.send_and_wait(
            topic,
            key=key.encode() if isinstance(key, str) else key,
            value=as_value(value),
            partition=partition,
            headers=list((headers or {}).items()),
            timestamp_ms=timestamp,
        )

    async def send_all(
        self, topic: str, pairs: Iterable[tuple[str, Any]], partition: int | None = None
    ) -> None:
        futures = [
            await self.producer.send(topic, key=key.encode(), value=as_value(value), partition=partition)
            for key, value in pairs
        ]
        await asyncio.gather(*futures)

    async def ends(self, topic: str) -> dict[int, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            described = await self.admin.describe_topics([topic])
            partitions = [TopicPartition(topic, p["partition"]) for p in described[0]["partitions"]]
            return {tp.partition: end for tp, end in (await consumer.end_offsets(partitions)).items()}
        finally:
            await consumer.stop()

    async def read(self, topic: str, *, seconds: float = 5.0) -> list[Any]:
        """Every record of the topic, to its end now."""
        ends = await self.ends(topic)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, number) for number in ends])
            records: list[Any] = []
            while sum([await consumer.position(TopicPartition(topic, n)) for n in ends]) < sum(ends.values()):
                async with asyncio.timeout(seconds):
                    for found in (await consumer.getmany(timeout_ms=500)).values():
                        records += found
            return records
        finally:
            await consumer.stop()

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        offsets = await self.admin.list_consumer_group_offsets(group)
        return {tp.partition: meta.offset for tp, meta in offsets.items() if tp.topic == topic}
