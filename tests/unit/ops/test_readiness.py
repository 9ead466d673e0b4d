import pytest

from prom_faust.ops.readiness import Progress, not_ready
from prom_faust.ops.status import GroupStatus, SinkPartition, SinkStatus
from tests.support.clock import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(clock, within=60.0)


def group(**more):
    return GroupStatus("g", "streams", "shop", "w1", **{"generation": 1, **more})


def sink(**more):
    return SinkStatus("c", "projection", "bills", "g", **more)


def test_a_member_of_its_groups_with_recovered_tables_is_ready():
    assert not_ready([group()], [sink()], {"c": {}}) == ()


def test_every_reason_is_told_once():
    reasons = not_ready(
        [group(rebalancing=True, recovering=True), group(generation=-1), group(generation=-1)],
        [sink(stopped="the topic was recreated")],
        {},
    )
    assert reasons == (
        "group g is rebalancing",
        "tables are being recovered",
        "group g has not let this worker in yet",
        "c: the topic was recreated",
    )


def test_a_partition_that_does_not_get_on_is_a_reason_with_what_it_waits_for():
    (reason,) = not_ready([], [sink(waiting="MongoDB is away")], {"c": {3: 61.0, 1: 75.2}})
    assert reason == "c: nothing was done on partitions 1, 3 of bills for 75 s: MongoDB is away"


def test_a_partition_whose_handler_keeps_failing_is_told_with_its_error():
    parts = (
        SinkPartition(0, 9, 9, 0, problem="of another one"),
        SinkPartition(1, 5, 9, 4, problem="no  such\nkey"),
    )
    (reason,) = not_ready([], [sink(partitions=parts)], {"c": {1: 138.0}})
    assert reason == "c: nothing was done on partition 1 of bills for 138 s: no such key"


def test_an_error_is_cut_after_two_hundred_characters():
    parts = tuple(SinkPartition(number, 5, 9, 4, problem="x" * 500) for number in range(3))
    (reason,) = not_ready(
        [], [sink(partitions=parts, waiting="MongoDB is away")], {"c": {0: 70.0, 1: 70.0, 2: 70.0}}
    )
    assert reason.endswith(f" for 70 s: MongoDB is away; {'x' * 197}...")


def test_a_sink_that_waits_is_still_ready_for_a_while():
    assert not_ready([], [sink(waiting="MongoDB is away")], {"c": {}}) == ()


def test_a_partition_without_lag_never_gets_stuck(progress, clock):
    progress.stuck({0: (10, 0)})
    clock.now = 1000.0
    assert progress.stuck({0: (10, 0)}) == {}


def test_it_counts_from_when_it_fell_behind(progress, clock):
    progress.stuck({0: (10, 0)})
    clock.now = 1000.0
    progress.stuck({0: (10, 0)})
    clock.now = 1059.0
    assert progress.stuck({0: (10, 5)}) == {}
    clock.now = 1061.0
    assert progress.stuck({0: (10, 5)}) == {0: 61.0}


def test_a_partition_that_comes_back_begins_anew(progress, clock):
    progress.stuck({0: (10, 5)})
    clock.now = 50.0
    progress.stuck({})
    clock.now = 100.0
    assert progress.stuck({0: (10, 5)}) == {}


def test_a_lane_that_does_not_read_what_it_was_assigned_is_not_ready():
    assert not_ready([], [sink(unstarted=8)], {}) == ("c: 8 partitions of bills are not read yet",)
