"""Members of a ``PartitionCoordinator``: they share one lane, and each gets the records of what it owns."""

import asyncio
import logging
from collections import defaultdict
from typing import Any

from mode import Service

from prom_faust.assignment.coordinator import PartitionCoordinator
from prom_faust.assignment.identity import worker_identity
from prom_faust.exceptions import ConfigurationError
from prom_faust.partitioned.decode import Reader
from prom_faust.partitioned.event import Handler, PartitionedEvent
from prom_faust.partitioned.hooks import tell
from prom_faust.partitioned.options import PartitionedOptions
from prom_faust.partitioned.service import Plan, Subscription, handing_to
from prom_faust.routing.hashing import partition_of

__all__ = ["Fanout", "FanoutMember"]

logger = logging.getLogger(__name__)


class Fanout:
    """The members of one group of a coordinator in this process, and the lane that reads for them.

    The coordinator says who owns a logical partition; a record whose partition nobody owns waits for an owner.

    Args:
        plan: what the lane is made of.
        coordinator: says who owns what.
        partitions: how many logical partitions there are.
    """

    def __init__(self, plan: Plan, coordinator: PartitionCoordinator, partitions: int) -> None:
        self.coordinator = coordinator
        self.partitions = partitions
        self.members: list[FanoutMember] = []
        self.drain_timeout = plan.settings.drain_timeout
        self.subscription = Subscription(plan, self._handle, decode=self._decoder(plan.reader))
        # Two Kafka partitions may hold records of one logical partition.
        self.turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def _decoder(self, reader: Reader) -> Any:
        return lambda record: reader.event(record, lambda key: partition_of(key, self.partitions))

    def add(self, member: "FanoutMember") -> None:
        """Let a member take part.

        Raises:
            ConfigurationError: it counts other partitions than the rest.
        """
        wanted = member.options.partitions
        if wanted is not None and wanted != self.partitions:
            raise ConfigurationError(
                f"member {member.options.member_id} of group {member.options.group} has partitions={wanted}, and the "
                f"others have {self.partitions}"
            )
        self.members.append(member)

    async def _handle(self, event: PartitionedEvent) -> bool:
        async with self.turns[event.partition]:
            owner = next((each for each in self.members if event.partition in each.share), None)
            return owner is not None and await owner.handle(event)


class FanoutMember(Service):
    """One member: it stays alive in the coordinator, and has a share.

    Args:
        fanout: what it is a member of.
        options: its group, name, hooks and times.
        handler: gets its events.

    Attributes:
        share: the logical partitions that it owns, and has been told of.
    """

    def __init__(self, fanout: Fanout, options: PartitionedOptions, handler: Handler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fanout = fanout
        self.options = options
        self.handle = handing_to(handler)
        self.share: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        """Its own name, else the worker's."""
        return self.options.member_id or worker_identity(self.fanout.subscription.plan.app).name

    @property
    def label(self) -> str:
        """Shown in Faust's service graph."""
        return f"Member: {self.options.member_id or 'this worker'} of {self.options.group}"

    async def on_start(self) -> None:
        """Join, and have the partitions shared anew."""
        await self._beat()

    @Service.task
    async def _stay_alive(self) -> None:
        while not self.should_stop:
            await self.sleep(self.options.rebalance_every)
            if not self.should_stop:
                await self._beat()

    async def _beat(self) -> None:
        coordinator, group = self.fanout.coordinator, self.options.group
        coordinator.heartbeat(group, self.name)
        coordinator.sweep()
        # To join again is nothing; for one that stood still and was swept it is the way back.
        coordinator.join(group, self.name, on_assigned=self._assigned, on_revoked=self._revoked)
        await coordinator.rebalance(group, self.fanout.partitions)

    async def _assigned(self, partitions: frozenset[int]) -> None:
        await tell(self.options.group, self.options.on_assigned, partitions)
        self.share |= partitions

    async def _revoked(self, partitions: frozenset[int]) -> None:
        self.share -= partitions
        try:
            async with asyncio.timeout(self.fanout.drain_timeout):
                for partition in sorted(partitions):
                    async with self.fanout.turns[partition]:  # a handler at work on it returns first
                        pass
        except TimeoutError:
            logger.warning("%s: a handler is still at work on a partition that others get", self.label)
        await tell(self.options.group, self.options.on_revoked, partitions)

    async def on_stop(self) -> None:
        """Leave, so that the others have the share at once."""
        coordinator, group = self.fanout.coordinator, self.options.group
        coordinator.leave(group, self.name)
        await coordinator.rebalance(group, self.fanout.partitions)
