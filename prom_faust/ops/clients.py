"""What the pages ask of Kafka: groups, and the dead-letter topics. Every answer is shared for a second."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from prom_faust.clients import Clients, close_consumer, ended
from prom_faust.exceptions import UnreachableError
from prom_faust.ops.groups import GroupState
from prom_faust.ops.kafka import describe_group
from prom_faust.ops.tasks import Answer, Cached

__all__ = ["ClusterView", "Groups", "Look"]

CLOSE_SECONDS = 1.0
REQUEST_SECONDS = 2.0

DESCRIBE_SECONDS = 1.4

Letters = dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Groups:
    """What the coordinators say.

    Attributes:
        states: group to its state.
        errors: group to why its coordinator says nothing of it.
    """

    states: dict[str, GroupState] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that Kafka was asked.

    Attributes:
        groups: what the coordinators say.
        letters: dead-letter topic to the letters on it; None for a topic that is not there.
    """

    groups: Answer[Groups]
    letters: Answer[Letters]


class ClusterView:
    """What Kafka says of an app's groups and dead letters.

    Args:
        clients: opens the Kafka clients.
        groups: gives the ids of the groups.
        letters: gives the names of the dead-letter topics.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        groups: Callable[[], Sequence[str]],
        letters: Callable[[], Collection[str]],
    ) -> None:
        self.clients = clients
        self._groups = Cached(self._ask_groups)
        self._letters = Cached(self._ask_letters)
        self._group_ids = groups
        self._letter_topics = letters
        self._read: dict[str, frozenset[str]] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def look(self) -> Look:
        """Ask, or say again what was answered a moment ago; within about two seconds in any case."""
        return Look(*await asyncio.gather(self._groups.get(), self._letters.get()))

    async def close(self) -> None:
        """Ask no more."""
        for each in (self._groups, self._letters):
            await each.close()
        await self._close()

    async def _ask_groups(self) -> Groups:
        ids = list(self._group_ids())
        answers = await asyncio.gather(*map(self._describe, ids))
        errors = {
            group: answer for group, answer in zip(ids, answers, strict=True) if isinstance(answer, str)
        }
        if errors and len(errors) == len(ids):
            raise UnreachableError(errors[ids[0]])
        return Groups({each.group: each for each in answers if not isinstance(each, str)}, errors)

    async def _describe(self, group: str) -> GroupState | str:
        """The group, or why it is not known: one that this user may not see must not hide the others."""
        try:
            state = await describe_group(
                self.clients, group, timeout=DESCRIBE_SECONDS, topics=self._read.get(group, frozenset())
            )
        except UnreachableError as error:
            return str(error)
        if read := frozenset(topic for member in state.members for topic in member.topics):
            self._read[group] = read
        return state

    async def _ask_letters(self) -> Letters:
        topics = sorted(self._letter_topics())
        try:
            await self._open()
            return await self._count(topics)
        except (KafkaError, OSError, asyncio.CancelledError):
            await self._close()  # one that failed may be in no state to go on
            raise

    async def _count(self, topics: Sequence[str]) -> Letters:
        admin: Any = self._admin
        described = await admin.describe_topics(list(topics)) if topics else []
        names = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]
        counts: Letters = dict.fromkeys(topics)
        consumer: Any = self._consumer
        begins = await consumer.beginning_offsets(names)
        ends = await consumer.end_offsets(names)
        for name in names:
            counts[name.topic] = (counts[name.topic] or 0) + ends[name] - begins[name]
        return counts

    async def _open(self) -> None:
        if self._admin is None:
            self._admin = self.clients.admin(request_timeout=REQUEST_SECONDS)
            await self._admin.start()
        if self._consumer is None:
            self._consumer = self.clients.reader()
            await self._consumer.start()

    async def _close(self) -> None:
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        if consumer is not None:
            await close_consumer(consumer, what="the reader of the logs' ends", timeout=CLOSE_SECONDS)
        if admin is not None:
            await ended(admin.close(), "the admin client of the pages", CLOSE_SECONDS)
