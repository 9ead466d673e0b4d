from dataclasses import replace
from itertools import product

import pytest

from prom_faust.exceptions import GroupExpiredError, PartitionCountError, TopicRecreatedError
from prom_faust.lane.history import LogState, Position, check_history, has_grown, start_offset
from prom_faust.lane.record import TopicPartition

NAME = TopicPartition("states", 3)
STORED = Position(applied=50, end=60, last_offset=49, last_timestamp=1_000, partitions=8)
LOG = LogState(begin=10, end=60, committed=50, partitions=8, last_timestamp=1_000)


def check(log=LOG, stored=STORED, *, grows=False):
    return check_history(NAME, log, stored, group="g", rebuild="Run sink rebuild.", grows=grows)


@pytest.mark.parametrize(
    ("log", "stored"),
    [
        pytest.param(LOG, STORED, id="nothing-changed"),
        pytest.param(replace(LOG, end=1_000), STORED, id="the-log-grew"),
        pytest.param(replace(LOG, begin=59, last_timestamp=None), STORED, id="the-log-was-cleaned"),
        pytest.param(replace(LOG, begin=60, end=60, last_timestamp=None), STORED, id="the-log-is-empty"),
        pytest.param(replace(LOG, committed=40), STORED, id="committed-lags-behind-applied"),
        pytest.param(replace(LOG, committed=60), STORED, id="committed-at-the-end"),
        pytest.param(LOG, replace(STORED, applied=60), id="applied-at-the-end"),
        pytest.param(LOG, replace(STORED, last_timestamp=None), id="nothing-applied-yet"),
        pytest.param(LOG, None, id="nothing-stored"),
        pytest.param(LogState(0, 0, None, 8), None, id="a-first-start"),
    ],
)
def test_a_log_that_only_went_on_is_fine(log, stored):
    assert check(log, stored) is None


@pytest.mark.parametrize(
    ("log", "stored", "message"),
    [
        (replace(LOG, end=49), None, "committed offset 50 lies beyond the log's end 49"),
        (replace(LOG, end=49), STORED, "committed offset 50 lies beyond"),
        (
            replace(LOG, end=49, committed=40),
            STORED,
            "applied offset 50 lies beyond the log's end 49",
        ),
        (replace(LOG, end=49, committed=None), STORED, "applied offset 50 lies beyond"),
        (replace(LOG, end=59), STORED, "the log ends at 59 and once ended at 60"),
        (
            replace(LOG, last_timestamp=999),
            STORED,
            "record at offset 49 has timestamp 999, the one applied had 1000",
        ),
        (replace(LOG, last_timestamp=999, committed=None), STORED, "timestamp 999"),
    ],
)
def test_another_log_under_the_same_name_is_a_recreated_topic(log, stored, message):
    error = check(log, stored)
    assert type(error) is TopicRecreatedError
    assert message in str(error)
    assert "states[3]" in str(error)
    assert str(error).endswith("Run sink rebuild.")


def test_a_stored_position_without_a_committed_offset_is_an_expired_group():
    error = check(replace(LOG, committed=None))
    assert type(error) is GroupExpiredError
    assert "group g" in str(error)
    assert "offset 50" in str(error)


@pytest.mark.parametrize("partitions", [7, 9])
def test_a_changed_partition_count_is_told_first(partitions):
    error = check(replace(LOG, partitions=partitions, end=0, committed=None))
    assert type(error) is PartitionCountError
    assert f"had 8 partitions and has {partitions} now" in str(error)


def test_more_partitions_are_fine_where_keys_only_move_up():
    log = replace(LOG, partitions=9)
    assert check(log, grows=True) is None
    assert has_grown(log, STORED)
    assert not has_grown(LOG, STORED)
    assert not has_grown(log, None)


def test_fewer_partitions_are_never_fine():
    assert type(check(replace(LOG, partitions=7), grows=True)) is PartitionCountError


def test_a_topic_that_was_recreated_with_more_partitions_is_seen_where_keys_only_move_up():
    log = replace(LOG, partitions=9, end=10, committed=None)
    assert type(check(log, grows=True)) is TopicRecreatedError


def test_reading_starts_at_the_committed_offset_but_never_before_the_log():
    cases = 0
    for begin, length, committed, reset in product(
        range(4), range(4), (None, *range(8)), ("earliest", "latest")
    ):
        end = begin + length
        found = start_offset(LogState(begin, end, committed, 1), reset)
        if committed is None:
            assert found == (begin if reset == "earliest" else end)
        else:
            assert found == max(begin, committed)
        cases += 1
    assert cases == 288
