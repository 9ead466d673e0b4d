"""Batches in flight, as tasks: each is put together, seen through the agent, and taken in again.

Every partition belongs to one of the lane's slots, and a slot has one batch in flight at most, so that two batches
of a partition never are.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping

from prom_faust.exceptions import PromFaustError
from prom_faust.lane.agent import Delivery, DeliveryAgent
from prom_faust.lane.batch import Batch, Share
from prom_faust.lane.failure.policy import Policy
from prom_faust.lane.failure.tasks import Bury, Flight, FlightPlan
from prom_faust.lane.partition import Partition
from prom_faust.lane.parts import by_key, in_turn, put_together
from prom_faust.lane.record import TopicPartition

__all__ = ["Flights"]

LONGEST_WAIT = 60.0
"""Seconds until a slot looks again what it has to do, whatever its partitions say."""


class Flights:
    """The batches in flight of one lane.

    Args:
        agent: works on them.
        partitions: the owned partitions; the lane adds and removes them.
        slots: how many batches may be in flight.
        parts: into how many parts, by key, a batch is divided; the agent gets each of them as a batch.
        batch: the most records in one batch.
        max_bytes: the most bytes of records in one batch.
        retry_after: seconds until held and put-back records come again.
        done: told how far a partition may be committed.
        leased: see :class:`~prom_faust.lane.batch.Batch`.
        policy: what is done when the agent raises.
        bury: publishes dead letters, or None where the agent does so itself.
        label: for logs.
    """

    def __init__(
        self,
        agent: DeliveryAgent,
        partitions: Mapping[TopicPartition, Partition],
        *,
        slots: int,
        parts: int,
        batch: int,
        max_bytes: int,
        retry_after: float,
        done: Callable[[TopicPartition, int], None],
        leased: Callable[[], bool],
        policy: Policy,
        bury: Bury | None,
        label: str,
    ) -> None:
        self._agent = agent
        self._partitions = partitions
        self._batch = batch
        self._parts = parts
        self._max_bytes = max_bytes
        self._retry_after = retry_after
        self._done = done
        self._leased = leased
        self._plan = FlightPlan(
            policy, bury, trouble=self._trouble, landing=lambda: self._landing, label=label
        )
        self._slots = [_Slot() for _ in range(slots)]
        self._landing = False
        self._known: list[TopicPartition] = []
        self._order: list[TopicPartition] = []

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def in_flight(self) -> int:
        """How many batches the agent has."""
        return sum(part.at_work for slot in self._slots for part in slot.parts)

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
        waits = [at - now for at in times if at is not None and at > now]
        return min(*waits, LONGEST_WAIT) if waits else 1.0

    def _assemble(self, index: int) -> dict[TopicPartition, Share]:
        now = asyncio.get_running_loop().time()
        # Slots begin with different sizes, or they would all decode, and then all write, at the same time.
        records = max(1, self._batch * self._parts // (1 if self._slots[index].began else index + 1))
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
        """See one batch through the agent, in parts or whole, whatever that does with it, or until it is revoked."""
        if self._parts == 1:
            slot.parts = [_Part(shares)]
        else:
            slot.parts = [_Part(piece) for piece in by_key(shares, self._parts)]
        for part in slot.parts:
            part.task = asyncio.create_task(self._complete_part(part, held_since))
        tasks = [part.task for part in slot.parts if part.task is not None]
        await asyncio.wait(tasks)
        ours = [not task.cancelled() and task.result() for task in tasks]
        if all(ours):
            if self._parts > 1:
                put_together(shares, [part.whole for part in slot.parts])
            self._settle(shares)

    async def _complete_part(
        self, part: "_Part", held_since: Mapping[tuple[TopicPartition, int], float]
    ) -> bool:
        async def give(shares: Mapping[TopicPartition, Share]) -> Delivery:
            batch = Batch(
                shares,
                held_since=held_since,
                clock=asyncio.get_running_loop().time,
                leased=self._leased,
            )
            batch.landing = self._landing
            part.delivery = delivery = Delivery(batch)
            await self._agent.deliver(delivery)
            await asyncio.wait([delivery.done])
            return delivery

        flight = Flight(self._plan, give)
        if self._parts == 1:
            return await flight.complete(part.whole)
        return await flight.complete_parts(part.whole, in_turn(part.whole, self._batch), part=False)

    def _settle(self, shares: Mapping[TopicPartition, Share]) -> None:
        now = asyncio.get_running_loop().time()
        for name, share in shares.items():
            if not share.token.valid:
                continue
            offset = self._partitions[name].settle(share, now=now, retry_after=self._retry_after)
            self._done(name, offset)

    def _trouble(self, shares: Mapping[TopicPartition, Share], error: PromFaustError) -> None:
        for name, share in shares.items():
            if share.token.valid:
                self._partitions[name].error = error

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
        self.parts: list[_Part] = []

    @property
    def waiting(self) -> bool:
        """Whether its batch waits for a server, so that a revocation need not wait for the batch."""
        parts = [part for part in self.parts if not part.over]
        return bool(parts) and all(part.waiting for part in parts)

    @property
    def shares(self) -> Mapping[TopicPartition, Share]:
        """What is in flight."""
        at_work = [part.delivery for part in self.parts if part.delivery is not None and part.at_work]
        return {name: share for delivery in at_work for name, share in delivery.batch.shares.items()}

    def land(self) -> None:
        """Let the agent know that it should come to an end."""
        for part in self.parts:
            if part.delivery is not None:
                part.delivery.batch.landing = True

    async def wait(self, timeout: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.wakeup.wait()
        self.wakeup.clear()

    def cancel(self) -> None:
        """Stop the work; what only waits to be sent again is given up at once."""
        for part in self.parts:
            part.cancel()


class _Part:
    """What of a batch in flight is worked on by itself: all of it, or the records of some keys.

    Attributes:
        whole: its records.
        task: sees them through.
        delivery: what the agent was given of them last.
    """

    def __init__(self, whole: Mapping[TopicPartition, Share]) -> None:
        self.whole = whole
        self.task: asyncio.Task[bool] | None = None
        self.delivery: Delivery | None = None

    @property
    def at_work(self) -> bool:
        """Whether the agent has some of them."""
        return self.delivery is not None and not self.delivery.done.done()

    @property
    def over(self) -> bool:
        """Whether they were seen through."""
        return self.task is not None and self.task.done()

    @property
    def waiting(self) -> bool:
        """Whether the work on them waits for a server."""
        return self.delivery is not None and self.delivery.batch.waiting

    def cancel(self) -> None:
        """Stop the work, or the waiting between two tries of it."""
        if self.delivery is not None and self.at_work:
            self.delivery.cancel()
        elif self.task is not None:
            self.task.cancel()
