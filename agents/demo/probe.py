"""What the demo shows, read from the servers themselves and not from the worker."""

# mypy: disable-error-code="no-untyped-call"
# aiokafka has no types.

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError
from pymongo import AsyncMongoClient

from agents.demo.servers import Servers

__all__ = ["Probe", "Reading"]

TOPIC = "process.state"
DEAD_LETTERS = f"{TOPIC}.dlq"
GROUP = "event-hub.changelog:processes"
LIVE = {"_deleted": {"$exists": False}}
TOP = 12


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at both servers.

    Attributes:
        at: when, on a clock that only serves differences.
        statuses: documents by status.
        top: the documents with the highest CPU use.
        fresh: whether a document is newer than the demo.
        applied: records that the projection has finished, since its topic exists.
        lag: records that it has not.
        dead_letters: records that it could not apply.
    """

    at: float
    statuses: dict[str, int] = field(default_factory=dict)
    top: list[dict[str, Any]] = field(default_factory=list)
    fresh: bool = False
    applied: int = 0
    lag: int = 0
    dead_letters: int = 0

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return sum(self.statuses.values())


class Probe:
    """Reads the collection, the topics' ends and the group's offsets.

    Args:
        servers: where they are.
    """

    def __init__(self, servers: Servers) -> None:
        broker = urlsplit(servers.kafka).netloc
        self._offsets: dict[int, int] = {}
        self._since_ms = round(time.time() * 1000)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=None)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        self._mongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(servers.mongo)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._mongo.close()
        await self._admin.close()
        await self._consumer.stop()

    async def read(self) -> Reading:
        """Look once."""
        collection = self._mongo.get_default_database("prom")["processes"]
        groups = await collection.aggregate([{"$match": LIVE}, {"$sortByCount": "$status"}])
        statuses = {group["_id"]: group["count"] async for group in groups}
        top = await collection.find(LIVE).sort("cpu_pct", -1).limit(TOP).to_list()
        fresh = await collection.find_one({"last_seen_ts": {"$gte": self._since_ms}}, {"_id": 1})
        ends, letters = await self._ends(TOPIC), await self._ends(DEAD_LETTERS)
        applied = await self._committed()
        return Reading(
            at=time.monotonic(),
            statuses=statuses,
            top=top,
            fresh=fresh is not None,
            applied=sum(applied.values()),
            lag=sum(end - applied.get(partition, 0) for partition, end in ends.items()),
            dead_letters=sum(letters.values()),
        )

    async def _ends(self, topic: str) -> dict[int, int]:
        """The end of each partition; nothing as long as there is no such topic."""
        (described,) = await self._admin.describe_topics([topic])
        partitions = [TopicPartition(topic, each["partition"]) for each in described["partitions"]]
        ends = await self._consumer.end_offsets(partitions) if partitions else {}
        return {partition.partition: end for partition, end in ends.items()}

    async def _committed(self) -> dict[int, int]:
        """The group's offset in each partition; a broker without any group has no coordinator yet."""
        with suppress(GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            offsets = await self._admin.list_consumer_group_offsets(GROUP)
            self._offsets = {
                partition.partition: committed.offset
                for partition, committed in offsets.items()
                if partition.topic == TOPIC and committed.offset >= 0
            }
        return self._offsets
