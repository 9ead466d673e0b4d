"""Faust's consumer as a member of its group: what it offers, what it does when it is refused.

An adapter over private members of Faust 0.15 and aiokafka 0.14: the consumer that Faust's driver makes, and the
errors that aiokafka's coordinator keeps for a caller that Faust does not have. A worker that was refused would
otherwise stay up and do nothing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterable, Mapping
from functools import partial
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from prom_faust.assignment.faust import RendezvousAssignor
from prom_faust.clients import Clients, ended, heed_offset_errors, join_once, patient
from prom_faust.exceptions import GroupError, PromFaustError
from prom_faust.membership.lease.kafka import HeldQueue, Lease
from prom_faust.membership.refusal import duplicate, refusal
from prom_faust.membership.service import end_worker
from prom_faust.membership.tasks import make_room
from prom_faust.tables.faust import keep_standbys

__all__ = ["GroupConsumer", "GroupConsumerThread", "install_membership"]

logger = logging.getLogger(__name__)

FETCH_WAIT_MS = 100
"""The longest wait of a fetch without records. Faust's 1,500 holds up every request behind it on its connection:
after a rebalance those for the offsets, several times."""
IDLE_SECONDS = 0.05
"""How long the fetcher waits before it looks again at which partitions are resumed."""
STOP_SECONDS = 3.0
"""How long the last commit and the goodbye to the group may take. A broker that is there answers in milliseconds; one
that is gone lets the member time out, as it would after a kill."""
WATCH_SECONDS = 0.5
PATIENCE_SECONDS = 10.0
"""How long an error may stand that trying again may mend."""


def install_membership(app: faust.App) -> None:
    """Let the app's consumer, when it is made, be ours; for apps that have our assignor and nothing else of us."""
    build = app._new_transport  # noqa: SLF001 - the only place where the consumer's class is chosen

    def new_transport() -> Any:
        transport = build()
        if isinstance(transport, driver.Transport) and not issubclass(transport.Consumer, GroupConsumer):
            cast(Any, transport).Consumer = GroupConsumer  # on the instance: another app keeps its own
        return transport

    app._new_transport = new_transport  # type: ignore[method-assign] # noqa: SLF001 - see above


def _on_after_configured(app: Any, **_: Any) -> None:
    """``App(PartitionAssignor="prom_faust:RendezvousAssignor")`` counts in every app, also without tables."""
    if issubclass(app.conf.PartitionAssignor, RendezvousAssignor):
        install_membership(app)


cast(Any, faust.App.on_after_configured).connect(_on_after_configured)


class GroupListener(driver.ConsumerRebalanceListener):
    """Faust's listener; it keeps the history, and ends a worker that has to make room for another."""

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Awaitable[None]:
        """A rebalance begins."""
        thread = cast(GroupConsumerThread, self._thread)
        if (assignor := thread.rendezvous) is not None:
            assignor.history.revoked()
        # Faust's part must begin at once, and not in the coroutine.
        return self._revoked(thread, super().on_partitions_revoked(revoked))

    @staticmethod
    async def _revoked(thread: "GroupConsumerThread", faults: Awaitable[None]) -> None:
        await faults
        await thread.make_room()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """A rebalance ends."""
        thread = cast(GroupConsumerThread, self._thread)
        thread.lease.renew(time.monotonic())
        if (assignor := thread.rendezvous) is not None:
            assignor.settled(thread.coordinator.generation)
            if assignor.refused is not None:
                thread.end(duplicate(thread.group, assignor.refused))
                return  # it would ask the worker's loop, which ends
        await super().on_partitions_assigned(assigned)


class GroupConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread: it offers the assignors, and sees what the group's coordinator says."""

    _watching: asyncio.Task[None] | None = None
    _was_member = False

    @property
    def group(self) -> str:
        """The consumer group."""
        return str(self.app.conf.id)

    @property
    def lease(self) -> Lease:
        """For how long the partitions are ours."""
        return cast(GroupConsumer, self.consumer).lease

    @property
    def rendezvous(self) -> RendezvousAssignor | None:
        """Our assignor, if the app has it."""
        assignor = self.app.assignor
        return assignor if isinstance(assignor, RendezvousAssignor) else None

    @property
    def coordinator(self) -> Any:
        """The group's coordinator."""
        return self._ensure_consumer()._coordinator  # noqa: SLF001 - aiokafka shows it nowhere else

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - Faust has no setting for it
        if (assignor := self.rendezvous) is not None:
            # Without tables and standbys Faust would pass its setting over.
            consumer._partition_assignment_strategy = assignor.offers(self._assignor)  # noqa: SLF001
            self._assignor = assignor
        return patient(consumer)

    async def on_start(self) -> None:
        """Begin to watch, in the thread, as soon as there is something to watch."""
        await super().on_start()
        if not self.app.client_only:
            join_once(self._ensure_consumer())
            heed_offset_errors(self._ensure_consumer())
            self.lease.listen(self.coordinator)
            self._watching = asyncio.create_task(self._watch())

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go to the committed offsets; where there are none, to where a new group starts.

        aiokafka leaves a partition without a committed offset where it is. That may be behind records that Faust has
        read in the middle of the rebalance, and thrown away.
        """
        found: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return found

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        committed: dict[TP, int] = await consumer.seek_to_committed()
        changelogs = self.app.tables.changelog_topics
        new = [tp for tp, offset in committed.items() if not offset and tp.topic not in changelogs]
        if new and self.app.conf.consumer_auto_offset_reset == "earliest":
            await consumer.seek_to_beginning(*new)
        return committed

    async def on_thread_stop(self) -> None:
        """The thread ends."""
        if self._watching is not None:
            self._watching.cancel()
        # Without Kafka aiokafka would wait, or raise; Faust waits for the thread, a minute long.
        if not await ended(super().on_thread_stop(), f"the consumer of group {self.group}", STOP_SECONDS):
            await self._ensure_consumer()._client.close()  # noqa: SLF001 - the rest of the consumer is closed

    async def _watch(self) -> None:
        standing = 0.0
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            coordinator = self.coordinator
            self._was_member = self._was_member or coordinator.generation > 0
            error, over = _trouble(coordinator)
            standing = 0.0 if error is None else standing + WATCH_SECONDS
            if error is None:
                continue
            if (fatal := refusal(self.group, error)) is not None or over:
                self.end(
                    fatal or GroupError(f"this worker is no member of group {self.group} any more: {error!r}")
                )
                return
            if standing >= PATIENCE_SECONDS:
                logger.warning(
                    "group %s: %r; the worker tries again to join",
                    *(self.group, error),
                    extra={"group": self.group},
                )
                self._try_again(coordinator)
                standing = 0.0

    def _try_again(self, coordinator: Any) -> None:
        try:
            coordinator.check_errors()  # takes the error away, so that the coordinator goes on
        except KafkaError as error:
            logger.debug("taken: %r", error)

    async def make_room(self) -> None:
        """End the worker if another has joined as its static member."""
        if self._was_member and (assignor := self.rendezvous) is not None:
            clients = Clients(cast(faust.App, self.app))
            if error := await make_room(clients, self.group, assignor.identity, self.coordinator):
                self.end(error)

    def end(self, error: PromFaustError) -> None:
        """End the worker; from this thread."""
        self.app.loop.call_soon_threadsafe(end_worker, cast(Service, self.app), error)


def _trouble(coordinator: Any) -> tuple[BaseException | None, bool]:
    """The error that stands between a member and its group, and whether the coordinator has ended over it."""
    task = coordinator._coordination_task  # noqa: SLF001 - Faust never asks for either of them
    if task.done() and not task.cancelled() and task.exception() is not None:
        return task.exception(), True
    return coordinator._pending_exception, False  # noqa: SLF001


class GroupConsumer(driver.Consumer):
    """Faust's consumer with our thread. It gives the streams nothing that may be another worker's by now."""

    RebalanceListener = GroupListener

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app = cast(Any, self.app)
        self.lease = Lease(app.conf.broker_session_timeout)
        # The queues of the streams, which are made later.
        app.FlowControlQueue = partial(HeldQueue, flow_control=app.flow_control, lease=self.lease)
        keep_standbys(app, self.lease)

    async def _wait_next_records(self, timeout: float) -> Any:
        # After a rebalance Faust lets records flow before it resumes the partitions, and then sleeps for a second,
        # or waits as long for a record of a standby, before it looks at them again.
        while not self.should_stop and not (self.flow_active and self._fetchable()):
            if self.flow_active:
                await self.sleep(IDLE_SECONDS)
            else:
                await self.wait(cast(Any, self.can_resume_flow))
        generation = self.app.consumer_generation_id
        found = await super()._wait_next_records(min(timeout, IDLE_SECONDS))
        if self.lease.over:
            await self.lease.wait(lambda: self.flow_active and not self.should_stop)
            if self.app.consumer_generation_id != generation:
                return None, None  # they come again, from where the group stands
        return found

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        # Faust gives the set that it changes when it pauses partitions. If it is empty by the time at which records
        # come, aiokafka takes that for all of them: what it has of a standby is then taken from it, and thrown away.
        wanted = None if active_partitions is None else set(active_partitions)
        return await super()._getmany(wanted, timeout)

    def _fetchable(self) -> bool:
        return self.app.client_only or bool(self._get_active_partitions())

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return GroupConsumerThread(self, loop=self.loop, beacon=self.beacon)
