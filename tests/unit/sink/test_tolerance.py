import pytest
from hypothesis import given
from hypothesis import strategies as st

from prom_faust.exceptions import DecodeError, KeyMismatchError, WriteRejectedError
from prom_faust.sink.tolerance import LEAST, SIZE, Window, advance, tolerates

UNLISTED = WriteRejectedError("?", code=4711)
DATA = [
    DecodeError("x"),
    KeyMismatchError("x"),
    WriteRejectedError("x", code=121),
    WriteRejectedError("x", code=11000),
]
SEEN = st.lists(st.tuples(st.integers(0, 1500), st.booleans()), max_size=400)
BURSTS = st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 900), st.booleans()), max_size=6)


def burst(start, count, bad):
    return [(n, bad) for n in range(start, start + count)]


@pytest.mark.parametrize("error", DATA)
def test_bad_data_is_tolerated_unless_nothing_is(error):
    assert [tolerates(tolerance, error) for tolerance in ("none", "data", "all")] == [False, True, True]


def test_an_error_that_nobody_has_listed_is_tolerated_by_all_only():
    assert [tolerates(tolerance, UNLISTED) for tolerance in ("none", "data", "all")] == [False, False, True]
    assert not tolerates("data", WriteRejectedError("no code"))


def last_distinct(seen):
    """The plain truth: the last outcome of each record, by when it was seen last, the newest ``SIZE``."""
    last = {}
    for n, bad in seen:
        last.pop(n, None)
        last[n] = bad
    return dict(list(last.items())[-SIZE:])


@given(BURSTS, SEEN)
def test_the_window_holds_the_last_records_each_once(bursts, seen):
    window, everything = Window(), []
    for outcomes in [*(burst(*each) for each in bursts), seen]:
        window, _ = advance(window, outcomes)
        everything += outcomes
    assert list(window.outcomes.items()) == list(last_distinct(everything).items())


@given(SEEN.filter(bool))
def test_records_that_come_again_change_nothing(seen):
    once, _ = advance(Window(), list(dict(seen).items()))
    again, _ = advance(once, list(dict(seen).items()))
    assert again == once


@given(BURSTS)
def test_the_highest_rate_is_that_of_the_worst_moment(bursts):
    seen = [each for outcomes in bursts for each in burst(*outcomes)][:1_200]
    window, worst = Window(), 0.0
    for each in seen:
        window, _ = advance(window, [each])
        worst = max(worst, window.rate)
    assert advance(Window(), seen) == (window, worst)


def test_fewer_records_than_the_least_are_no_rate():
    assert advance(Window(), burst(0, LEAST - 1, True))[1] == 0.0
    assert advance(Window(), burst(0, LEAST, True))[1] == 1.0


def test_good_records_behind_the_bad_ones_do_not_hide_them():
    window, highest = advance(Window(), burst(0, 600, True) + burst(600, 1_000, False))
    assert (window.rate, highest) == (0.0, 1.0)


def test_what_was_bad_long_ago_does_not_count():
    window, _ = advance(Window(), burst(0, 500, True))
    window, _ = advance(window, burst(500, SIZE, False))
    assert advance(window, burst(5_000, 1, True))[1] == 1 / SIZE


def test_a_bad_record_that_has_become_good_counts_as_good():
    window, _ = advance(Window(), burst(0, 200, True))
    assert advance(window, burst(0, 200, False))[0].rate == 0.0
