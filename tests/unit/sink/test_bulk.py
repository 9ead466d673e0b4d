"""How many documents one call has, by how long the last ones took."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prom_faust.sink.bulk import FEW, BulkSize

DEADLINE = 10.0


def test_a_chunk_that_was_given_up_is_followed_by_what_fits_a_quarter_of_the_deadline():
    size = BulkSize(500, deadline=DEADLINE)
    size.given_up(500, DEADLINE)
    assert size.value == 125
    size.answered(125, 2.0)
    assert size.value == 138
    size.answered(138, 4.0)
    assert size.value == 140
    size.answered(140, 7.0)
    assert size.value == 50


def test_a_server_that_refuses_at_once_says_nothing_of_its_speed():
    size = BulkSize(500, deadline=DEADLINE)
    size.given_up(500, 0.01)
    assert size.value == 500


@pytest.mark.parametrize("seconds", [0.0, DEADLINE / 5, DEADLINE / 2])
def test_a_server_that_is_far_away_gets_full_chunks_again_after_an_outage(seconds):
    size = BulkSize(500, deadline=DEADLINE)
    size.answered(1, seconds)
    assert size.value == 500
    for _ in range(10):
        size.given_up(size.value, DEADLINE)
    assert size.value == 1
    for _ in range(300):
        size.answered(size.value, seconds)
    assert size.value == 500


def test_only_no_answer_at_all_lets_a_call_become_very_small():
    size = BulkSize(500, deadline=DEADLINE)
    for _ in range(20):
        size.answered(size.value, DEADLINE * 0.9)
    assert size.value in (FEW, FEW + 1)
    size.given_up(FEW, DEADLINE)
    assert size.value == 2
    small = BulkSize(3, deadline=DEADLINE)
    small.answered(3, DEADLINE * 0.9)
    assert small.value == 3


@given(
    st.floats(1e-6, DEADLINE / 2 / FEW), st.integers(1, 1000), st.lists(st.floats(0.0, DEADLINE), max_size=20)
)
def test_whatever_happened_before_soon_no_call_is_given_up_if_a_few_documents_fit(cost, most, before):
    size = BulkSize(most, deadline=DEADLINE)
    for seconds in before:
        size.given_up(size.value, seconds)
    sizes = []
    for _ in range(120):
        count = size.value
        assert 1 <= count <= most
        if (seconds := count * cost) < DEADLINE:
            size.answered(count, seconds)
        else:
            size.given_up(count, DEADLINE)
        sizes.append(count)
    assert all(count * cost < DEADLINE for count in sizes[-20:])
    # Nor is it needlessly small.
    assert max(sizes[-20:]) >= min(most, math.floor(DEADLINE / 4 / cost))


class Call:
    """One that is worked on: of which worker, since when, for how many, and the seconds of work that are left."""

    def __init__(self, worker, began, count, cost):
        self.worker, self.began, self.count, self.left = worker, began, count, count * cost


@pytest.mark.parametrize(
    "cost", [0.0001, 0.0005, 0.001, 0.003], ids=lambda cost: f"{1 / cost:.0f} per second"
)
def test_a_server_that_many_workers_share_soon_misses_no_deadline_and_is_busy(cost):
    """It works on all calls at once, and also on to their end on those that nobody waits for any more."""
    sizes = [BulkSize(500, deadline=5.0) for _ in range(3)]
    calls = [Call(size, 0.0, size.value, cost) for size in sizes for _ in range(4)]
    abandoned = []
    done = 0
    last_missed = 0.0
    for tick in range(1, 12_000):
        now = tick * 0.01
        for call in (everything := [*calls, *abandoned]):
            call.left -= 0.01 / len(everything)
        abandoned = [call for call in abandoned if call.left > 0]
        for index, call in enumerate(calls):
            took = now - call.began
            if call.left <= 0:
                call.worker.answered(call.count, took)
                done += call.count
            elif took >= 5.0:
                call.worker.given_up(call.count, took)
                abandoned.append(call)
                last_missed = now
            else:
                continue
            calls[index] = Call(call.worker, now, call.worker.value, cost)
    assert last_missed < 20.0
    assert done * cost > 0.75 * 120.0
