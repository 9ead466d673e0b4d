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
from prom_faust.partitioned.tasks import AtWork
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

    Attributes:
        members: those that have begun, and not stopped.
        at_work: the members' handlers and hooks.
    """

    def __init__(self, plan: Plan, coordinator: PartitionCoordinator, partitions: int) -> None:
        self.coordinator = coordinator
        self.group = plan.options.group
        self.partitions = partitions
        self.members: list[FanoutMember] = []
        self.at_work = AtWork()
        self.drain_timeout = plan.settings.drain_timeout
        self.subscription = Subscription(plan, self._handle, decode=self._decoder(plan.reader))
        # Two Kafka partitions may hold records of one logical partition.
        self.turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sharing: set[asyncio.Future[None]] = set()

    def _decoder(self, reader: Reader) -> Any:
        return lambda record: reader.event(record, lambda key: partition_of(key, self.partitions))

    @property
    def ends(self) -> bool:
        """Whether the worker stops."""
        return bool(self.subscription.plan.app.should_stop)

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

    def share(self) -> None:
        """Have the partitions shared anew.

        It is no member's own task that does it: a member that goes would cut off another one's hook.
        """
        sharing = self.subscription.add_future(self.coordinator.rebalance(self.group, self.partitions))
        self._sharing.add(sharing)
        sharing.add_done_callback(self._sharing.discard)

    async def shared(self) -> bool:
        """Wait until everybody has been told; gives whether that is so, or a hook took too long and was cancelled."""
        if not self._sharing:
            return True
        # Of all of them: one that finds another under way returns at once, and that one goes round once more.
        # A handler may take the time to drain, and a hook as much after it.
        _, late = await asyncio.wait(self._sharing, timeout=2 * self.drain_timeout)
        for sharing in late:
            sharing.cancel()
        if late:
            await asyncio.wait(late, timeout=self.drain_timeout)
        return not late

    async def _handle(self, event: PartitionedEvent) -> bool:
        async with self.turns[event.partition]:
            owner = next((each for each in self.members if event.partition in each.share), None)
            return owner is not None and not owner.should_stop and await owner.handle(event)


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
        self.handle = handing_to(fanout.at_work.within(handler))
        self._on_assigned = options.on_assigned and fanout.at_work.within(options.on_assigned)
        self._on_revoked = options.on_revoked and fanout.at_work.within(options.on_revoked)
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
        self._beat()

    @Service.task
    async def _stay_alive(self) -> None:
        while not self.should_stop:
            await self.sleep(self.options.rebalance_every)
            if not (self.should_stop or self.fanout.ends):
                self._beat()

    def _beat(self) -> None:
        coordinator, group = self.fanout.coordinator, self.options.group
        coordinator.heartbeat(group, self.name)
        coordinator.sweep()
        # To join again is nothing; for one that stood still and was swept it is the way back.
        coordinator.join(group, self.name, on_assigned=self._assigned, on_revoked=self._revoked)
        # Nobody waits for it: whoever waits for another one's hook sends no heartbeats.
        self.fanout.share()

    async def _assigned(self, partitions: frozenset[int]) -> None:
        await tell(self.options.group, self._on_assigned, partitions)
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
        await tell(self.options.group, self._on_revoked, partitions)

    async def on_stop(self) -> None:
        """Leave, so that the others have the share at once."""
        fanout = self.fanout
        # With the worker all go: nobody has to be told of what another one gives up.
        for member in fanout.members if fanout.ends else [self]:
            fanout.coordinator.leave(self.options.group, member.name)
        fanout.share()
        if not await fanout.shared():
            logger.warning("%s: a hook took too long, and was cancelled; it is called again", self.label)
            fanout.share()
