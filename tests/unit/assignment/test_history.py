import doctest

import pytest

from prom_faust.assignment import history as module
from prom_faust.assignment.history import Rebalance, RebalanceHistory
from tests.support.clock import Clock


@pytest.fixture
def clock():
    return Clock(1_000.0)


@pytest.fixture
def history(clock):
    return RebalanceHistory(clock)


def settle(history, partitions, *members, generation=1, protocol=""):
    """A rebalance without a pause."""
    history.revoked()
    history.assigned(
        [("t", number) for number in partitions], generation=generation, members=members, protocol=protocol
    )
    return history.rebalances[-1]


def test_before_the_first_assignment_there_is_nothing(history):
    assert history.rebalances == ()
    assert history.generation == -1
    assert (history.protocol, history.members, history.assigned_now) == ("", (), frozenset())
    assert not history.rebalancing


def test_the_first_assignment_is_a_start_and_has_no_duration(history, clock):
    history.revoked()
    clock.now += 3
    history.assigned([("t", 1), ("t", 0)], generation=7, members=["w2", "w1"], protocol="prom-rendezvous")
    assert history.rebalances == (
        Rebalance(1_000.0, None, 7, "started", ("t-0", "t-1"), (), ("w1", "w2"), ended=1_003.0),
    )
    assert (history.generation, history.protocol, history.members) == (7, "prom-rendezvous", ("w1", "w2"))
    assert history.assigned_now == {("t", 0), ("t", 1)}


def test_a_rebalance_lasts_from_the_revocation_to_the_assignment(history, clock):
    settle(history, [0, 1], "w1")
    clock.now = 2_000.0
    history.revoked()
    clock.now += 0.25
    assert history.rebalancing
    assert history.assigned_now == frozenset()
    history.assigned([("t", 1), ("t", 2)], generation=2, members=["w1", "w2"])
    assert not history.rebalancing
    assert history.rebalances[-1] == Rebalance(
        2_000.0, 0.25, 2, "w2 joined", ("t-2",), ("t-0",), ("w1", "w2"), ended=2_000.25
    )


def test_a_second_revocation_does_not_shorten_the_rebalance(history, clock):
    settle(history, [0], "w1")
    history.revoked()
    clock.now += 2
    history.revoked()
    clock.now += 1
    history.assigned([("t", 0)], generation=3, members=["w1"])
    assert history.rebalances[-1].seconds == 3.0


def test_an_assignment_without_a_revocation_has_no_duration(history, clock):
    settle(history, [0], "w1")
    clock.now += 5
    history.assigned([("t", 0)], generation=2, members=["w1"])
    assert history.rebalances[-1].seconds is None
    assert history.rebalances[-1].at == clock.now


def test_a_clock_that_was_set_back_gives_no_negative_duration(history, clock):
    settle(history, [0], "w1")
    history.revoked()
    clock.now -= 3_600
    history.assigned([("t", 0)], generation=2, members=["w1"])
    assert history.rebalances[-1].seconds == 0.0


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (["w1"], ["w1", "w2"], "w2 joined"),
        (["w1", "w2"], ["w1"], "w2 left"),
        (["w1", "w3"], ["w1", "w2"], "w2 joined, w3 left"),
        (["w1"], ["w3", "w1", "w2"], "w2 joined, w3 joined"),
        (["w1", "w2"], ["w2", "w1"], "rejoined"),
        ([], ["w1", "w2"], "rejoined"),
        (["w1", "w2"], [], "rejoined"),
    ],
)
def test_the_reason_is_the_difference_of_the_members(history, before, after, reason):
    settle(history, [0], *before)
    assert settle(history, [0], *after).reason == reason


def test_more_partitions_under_the_same_members_were_added(history):
    settle(history, [0, 1], "w1", "w2")
    assert settle(history, [0, 1, 4], "w1", "w2").reason == "partitions were added"


@pytest.mark.parametrize("members", [(), ("w1", "w2")])
def test_other_partitions_or_unknown_members_are_no_growth(history, members):
    settle(history, [0, 1], *members)
    after = [0, 2] if members else [0, 1, 2]
    assert settle(history, after, *members).reason == "rejoined"


def test_another_protocol_is_a_reason(history):
    settle(history, [0], "w1", protocol="faust")
    found = settle(history, [0], "w1", "w2", protocol="prom-rendezvous")
    assert found.reason == "w2 joined, faust became prom-rendezvous"
    assert history.protocol == "prom-rendezvous"


def test_only_the_last_ones_are_kept(clock):
    history = RebalanceHistory(clock, keep=3)
    for generation in range(10):
        settle(history, [0], "w1", generation=generation)
    assert [each.generation for each in history.rebalances] == [7, 8, 9]


def test_partitions_are_named_in_the_order_of_their_numbers(history):
    assert settle(history, [10, 9, 2], "w1").gained == ("t-2", "t-9", "t-10")


def test_two_histories_share_nothing(clock):
    one, other = RebalanceHistory(clock), RebalanceHistory(clock)
    settle(one, [0], "w1")
    assert other.rebalances == ()


def test_the_example_is_true():
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
