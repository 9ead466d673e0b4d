"""The lane as a member of its consumer group: its name, its assignors, its rebalances, and what ends it."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from prom_faust.assignment.history import RebalanceHistory
from prom_faust.assignment.identity import settings_of, worker_identity
from prom_faust.assignment.kafka import LaneAssignor
from prom_faust.assignment.wire import Decision, Identity
from prom_faust.clients import Clients, close_consumer, heed_offset_errors, join_once
from prom_faust.exceptions import DuplicateMemberError, GroupError
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.record import TopicPartition
from prom_faust.membership.refusal import duplicate, refusal
from prom_faust.membership.tasks import make_room

__all__ = ["Membership"]

CLOSE_SECONDS = 1.0
"""For the end of a consumer that could not be opened: it has no group to leave."""


class Membership:
    """One member of one group.

    Args:
        clients: opens the Kafka clients.
        options: the group, and the member's own name where it has one.

    Attributes:
        history: the member's rebalances.
    """

    def __init__(self, clients: Clients, options: LaneOptions) -> None:
        self.history = RebalanceHistory(time.time)
        self._clients = clients
        self._options = options
        self._decision: Decision | None = None
        self._was_member = False
        self._heard_at = 0.0

    @property
    def identity(self) -> Identity:
        """Who the member is: the worker, under a name of its own where one was given."""
        worker = worker_identity(self._clients.app)
        return worker if self._options.member is None else replace(worker, name=self._options.member)

    @property
    def session_timeout(self) -> float:
        """Seconds after which the group takes a silent member for dead."""
        return float(self._options.session_timeout or self._clients.app.conf.broker_session_timeout)

    @property
    def silent(self) -> bool:
        """Whether the group may take this member for dead: no heartbeat of a whole session was answered."""
        return asyncio.get_running_loop().time() - self._heard_at >= self.session_timeout

    async def consumer(self) -> AIOKafkaConsumer:
        """A started consumer, which has not joined yet.

        Raises:
            KafkaError: Kafka does not answer.
        """
        options = self._options
        # What it offers: ours, and the assignor that workers of the release before have.
        load_factor = settings_of(self._clients.app).load_factor
        ours = LaneAssignor(self.identity, load_factor=load_factor, on_decision=self._decided)
        consumer = self._clients.group_consumer(
            options.group,
            [ours, RoundRobinPartitionAssignor],
            options.history_interval,
            heartbeat_interval=options.heartbeat_interval,
            session_timeout=options.session_timeout,
            static=options.static,
        )
        try:
            await consumer.start()
        except BaseException:
            await close_consumer(consumer, what=f"a consumer of group {options.group}", timeout=CLOSE_SECONDS)
            raise
        join_once(consumer)
        heed_offset_errors(consumer)
        self._listen(consumer._coordinator)  # noqa: SLF001 - aiokafka tells nobody of its heartbeats
        return consumer

    def _listen(self, coordinator: Any) -> None:
        beat, loop = coordinator._do_heartbeat, asyncio.get_running_loop()  # noqa: SLF001 - see above

        async def noted() -> bool:
            sent_at = loop.time()  # the broker's session begins when it hears, which is not before that
            heard = bool(await beat())
            if heard:
                self._heard_at = sent_at
            return heard

        coordinator._do_heartbeat = noted  # noqa: SLF001

    def _decided(self, decision: Decision) -> None:
        self._decision = decision

    def assigned(
        self, consumer: AIOKafkaConsumer, names: Iterable[TopicPartition]
    ) -> DuplicateMemberError | None:
        """A rebalance is over.

        Returns:
            Why this member gets nothing and never will, or None.
        """
        self._was_member = True
        self._heard_at = asyncio.get_running_loop().time()
        # The client tells the assignor first; where it did not, the group runs another protocol than ours.
        decision, self._decision = self._decision, None
        self.history.assigned(
            ((name.topic, name.partition) for name in names),
            generation=consumer._coordinator.generation,  # noqa: SLF001 - there is no public word for it
            members=() if decision is None else decision.members,
            protocol=RoundRobinPartitionAssignor.name if decision is None else LaneAssignor.name,
        )
        if decision is None or decision.refused is None:
            return None
        return duplicate(self._options.group, decision.refused)

    async def replaced(self, consumer: AIOKafkaConsumer) -> DuplicateMemberError | None:
        """Whether a static member was replaced by a worker that came later; then this one stays out."""
        if not self._was_member:
            return None
        coordinator = consumer._coordinator  # noqa: SLF001 - see above
        return await make_room(self._clients, self._options.group, self.identity, coordinator)

    def refusal(self, error: BaseException) -> GroupError | None:
        """The error to end with, or None where another attempt can help.

        Args:
            error: what the client raised.
        """
        found = refusal(self._options.group, error)
        if found is None or self._options.session_timeout is None or "SessionTimeout" not in repr(error):
            return found
        return GroupError(f"{found}; it is {self.session_timeout:g} s, the ttl= of a partitioned consumer")
