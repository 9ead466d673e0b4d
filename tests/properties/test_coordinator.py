"""Whatever members, hooks and callers of a coordinator do: a partition has one holder, and all are told at last."""

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prom_faust.assignment.coordinator import PartitionCoordinator
from tests.support.clock import Clock

PARTITIONS = 12
NAMES = st.sampled_from("abcde")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), NAMES, st.integers(0, 3), st.sampled_from(["", "fails", "cancels"])),
        st.tuples(st.just("again"), NAMES, st.sampled_from([0.5, 1, 3])),
        st.tuples(st.just("leave"), NAMES),
        st.tuples(st.just("pass"), st.floats(0, 4)),
        st.tuples(st.just("heartbeat"), NAMES),
        st.tuples(st.just("sweep")),
        st.tuples(st.just("rebalance")),
        st.tuples(st.just("cut"), st.integers(1, 6)),
        st.tuples(st.just("run"), st.integers(1, 5)),
    ),
    max_size=60,
)


class Side:
    """One member's side: hooks that take some steps of the loop, and may fail after them."""

    def __init__(self, holders, steps, end):
        self.holders, self.steps, self.end = holders, steps, end
        self.knows = set()

    async def on_assigned(self, partitions):
        for partition in partitions:
            assert self.holders[partition] <= {self}, f"{partition} has two holders"
            self.holders[partition].add(self)
        await self.work()
        self.knows |= partitions
        self.fail()

    async def on_revoked(self, partitions):
        for partition in partitions:
            assert self in self.holders[partition], f"{partition} was not held"
        self.knows -= partitions
        await self.work()
        for partition in partitions:
            self.holders[partition].discard(self)
        self.fail()

    async def work(self):
        for _ in range(self.steps):
            await asyncio.sleep(0)

    def fail(self):
        if self.end == "fails":
            raise ValueError("a hook of a user")
        if self.end == "cancels":
            raise asyncio.CancelledError


class World:
    """A coordinator, and what its members hold."""

    def __init__(self):
        self.clock = Clock()
        self.errors = []
        self.coordinator = PartitionCoordinator(
            5, clock=self.clock, on_error=lambda _group, _name, error: self.errors.append(error)
        )
        self.holders = {partition: set() for partition in range(PARTITIONS)}
        self.sides = {}
        self.running = []

    def join(self, name, steps, end):
        side = self.sides[name] = Side(self.holders, steps, end)
        self.coordinator.join("g", name, on_assigned=side.on_assigned, on_revoked=side.on_revoked)

    def again(self, name, weight):
        if name in self.sides:
            side = self.sides[name]
            hooks = {"on_assigned": side.on_assigned, "on_revoked": side.on_revoked}
            self.coordinator.join("g", name, {"weight": weight}, **hooks)

    def rebalance(self):
        self.running.append(asyncio.create_task(self.coordinator.rebalance("g", PARTITIONS)))

    async def cut(self, steps):
        self.rebalance()
        await self.run(steps)
        for task in self.running:
            task.cancel()

    async def run(self, steps):
        for _ in range(steps):
            await asyncio.sleep(0)

    async def do(self, kind, *arguments):
        match kind:
            case "pass":
                self.clock.now += arguments[0]
            case "run" | "cut":
                await getattr(self, kind)(*arguments)
            case "sweep":
                self.coordinator.sweep()
            case "leave" | "heartbeat":
                getattr(self.coordinator, kind)("g", *arguments)
            case _:
                getattr(self, kind)(*arguments)

    async def live(self, steps):
        for step in steps:
            await self.do(*step)
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.coordinator.rebalance("g", PARTITIONS)


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_a_partition_has_one_holder_and_in_the_end_everybody_knows_its_share(steps):
    world = World()
    asyncio.run(world.live(steps))
    assert [error for error in world.errors if isinstance(error, AssertionError)] == []
    owners = world.coordinator.assign("g", PARTITIONS).owners
    for partition, holders in world.holders.items():
        owner = world.sides[owners[partition]] if partition in owners else None
        assert holders == ({owner} if owner else set())
        assert owner is None or partition in owner.knows
    assert all(group.departed == [] for group in world.coordinator._groups.values())
