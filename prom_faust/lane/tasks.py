"""Batches in flight, as tasks: each is put together, seen through the agent, and taken in again.

Every partition belongs to one of the lane's slots, and a slot has one batch in flight at most, so that two batches
of a partition never are.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping

from prom_faust.backoff import Backoff
from prom_faust.lane.agent import Delivery, DeliveryAgent
from prom_faust.lane.batch import Batch, Share
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import TopicPartition

__all__ = ["Flights"]

logger = logging.getLogger(__name__)


class Flights:
    """The batches in flight of one lane.

    Args:
        agent: works on them.
        partitions: the owned partitions; the lane adds and removes them.
        slots: how many batches may be in flight.
        batch: the most records in one batch.
        max_bytes: the most bytes of records in one batch.
        retry_after: seconds until held and put-back records come again.
        done: told how far a partition may be committed.
        leased: see :class:`~prom_faust.lane.batch.Batch`.
        label: for logs.
    """

    def __init__(
        self,
        agent: DeliveryAgent,
        partitions: Mapping[TopicPartition, Partition],
        *,
        slots: int,
        batch: int,
        max_bytes: int,
        retry_after: float,
        done: Callable[[TopicPartition, int], None],
        leased: Callable[[], bool],
        label: str,
    ) -> None:
        self._agent = agent
        self._partitions = partitions
        self._batch = batch
        self._max_bytes = max_bytes
        self._retry_after = retry_after
        self._done = done
        self._leased = leased
        self._label = label
        self._slots = [_Slot() for _ in range(slots)]
        self._landing = False
        self._known: list[TopicPartition] = []
        self._order: list[TopicPartition] = []

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def in_flight(self) -> int:
        """How many batches the agent has."""
        return sum(slot.delivery is not None and not slot.delivery.done.done() for slot in self._slots)

    async def work(self, index: int, stopping: Callable[[], bool]) -> None:
        """Fill one slot again and again, until ``stopping`` says so."""
        slot = self._slots[index]
        while not stopping():
            shares = {} if self._landing else self._assemble(index)
            if shares:
                slot.began = True
                slot.task = asyncio.create_task(self._complete(slot, shares, self._held_since(shares)))
                await asyncio.wait([slot.task])
                if not slot.task.cancelled():
                    slot.task.result()
            else:
                await slot.wait(self._next_ready(index))

    def of_slot(self, index: int) -> list[Partition]:
        """The partitions of one slot, the one that waited longest first."""
        known = list(self._partitions)
        if known != self._known:
            self._known, self._order = known, sorted(known)
        mine = [self._partitions[name] for name in self._order[index :: len(self._slots)]]
        return sorted(mine, key=lambda partition: partition.served_at)

    def _next_ready(self, index: int) -> float:
        now = asyncio.get_running_loop().time()
        times = [partition.ready_at(now) for partition in self.of_slot(index)]
        return min([at - now for at in times if at is not None and at > now], default=1.0)

    def _assemble(self, index: int) -> dict[TopicPartition, Share]:
        now = asyncio.get_running_loop().time()
        # Slots begin with different sizes, or they would all decode, and then all write, at the same time.
        records = max(1, self._batch // (1 if self._slots[index].began else index + 1))
        size = self._max_bytes
        shares: dict[TopicPartition, Share] = {}
        for partition in self.of_slot(index):
            if records <= 0 or size <= 0:
                break
            if (ready := partition.ready_at(now)) is None or ready > now:
                continue
            taken = partition.take(records, size)
            if taken:
                partition.served_at = now
                shares[partition.token.partition] = Share(partition.token, taken)
                records -= len(taken)
                size -= partition.in_flight_bytes
        return shares

    def _held_since(self, names: Iterable[TopicPartition]) -> dict[tuple[TopicPartition, int], float]:
        return {
            (name, offset): since
            for name in names
            for offset, since in self._partitions[name].held_since.items()
        }

    async def _complete(
        self,
        slot: "_Slot",
        shares: dict[TopicPartition, Share],
        held_since: Mapping[tuple[TopicPartition, int], float],
    ) -> None:
        """See one batch through the agent, however often the agent crashes over it, or until it is revoked."""
        backoff = Backoff()
        while all(share.token.valid for share in shares.values()):
            for share in shares.values():
                share.clear()
            batch = Batch(
                shares,
                held_since=held_since,
                clock=asyncio.get_running_loop().time,
                leased=self._leased,
            )
            batch.landing = self._landing
            slot.delivery = Delivery(batch)
            await self._agent.deliver(slot.delivery)
            await asyncio.wait([slot.delivery.done])
            if slot.delivery.done.cancelled():
                return
            error = slot.delivery.done.exception()
            if error is None:
                self._settle(batch)
                return
            if not all(share.token.valid for share in shares.values()):
                return
            delay = backoff.next()
            logger.warning(
                "%s: %s; the batch is sent again in %.1f s",
                *(self._label, error, delay),
                extra={"topic": next(iter(shares)).topic, "partitions": [name.partition for name in shares]},
            )
            batch.waiting = True
            await asyncio.sleep(delay)

    def _settle(self, batch: Batch) -> None:
        now = asyncio.get_running_loop().time()
        for name, share in batch.shares.items():
            if not share.token.valid:
                continue
            offset = self._partitions[name].settle(share, now=now, retry_after=self._retry_after)
            self._done(name, offset)

    def wake(self) -> None:
        """There is something to do."""
        for slot in self._slots:
            slot.wakeup.set()

    def progress(self) -> None:
        """Let what batches in flight have done so far be committed, where their agent says it."""
        for slot in self._slots:
            for name, share in slot.shares.items():
                if share.done_to is not None and share.token.valid:
                    self._done(name, share.done_to)

    async def land(self, *, finish: float, cancel: float) -> None:
        """Finish the batches in flight, or cancel them; no other starts meanwhile. Invalidates all ownership.

        Args:
            finish: seconds that batches may take to finish; those that wait for a server get none.
            cancel: seconds that cancelled ones may take to end.
        """
        self._landing = True
        try:
            for slot in self._slots:
                slot.land()
            await self._wait([slot for slot in self._slots if not slot.waiting], finish)
            self.progress()
            for partition in self._partitions.values():
                partition.token.valid = False
            for slot in self._slots:
                slot.cancel()
            await self._wait(self._slots, cancel)
        finally:
            self._landing = False

    @staticmethod
    async def _wait(slots: Iterable["_Slot"], timeout: float) -> None:
        tasks = [slot.task for slot in slots if slot.task is not None and not slot.task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)


class _Slot:
    """Room for one batch in flight."""

    def __init__(self) -> None:
        self.wakeup = asyncio.Event()
        self.began = False
        self.task: asyncio.Task[None] | None = None
        self.delivery: Delivery | None = None

    @property
    def waiting(self) -> bool:
        """Whether its batch waits for a server, so that a revocation need not wait for the batch."""
        return self.delivery is not None and self.delivery.batch.waiting

    @property
    def shares(self) -> Mapping[TopicPartition, Share]:
        """What is in flight."""
        return {} if self.delivery is None or self.delivery.done.done() else self.delivery.batch.shares

    def land(self) -> None:
        """Let the agent know that it should come to an end."""
        if self.delivery is not None:
            self.delivery.batch.landing = True

    async def wait(self, timeout: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.wakeup.wait()
        self.wakeup.clear()

    def cancel(self) -> None:
        """Stop the work; a batch that only waits to be sent again is given up at once."""
        if self.delivery is not None and not self.delivery.done.done():
            self.delivery.cancel()
        elif self.task is not None:
            self.task.cancel()
