"""How many documents one call has, by how long the last ones took."""

import math

from hypothesis import given
from hypothesis import strategies as st

from prom_faust.sink.bulk import BulkSize

DEADLINE = 10.0


def test_a_chunk_that_was_given_up_is_followed_by_what_fits_a_quarter_of_the_deadline():
    size = BulkSize(500, deadline=DEADLINE)
    size.given_up(500, DEADLINE)
    assert size.value == 125
    size.answered(125, 2.0)
    assert size.value == 250
    size.answered(250, 4.0)
    assert size.value == 156


def test_a_server_that_refuses_at_once_says_nothing_of_its_speed():
    size = BulkSize(500, deadline=DEADLINE)
    size.given_up(500, 0.01)
    assert size.value == 500


def test_a_call_that_is_far_away_and_fast_makes_nothing_smaller():
    size = BulkSize(500, deadline=DEADLINE)
    size.answered(1, 2.0)
    assert size.value == 500


@given(st.floats(1e-6, DEADLINE), st.integers(1, 1000), st.lists(st.floats(0.0, DEADLINE), max_size=20))
def test_whatever_happened_before_soon_no_call_is_given_up_if_one_document_fits(cost, most, before):
    size = BulkSize(most, deadline=DEADLINE)
    for seconds in before:
        size.given_up(size.value, seconds)
    sizes = []
    for _ in range(40):
        count = size.value
        assert 1 <= count <= most
        if (seconds := count * cost) < DEADLINE:
            size.answered(count, seconds)
        else:
            size.given_up(count, DEADLINE)
        sizes.append(count)
    assert all(count * cost < DEADLINE or count == 1 for count in sizes[-20:])
    # Nor is it needlessly small: half of what fits a quarter of the deadline, or all.
    assert max(sizes[-20:]) >= min(most, math.floor(DEADLINE / 4 / cost))
