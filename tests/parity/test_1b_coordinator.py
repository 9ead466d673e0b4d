"""Section 1b: the coordinator: join, heartbeat, leave, sweep with a ttl of 15 s, assign -> owners."""

from hashlib import shake_128
from math import ceil
from struct import unpack

import pytest

from prom_faust.assignment.coordinator import Assignment, PartitionCoordinator
from tests.support.clock import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def coordinator(clock):
    return PartitionCoordinator(clock=clock)


def test_assign_gives_the_group_the_partitions_and_an_owner_for_each(coordinator):
    coordinator.join("analyzers", "a", {"host": "h1"})
    coordinator.join("analyzers", "b")
    found = coordinator.assign("analyzers", 8)
    assert isinstance(found, Assignment)
    assert (found.group, found.partitions) == ("analyzers", 8)
    assert sorted(found.owners) == list(range(8))
    assert set(found.owners.values()) == {"a", "b"}


def test_without_members_the_owners_are_empty(coordinator):
    assert coordinator.assign("analyzers", 8).owners == {}


def test_the_ttl_is_15_seconds_and_a_heartbeat_renews_it(coordinator, clock):
    assert coordinator.ttl == 15.0
    coordinator.join("analyzers", "a")
    coordinator.join("analyzers", "b")
    clock.now = 10.0
    coordinator.heartbeat("analyzers", "a")
    clock.now = 15.1
    coordinator.sweep()
    assert set(coordinator.assign("analyzers", 8).owners.values()) == {"a"}


def test_an_unknown_member_is_a_no_op(coordinator):
    coordinator.heartbeat("analyzers", "nobody")
    coordinator.leave("analyzers", "nobody")
    assert coordinator.assign("analyzers", 8).owners == {}


def test_the_owner_is_the_member_with_the_highest_hash_where_it_has_room():
    # With room for all every partition has its highest random weight.
    coordinator = PartitionCoordinator(clock=lambda: 0.0, load_factor=8.0)
    names = ["a", "b", "c"]
    for name in names:
        coordinator.join("analyzers", name)

    def hashes(name):
        return unpack("<8Q", shake_128(f"{len(name)}:{name}".encode()).digest(64))

    expected = [max(names, key=lambda name: hashes(name)[partition]) for partition in range(8)]
    assert coordinator.assign("analyzers", 8).owners == dict(enumerate(expected))


def test_owners_are_the_same_in_every_order_of_joining_and_after_a_return(clock):
    found = []
    for names in ("abc", "cab", "bca"):
        coordinator = PartitionCoordinator(clock=clock)
        for name in names:
            coordinator.join("analyzers", name)
        found.append(coordinator.assign("analyzers", 64).owners)
        coordinator.leave("analyzers", "b")
        coordinator.join("analyzers", "b")
        found.append(coordinator.assign("analyzers", 64).owners)
    assert all(each == found[0] for each in found)


def test_a_member_that_leaves_moves_its_own_share_only(coordinator):
    names = [f"host-{number}" for number in range(8)]
    for name in names:
        coordinator.join("analyzers", name)
    before = coordinator.assign("analyzers", 64)
    assert max(len(before.share(name)) for name in names) <= ceil(64 / 8 * 1.25)
    coordinator.leave("analyzers", names[3])
    after = coordinator.assign("analyzers", 64)
    moved = {p for p in range(64) if before.owners[p] != after.owners[p]}
    assert moved >= before.share(names[3])
    assert len(moved) <= 2 * len(before.share(names[3]))


async def test_hooks_are_revoked_then_assigned_sync_or_async_and_a_failing_one_is_not_fatal(coordinator):
    events = []

    async def assigned(partitions):
        events.append(("a assigned", len(partitions)))

    def revoked(partitions):
        events.append(("a revoked", len(partitions)))
        raise RuntimeError("a hook of a user")

    coordinator.join("analyzers", "a", on_assigned=assigned, on_revoked=revoked)
    await coordinator.rebalance("analyzers", 8)
    coordinator.join("analyzers", "b", on_assigned=lambda got: events.append(("b assigned", len(got))))
    found = await coordinator.rebalance("analyzers", 8)
    moved = len(found.share("b"))
    assert events == [("a assigned", 8), ("a revoked", moved), ("b assigned", moved)]
