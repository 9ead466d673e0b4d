import pytest
from hypothesis import given
from hypothesis import strategies as st

from prom_faust.lane.freshness import Freshness, Synced, delete_window
from prom_faust.lane.history import LogState, Position, freshness_of

HOUR = 3_600_000
SYNCED = Freshness(Synced(at=10 * HOUR, end=70))


def missed(at, end=90, *, begin=0, reading=70, window=24 * HOUR, fresh=SYNCED):
    return fresh.missed(Synced(at, end), begin=begin, reading=reading, window=window)


def test_an_outage_shorter_than_the_window_misses_nothing():
    assert missed(34 * HOUR) is None


def test_an_outage_longer_than_the_window_may_have_missed_deletes():
    assert "86401 s ago" in missed(34 * HOUR + 1000)


def test_a_log_to_which_nothing_was_added_has_lost_nothing():
    assert missed(1000 * HOUR, end=70) is None


def test_a_log_that_begins_behind_what_is_read_next_has_lost_records():
    assert missed(10 * HOUR, begin=71) == "the log begins at offset 71, and what is read next is 70"
    assert missed(10 * HOUR, begin=70) is None
    # It ended in the marker of a transaction, which nothing applies.
    assert missed(10 * HOUR, end=70, begin=70, reading=69) is None


def test_a_clock_that_goes_back_misses_nothing():
    assert missed(0) is None


def test_what_a_look_sees_counts_when_it_is_reached():
    first = SYNCED.look(Synced(20, 90), reached=75)
    assert (first.synced.end, first.seen) == (70, Synced(20, 90))
    second = first.look(Synced(30, 100), reached=89)
    assert second == first
    third = second.look(Synced(40, 110), reached=95)
    assert third == Freshness(Synced(20, 90), Synced(40, 110))
    assert third.look(Synced(50, 110), reached=110) == Freshness(Synced(50, 110))


def log(end, *, at=1000):
    return LogState(begin=0, end=end, committed=50, partitions=1, at=at)


def test_a_partition_that_is_applied_to_the_end_is_fresh_whatever_was_stored():
    assert freshness_of(log(50), Position(50, 50, synced=Synced(1, 2))) == Freshness(Synced(1000, 50))


def test_a_partition_that_is_behind_is_as_fresh_as_was_stored():
    assert freshness_of(log(60), Position(50, 50, synced=Synced(1, 2))) == Freshness(Synced(1, 2))


def test_a_position_of_an_older_version_counts_from_now():
    assert freshness_of(log(60), Position(50, 50)) == Freshness(Synced(1000, 50))


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({}, None),
        ({"cleanup.policy": "delete"}, None),
        ({"cleanup.policy": "compact"}, 86_400_000 - 60_000),
        ({"cleanup.policy": "compact,delete", "delete.retention.ms": "100000"}, 90_000),
        ({"cleanup.policy": "compact", "delete.retention.ms": "0"}, 4_000),
    ],
)
def test_the_window_is_a_little_less_than_the_retention_of_a_compacted_topic(config, window):
    assert delete_window(config) == window


@given(
    # Time goes on; then a record is appended, one is applied, or the log is looked at.
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["append", "apply", "look"])), max_size=80),
    st.integers(5, 60),
)
def test_what_no_look_complains_of_was_applied_within_the_window(steps, window):
    now, appended, applied = 0, [], []
    fresh = Freshness(Synced(0, 0))
    for pause, step in steps:
        now += pause
        if step == "append":
            appended.append(now)
        elif step == "apply" and len(applied) < len(appended):
            applied.append(now)
        elif step == "look":
            end = Synced(now, len(appended))
            if fresh.missed(end, begin=0, reading=len(applied), window=window):
                return
            fresh = fresh.look(end, reached=len(applied))
            ages = [late - early for early, late in zip(appended, applied, strict=False)]
            assert max(ages[: fresh.synced.end], default=0) <= window
