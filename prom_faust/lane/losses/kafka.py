"""The partitions of which deletes may have been missed: found by looking at the logs, stored before more is read.

How fresh a partition is is told by looks alone, never by batches: a batch that comes late moves the applied offset
all the same, and must not hide that it was late.
"""

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError, for_code

from prom_faust.clients import Clients
from prom_faust.lane.freshness import LEAST_WINDOW, Freshness, Synced, delete_window
from prom_faust.lane.history import LogState, Position, freshness_of
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import TopicPartition

__all__ = ["LossStore", "Losses", "reached"]

logger = logging.getLogger(__name__)

CONFIG_SECONDS = 300.0
"""How long the topic's settings are believed."""
STORE_MILLISECONDS = 60_000
LOOKS = 4
"""Looks in a window: with fewer, a sink that keeps up could seem not to."""


class LossStore(Protocol):
    """Where it is stored, beside the positions."""

    async def mark_lost(self, topic: str, lost: Mapping[int, Synced]) -> None:
        """These partitions' collection may hold deleted keys since the given times; from there on they count anew."""

    async def keep_synced(self, topic: str, synced: Mapping[int, Synced]) -> None:
        """Store up to where no delete can have been missed; never backwards."""


async def reached(consumer: AIOKafkaConsumer, partition: Partition) -> tuple[int, int]:
    """The offset before which everything of a partition is done, and the one that is read next.

    They differ from those of the last record where the log goes on with markers of transactions.
    """
    name = partition.token.partition
    reading = max(partition.polled_to, await consumer.position(KafkaPartition(name.topic, name.partition)))
    return (reading if partition.idle else partition.done), reading


class Losses:
    """What the logs of the owned partitions have lost.

    Args:
        clients: asks for the topic's settings.
        topic: the topic.
        partitions: the owned partitions that are read; the lane adds and removes them.
        store: where it is stored; None where nothing is, and nothing is looked for.

    Attributes:
        since: partition to the time since when its collection may hold deleted keys, in ms since the epoch.
    """

    def __init__(
        self,
        clients: Clients,
        topic: str,
        partitions: Mapping[TopicPartition, Partition],
        store: LossStore | None,
    ) -> None:
        self.since: dict[TopicPartition, int] = {}
        self._clients = clients
        self._topic = topic
        self._partitions = partitions
        self._store = store
        self._freshness: dict[TopicPartition, Freshness] = {}
        self._window: int | None = None
        self._config_until: float | None = None

    @property
    def interval(self) -> float:
        """Seconds that may be between two looks at most; the least until the topic's settings are known."""
        if self._store is None or (self._config_until is not None and self._window is None):
            return math.inf
        return (self._window or LEAST_WINDOW) / LOOKS / 1000

    async def look(
        self,
        consumer: AIOKafkaConsumer,
        logs: Mapping[TopicPartition, LogState],
        stored: Mapping[int, Position],
    ) -> None:
        """See what the logs have lost, and store it.

        Args:
            consumer: the group's.
            logs: the logs of the partitions that are owned, or about to be read.
            stored: partition number to position.

        Raises:
            KafkaError: the broker does not answer.
            UnreachableError: the database does not.
        """
        if self._store is None or (window := await self._ask_window()) is None:
            return
        judged = {
            name: await self._judge(consumer, name, log, stored[name.partition], window)
            for name, log in logs.items()
            if name.partition in stored
        }
        reasons = {name: reason for name, (_, reason) in judged.items() if reason is not None}
        fresh = {name: state for name, (state, _) in judged.items()}
        if reasons:
            await self._store.mark_lost(self._topic, {name.partition: fresh[name].synced for name in reasons})
            self._tell(
                {name: why for name, why in reasons.items() if stored[name.partition].lost_since is None}
            )
        due = {
            name.partition: state.synced
            for name, state in fresh.items()
            if name not in reasons and _due(state.synced, stored[name.partition].synced, window)
        }
        if due:
            await self._store.keep_synced(self._topic, due)
        self._freshness |= fresh
        for name, state in fresh.items():
            since = state.synced.at if name in reasons else stored[name.partition].lost_since
            if since is None:
                self.found(name)
            else:
                self.since[name] = since

    async def _judge(
        self,
        consumer: AIOKafkaConsumer,
        name: TopicPartition,
        log: LogState,
        position: Position,
        window: int,
    ) -> tuple[Freshness, str | None]:
        """How fresh a partition is, and why deletes may have been missed before; from then on it counts anew."""
        if (partition := self._partitions.get(name)) is None:  # not read yet: what is stored is all there is
            state, done, reading = freshness_of(log, position), position.applied, position.applied
        else:
            state = self._freshness.get(name) or freshness_of(log, position)
            done, reading = await reached(consumer, partition)
        now = Synced(log.at, log.end)
        reason = state.missed(now, begin=log.begin, reading=reading, window=window)
        if reason is not None:
            return Freshness(Synced(log.at, max(done, log.begin))), reason
        return state.look(now, reached=done), None

    def found(self, name: TopicPartition) -> None:
        """The collection holds none of the partition's deleted keys any more."""
        self.since.pop(name, None)

    def _tell(self, reasons: Mapping[TopicPartition, str]) -> None:
        for first, reason in list(reasons.items())[:1]:
            logger.warning(
                "%s: deletes of %d partitions may have been missed; of %s: %s. Their keys are read again from the "
                "log's begin, and documents without one are removed; until then the collection may hold deleted keys",
                self._topic,
                len(reasons),
                first,
                reason,
            )

    async def _ask_window(self) -> int | None:
        now = asyncio.get_running_loop().time()
        if self._config_until is None or now >= self._config_until:
            self._window = delete_window(await _topic_config(self._clients, self._topic))
            self._config_until = now + CONFIG_SECONDS
        return self._window


def _due(synced: Synced, stored: Synced | None, window: int) -> bool:
    return stored is None or synced.at - stored.at >= min(STORE_MILLISECONDS, window // LOOKS)


async def _topic_config(clients: Clients, topic: str) -> dict[str, str]:
    admin: Any = clients.admin()
    try:
        await admin.start()
        responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    (code, _, _, _, entries), *_ = [resource for response in responses for resource in response.resources]
    if for_code(code) is TopicAuthorizationFailedError:
        logger.warning("the settings of topic %s may not be read: Kafka's defaults are taken for them", topic)
        return {"cleanup.policy": "compact"}
    if code:
        raise for_code(code)(f"the settings of topic {topic} cannot be read")
    return {entry[0]: entry[1] for entry in entries}
