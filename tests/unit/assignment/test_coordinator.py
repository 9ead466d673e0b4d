import asyncio
import doctest
import json
import logging

import pytest

from prom_faust.assignment import coordinator as module
from prom_faust.assignment.coordinator import Assignment, PartitionCoordinator
from prom_faust.assignment.rendezvous import Member, place
from prom_faust.exceptions import ConfigurationError
from tests.support.clock import Clock

HUGE = pytest.param(10**400, id="more than a float holds")


class Told:
    """Hooks that write down what they are told, of any number of members."""

    def __init__(self):
        self.events = []
        self.owned = {}

    def of(self, name):
        return {
            "on_assigned": lambda partitions: self.assigned(name, partitions),
            "on_revoked": lambda partitions: self.revoked(name, partitions),
        }

    def assigned(self, name, partitions):
        self.events.append((name, "+", sorted(partitions)))
        taken = set(partitions) & set().union(*self.owned.values())
        assert not taken, f"{taken} have two owners"
        self.owned[name] = self.owned.get(name, set()) | partitions

    def revoked(self, name, partitions):
        self.events.append((name, "-", sorted(partitions)))
        self.owned[name] -= partitions


@pytest.fixture
def clock():
    return Clock(50.0)


@pytest.fixture
def coordinator(clock):
    return PartitionCoordinator(clock=clock)


@pytest.fixture
def told():
    return Told()


class SlowOnce:
    """A hook that does not return when it is called for the first time."""

    def __init__(self):
        self.calls = []

    async def __call__(self, partitions):
        self.calls.append(sorted(partitions))
        if len(self.calls) == 1:
            await asyncio.sleep(3600)


async def cut(coordinator, partitions):
    """A rebalance whose caller is cancelled while a hook is at work."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await coordinator.rebalance("g", partitions)


def members(coordinator, group="g"):
    return [member["id"] for member in coordinator.snapshot()["groups"][group]["members"]]


def test_a_group_without_members_has_no_owners(coordinator):
    assert coordinator.assign("g", 8) == Assignment("g", 8, {})


def test_the_owners_are_those_of_the_rendezvous(coordinator):
    for name in ("c", "a", "b"):
        coordinator.join("g", name)
    expected = place([Member("a"), Member("b"), Member("c")], 64, load_factor=1.25).owners
    assert coordinator.assign("g", 64).owners == dict(enumerate(expected))


def test_the_load_factor_is_passed_on(clock):
    strict = PartitionCoordinator(clock=clock, load_factor=1.0)
    for name in "abc":
        strict.join("g", name)
    assert sorted(len(strict.assign("g", 66).share(name)) for name in "abc") == [22, 22, 22]


def test_the_shares_are_the_owners_read_backwards(coordinator):
    coordinator.join("g", "a")
    coordinator.join("g", "b")
    found = coordinator.assign("g", 8)
    assert found.share("a") | found.share("b") == set(range(8))
    assert {found.owners[partition] for partition in found.share("a")} == {"a"}
    assert found.share("nobody") == frozenset()


def test_a_weight_is_a_share(coordinator):
    coordinator.join("g", "a", {"weight": 3})
    coordinator.join("g", "b")
    assert 650 < len(coordinator.assign("g", 1_000).share("a")) < 850


@pytest.mark.parametrize("weight", [0, -1, "2", None, True, float("nan"), float("inf"), HUGE])
def test_a_weight_that_is_none_is_refused_and_nobody_has_joined(coordinator, weight):
    with pytest.raises(ConfigurationError, match="weight of member a"):
        coordinator.join("g", "a", {"weight": weight})
    assert coordinator.snapshot()["groups"] == {}


def test_a_member_is_swept_once_its_heartbeat_is_older_than_the_ttl(coordinator, clock):
    coordinator.join("g", "a")
    clock.now += 15.0
    assert coordinator.sweep() == {}
    clock.now += 0.001
    assert coordinator.sweep() == {"g": ("a",)}
    assert coordinator.assign("g", 4).owners == {}
    assert coordinator.sweep() == {}


@pytest.mark.parametrize("renew", ["heartbeat", "join"])
def test_a_heartbeat_or_another_join_keeps_a_member(coordinator, clock, renew):
    coordinator.join("g", "a")
    clock.now += 14
    getattr(coordinator, renew)("g", "a")
    clock.now += 14
    assert coordinator.sweep() == {}


def test_all_groups_are_swept(coordinator, clock):
    coordinator.join("one", "b")
    coordinator.join("one", "a")
    coordinator.join("other", "a")
    clock.now += 20
    coordinator.join("other", "b")
    assert coordinator.sweep() == {"one": ("a", "b"), "other": ("a",)}
    assert list(coordinator.snapshot()["groups"]) == ["other"]


@pytest.mark.parametrize("call", ["heartbeat", "leave"])
def test_who_is_unknown_changes_nothing(coordinator, call):
    coordinator.join("g", "a")
    before = coordinator.snapshot()
    getattr(coordinator, call)("g", "b")
    getattr(coordinator, call)("no such group", "a")
    assert coordinator.snapshot() == before


def test_a_heartbeat_brings_nobody_back(coordinator, clock):
    coordinator.join("g", "a")
    clock.now += 16
    coordinator.sweep()
    coordinator.heartbeat("g", "a")
    assert coordinator.assign("g", 1).owners == {}


def test_who_leaves_owns_nothing(coordinator):
    coordinator.join("g", "a")
    coordinator.join("g", "b")
    coordinator.leave("g", "a")
    assert set(coordinator.assign("g", 8).owners.values()) == {"b"}


def test_groups_do_not_meet(coordinator):
    coordinator.join("one", "a")
    coordinator.join("other", "b")
    assert coordinator.assign("one", 2).owners == {0: "a", 1: "a"}
    assert coordinator.assign("other", 2).owners == {0: "b", 1: "b"}


def test_another_join_takes_over_the_meta(coordinator):
    coordinator.join("g", "a", {"zone": 1, "weight": 2})
    coordinator.join("g", "a")
    assert coordinator.snapshot()["groups"]["g"]["members"][0]["meta"] == {"zone": 1, "weight": 2}
    coordinator.join("g", "a", {"zone": 2})
    found = coordinator.snapshot()["groups"]["g"]["members"][0]
    assert (found["meta"], found["weight"]) == ({"zone": 2}, 1.0)


async def test_assigning_tells_nobody(coordinator, told):
    coordinator.join("g", "a", **told.of("a"))
    coordinator.assign("g", 4)
    assert told.events == []


async def test_a_member_is_told_what_changed_and_nothing_else(coordinator, told):
    coordinator.join("g", "a", **told.of("a"))
    found = await coordinator.rebalance("g", 8)
    assert found == coordinator.assign("g", 8)
    assert told.events == [("a", "+", list(range(8)))]
    await coordinator.rebalance("g", 8)
    assert len(told.events) == 1
    await coordinator.rebalance("g", 9)
    assert told.events[1:] == [("a", "+", [8])]


async def test_everybody_gives_up_before_anybody_gets(coordinator, told):
    for name in "abcd":
        coordinator.join("g", name, **told.of(name))
    await coordinator.rebalance("g", 64)
    told.events.clear()
    coordinator.leave("g", "b")
    coordinator.join("g", "e", **told.of("e"))
    await coordinator.rebalance("g", 64)
    signs = [sign for _, sign, _ in told.events]
    assert signs == sorted(signs, reverse=True)
    assert "-" in signs
    assert "+" in signs
    assert {name: shares for name, shares in told.owned.items() if shares} == {
        name: coordinator.assign("g", 64).share(name) for name in "acde"
    }


@pytest.mark.parametrize("gone", ["leave", "sweep"])
async def test_who_is_gone_is_told_what_it_lost_and_by_that_nothing_is_kept_of_the_group(
    coordinator, clock, told, gone
):
    coordinator.join("g", "a", **told.of("a"))
    await coordinator.rebalance("g", 4)
    if gone == "leave":
        coordinator.leave("g", "a")
    else:
        clock.now += 16
        coordinator.sweep()
    await coordinator.rebalance("g", 4)
    assert told.events[1:] == [("a", "-", [0, 1, 2, 3])]
    assert coordinator.snapshot()["groups"] == {}


async def test_a_group_disappears_with_its_last_member_where_nobody_has_to_be_told(coordinator, told):
    coordinator.join("g", "a", on_assigned=told.of("a")["on_assigned"])
    coordinator.join("g", "b")
    await coordinator.rebalance("g", 4)
    coordinator.leave("g", "a")
    coordinator.leave("g", "b")
    assert coordinator.snapshot()["groups"] == {}


@pytest.mark.parametrize("stays", [True, False])
async def test_who_is_gone_is_told_however_late_before_anybody_has_its_share(coordinator, clock, told, stays):
    coordinator.join("g", "a", **told.of("a"))
    await coordinator.rebalance("g", 4)
    if stays:
        coordinator.join("g", "b", **told.of("b"))
    coordinator.leave("g", "a")
    for _ in range(3):
        clock.now += 14
        coordinator.heartbeat("g", "b")
        coordinator.sweep()
    coordinator.join("g", "b", **told.of("b"))
    await coordinator.rebalance("g", 4)
    assert told.events[1:] == [("a", "-", [0, 1, 2, 3]), ("b", "+", [0, 1, 2, 3])]


async def test_of_those_that_nobody_told_no_more_are_kept_than_there_are_partitions(coordinator, told):
    coordinator.join("g", "stays")
    for number in range(100):
        coordinator.join("g", f"m{number}", **told.of(f"m{number}"))
        await coordinator.rebalance("g", 4)
        coordinator.leave("g", f"m{number}")
    assert len(coordinator._groups["g"].departed) <= 4
    await coordinator.rebalance("g", 4)
    assert coordinator._groups["g"].departed == []


def test_names_that_come_and_go_leave_nothing_behind(coordinator, clock):
    for number in range(1_000):
        coordinator.join(f"g{number}", f"m{number}")
        coordinator.assign(f"g{number}", 3)
        if number % 2:
            coordinator.leave(f"g{number}", f"m{number}")
    clock.now += 16
    assert len(coordinator.sweep()) == 500
    assert coordinator.snapshot()["groups"] == {}


async def test_hooks_may_be_async(coordinator):
    seen = []

    async def on_assigned(partitions):
        await asyncio.sleep(0)
        seen.append(partitions)

    coordinator.join("g", "a", on_assigned=on_assigned)
    await coordinator.rebalance("g", 2)
    assert seen == [{0, 1}]


async def test_a_hook_that_fails_is_reported_and_the_others_are_told(clock, told, caplog):
    failures = []
    coordinator = PartitionCoordinator(clock=clock, on_error=lambda *args: failures.append(args))

    def bad(partitions):
        raise RuntimeError("no")

    async def bad_too(partitions):
        raise RuntimeError("no")

    coordinator.join("g", "a", on_assigned=bad, on_revoked=bad_too)
    coordinator.join("g", "b", **told.of("b"))
    with caplog.at_level(logging.ERROR):
        await coordinator.rebalance("g", 8)
        coordinator.leave("g", "a")
        await coordinator.rebalance("g", 8)
    assert [(group, name, str(error)) for group, name, error in failures] == [("g", "a", "no")] * 2
    assert "a hook of member a failed" in caplog.text
    assert told.owned["b"] == set(range(8))


async def test_a_partition_has_one_owner_while_a_slow_hook_gives_it_up(coordinator, told):
    release = asyncio.Event()

    async def slow(partitions):
        await release.wait()
        told.revoked("a", partitions)

    coordinator.join("g", "a", on_assigned=told.of("a")["on_assigned"], on_revoked=slow)
    await coordinator.rebalance("g", 8)
    coordinator.join("g", "b", **told.of("b"))
    running = asyncio.create_task(coordinator.rebalance("g", 8))
    await asyncio.sleep(0)
    coordinator.join("g", "c", **told.of("c"))
    await coordinator.rebalance("g", 8)  # returns; the one under way goes round once more
    assert told.owned == {"a": set(range(8))}
    release.set()
    found = await running
    assert {owner: set(found.share(owner)) for owner in "abc"} == told.owned
    assert not coordinator.snapshot()["groups"]["g"]["rebalancing"]


async def test_who_leaves_while_others_give_up_gets_nothing(coordinator, told):
    def leaving(partitions):
        told.revoked("a", partitions)
        coordinator.leave("g", "b")

    coordinator.join("g", "a", on_assigned=told.of("a")["on_assigned"], on_revoked=leaving)
    await coordinator.rebalance("g", 8)
    coordinator.join("g", "b", **told.of("b"))
    await coordinator.rebalance("g", 8)
    assert "b" not in told.owned
    await coordinator.rebalance("g", 8)
    assert told.owned == {"a": set(range(8))}


async def test_other_hooks_under_a_name_are_another_member(coordinator, told):
    coordinator.join("g", "a", **told.of("first"))
    await coordinator.rebalance("g", 2)
    coordinator.join("g", "a", **told.of("second"))
    await coordinator.rebalance("g", 2)
    assert told.events[1:] == [("first", "-", [0, 1]), ("second", "+", [0, 1])]


async def test_the_same_hooks_or_none_are_the_same_member(coordinator, told):
    hooks = told.of("a")
    coordinator.join("g", "a", **hooks)
    await coordinator.rebalance("g", 2)
    coordinator.join("g", "a", **hooks)
    coordinator.join("g", "a")
    await coordinator.rebalance("g", 2)
    assert len(told.events) == 1


async def test_a_cancelled_rebalance_is_taken_up_by_the_next(coordinator, told):
    calls = []

    async def stuck_once(partitions):
        calls.append(partitions)
        if len(calls) == 1:
            await asyncio.sleep(3600)

    coordinator.join("g", "a", on_revoked=stuck_once)
    await coordinator.rebalance("g", 8)
    coordinator.leave("g", "a")
    coordinator.join("g", "b", **told.of("b"))
    running = asyncio.create_task(coordinator.rebalance("g", 8))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert told.events == []
    await coordinator.rebalance("g", 8)
    assert calls == [set(range(8))] * 2
    assert told.owned == {"b": set(range(8))}


async def test_a_member_whose_hook_was_cut_hears_again_what_it_gained(coordinator):
    slow = SlowOnce()
    coordinator.join("g", "a", on_assigned=slow)
    await cut(coordinator, 4)
    await coordinator.rebalance("g", 4)
    await coordinator.rebalance("g", 4)
    assert slow.calls == [[0, 1, 2, 3]] * 2


async def test_who_leaves_after_its_hook_was_cut_gives_up_what_that_had_named(coordinator, told):
    lost = []
    coordinator.join("g", "a", on_assigned=SlowOnce(), on_revoked=lost.append)
    await cut(coordinator, 4)
    coordinator.leave("g", "a")
    coordinator.join("g", "b", **told.of("b"))
    await coordinator.rebalance("g", 4)
    assert lost == [set(range(4))]
    assert told.owned == {"b": set(range(4))}


async def test_who_keeps_a_share_whose_revocation_was_cut_is_told_that_it_has_it(coordinator):
    gained, slow = [], SlowOnce()
    coordinator.join("g", "a", on_assigned=gained.append, on_revoked=slow)
    await coordinator.rebalance("g", 8)
    coordinator.join("g", "b")
    moving = coordinator.assign("g", 8).share("b")
    await cut(coordinator, 8)
    coordinator.leave("g", "b")
    await coordinator.rebalance("g", 8)
    assert slow.calls == [sorted(moving)]
    assert gained == [set(range(8)), moving]


@pytest.mark.parametrize("which", ["on_assigned", "on_revoked"])
async def test_a_hook_that_raises_a_cancellation_of_its_own_has_failed(clock, told, caplog, which):
    failures = []
    coordinator = PartitionCoordinator(clock=clock, on_error=lambda *args: failures.append(args))

    async def cancelled(partitions):
        task = asyncio.create_task(asyncio.sleep(3600))
        task.cancel()
        await task

    coordinator.join("g", "a", **{which: cancelled})
    coordinator.join("g", "b", **told.of("b"))
    await coordinator.rebalance("g", 8)
    coordinator.leave("g", "a")
    await coordinator.rebalance("g", 8)
    ((group, name, error),) = failures
    assert (group, name, type(error.__cause__)) == ("g", "a", asyncio.CancelledError)
    assert isinstance(error, Exception)
    assert "a hook of member a failed" in caplog.text
    assert told.owned == {"b": set(range(8))}


@pytest.mark.parametrize("ttl", [0, -1.0, float("nan"), float("inf"), HUGE, "15", None, True])
def test_a_ttl_that_is_none_is_refused(clock, ttl):
    with pytest.raises(ConfigurationError, match=r"ttl= is .*: it must be a number of seconds above 0"):
        PartitionCoordinator(ttl, clock=clock)


@pytest.mark.parametrize("factor", [0.99, 0, -2, float("nan"), float("inf"), HUGE, "1.25", None, True])
def test_a_load_factor_that_is_none_is_refused(clock, factor):
    with pytest.raises(ConfigurationError, match=r"load_factor= is .*: it must be a number from 1"):
        PartitionCoordinator(clock=clock, load_factor=factor)


async def test_the_snapshot_is_json_and_tells_ages_and_owners(coordinator, clock):
    coordinator.join("g", "a", {"zone": "x", "weight": 2})
    clock.now += 2.5
    coordinator.join("g", "b")
    owners = coordinator.assign("g", 4).owners
    assert json.loads(json.dumps(coordinator.snapshot())) == {
        "ttl": 15.0,
        "load_factor": 1.25,
        "groups": {
            "g": {
                "partitions": 4,
                "rebalancing": False,
                "members": [
                    {"id": "a", "age": 2.5, "weight": 2.0, "meta": {"zone": "x", "weight": 2}},
                    {"id": "b", "age": 0.0, "weight": 1.0, "meta": {}},
                ],
                "owners": {str(partition): owner for partition, owner in owners.items()},
            }
        },
    }


def test_two_coordinators_share_nothing(clock):
    one, other = PartitionCoordinator(clock=clock), PartitionCoordinator(clock=clock)
    one.join("g", "a")
    assert other.assign("g", 1).owners == {}


def test_the_example_is_true():
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
