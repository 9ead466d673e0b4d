"""Every place at which a rebuild can be cut off, and what the next run does there."""

import pytest

from prom_faust.sink.rebuild.shadow.swap import Found, Phase, Plan, State, Step, lowest, outlived, plan

DAY = 86_400_000
READING = State(Phase.READING, "f", since=1_000)
SWAPPING = State(Phase.SWAPPING, "f", since=1_000, redo={0: 7})


def planned(state, found, **given):
    return plan(state, found, **{"fingerprint": "f", "now": 2_000, "retention": DAY, **given})


@pytest.mark.parametrize(
    ("state", "found", "step"),
    [
        (None, Found.ABSENT, Step.BEGIN),
        (None, Found.WHOLE, Step.REFUSE),
        (None, Found.DAMAGED, Step.REFUSE),
        (READING, Found.ABSENT, Step.BEGIN),
        (READING, Found.WHOLE, Step.RESUME),
        (READING, Found.DAMAGED, Step.BEGIN),
        (SWAPPING, Found.ABSENT, Step.FINISH),
        (SWAPPING, Found.WHOLE, Step.RESUME),
        (SWAPPING, Found.DAMAGED, Step.BEGIN),
    ],
)
def test_the_next_step_of_every_state(state, found, step):
    assert planned(state, found).step is step


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"restart": True}, "--restart was given"),
        ({"fingerprint": "g"}, "the projection's options have changed"),
        ({"lost": "it was recreated"}, "it was recreated"),
        ({"now": 1_000 + DAY}, "delete.retention.ms"),
    ],
)
@pytest.mark.parametrize("state", [READING, SWAPPING])
def test_a_shadow_that_cannot_be_gone_on_with_is_made_anew_and_it_is_said_why(state, given, reason):
    todo = planned(state, Found.WHOLE, **given)
    assert todo.step is Step.BEGIN
    assert reason in todo.reason


@pytest.mark.parametrize("given", [{"restart": True}, {"fingerprint": "g"}])
def test_a_swap_is_finished_whatever_else_is_asked_for(given):
    assert planned(SWAPPING, Found.ABSENT, **given) == Plan(Step.FINISH)


@pytest.mark.parametrize("given", [{"lost": "it was recreated"}, {"now": 1_000 + DAY}])
def test_a_swap_that_cannot_be_finished_any_more_is_made_good_by_another_one(given):
    assert planned(SWAPPING, Found.ABSENT, **given).step is Step.BEGIN


def test_a_shadow_is_outlived_when_tombstones_may_be_gone():
    assert outlived(1_000, now=1_000 + DAY - 1, retention=DAY) is None
    assert "86,400 s behind" in outlived(1_000, now=1_000 + DAY, retention=DAY)


def test_a_topic_that_is_not_compacted_outlives_nothing():
    assert outlived(0, now=100 * DAY, retention=None) is None


def test_an_unfinished_swap_still_counts_in_the_next_one():
    assert lowest({0: 5, 1: 9}, {0: 8, 1: 3, 2: 4}) == {0: 5, 1: 3, 2: 4}
