from dataclasses import replace

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from prom_faust.assignment.history import RebalanceHistory
from prom_faust.ops.groups import GroupState, PartitionProgress
from prom_faust.ops.metrics import Figures, Tally, WorkerMetrics
from prom_faust.ops.status import GroupStatus, SinkPartition, SinkStatus, WorkerStatus

GROUP = GroupStatus("g", "streams", "shop", "w1", generation=3, active={"t": (0, 1)}, standby={"t": (2,)})
SINK = SinkStatus(
    "c",
    "projection",
    "t",
    "g2",
    (SinkPartition(0, 5, 9, 4),),
    waiting="MongoDB",
    counts={"dead": 2, "held": 1},
)
STATE = GroupState(
    "g",
    partitions=(
        PartitionProgress("t", 0, committed=1, end=3),
        PartitionProgress("t", 1, committed=1, end=4),
        PartitionProgress("t", 2, committed=1, end=100),
    ),
)


def samples(figures):
    metrics = WorkerMetrics()
    metrics.figures = figures
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_lag_is_that_of_the_workers_own_partitions():
    found = samples(Figures(WorkerStatus("shop", "w1", groups=(GROUP,)), {"g": STATE}))
    assert found["prom_faust_group_lag_records", "g", "t"] == 5


def test_a_worker_tells_how_many_partitions_it_owns_and_copies():
    found = samples(Figures(WorkerStatus("shop", "w1", groups=(GROUP,))))
    assert found["prom_faust_owned_partitions", "active", "g", "t"] == 2
    assert found["prom_faust_owned_partitions", "g", "standby", "t"] == 1


def test_two_members_of_one_group_in_one_worker_are_one_figure():
    other = GroupStatus("g", "batches", "b", "w1-b", generation=4, active={"t": (3,)})
    found = samples(Figures(WorkerStatus("shop", "w1", groups=(GROUP, other)), {"g": STATE}))
    assert found["prom_faust_owned_partitions", "active", "g", "t"] == 3
    assert found["prom_faust_generation", "g"] == 4


def test_sinks_tell_offset_lag_and_counts():
    found = samples(Figures(WorkerStatus("shop", "w1", sinks=(SINK,)), letters={"t.dlq": 7, "u.dlq": None}))
    assert found["prom_faust_sink_applied_offset", "0", "c", "t"] == 5
    assert found["prom_faust_sink_lag_records", "c", "t"] == 4
    assert found["prom_faust_sink_waiting", "c", "t"] == 1
    assert found["prom_faust_sink_dead_letters_total", "c", "t"] == 2
    assert found["prom_faust_sink_held_records", "c", "t"] == 1
    assert found["prom_faust_dead_letters", "t.dlq"] == 7
    assert ("prom_faust_dead_letters", "u.dlq") not in found


def test_partitions_that_may_hold_deleted_keys_are_one():
    partitions = (SinkPartition(0, 9, 9, 0), SinkPartition(1, 9, 9, 0, may_hold_deleted=True))
    sinks = (
        SinkStatus("c", "projection", "t", "g", partitions),
        SinkStatus("b", "batches", "t", "h", partitions),
    )
    found = samples(Figures(WorkerStatus("shop", "w1", sinks=sinks)))
    assert found["prom_faust_sink_may_hold_deleted", "0", "c", "t"] == 0
    assert found["prom_faust_sink_may_hold_deleted", "1", "c", "t"] == 1
    assert ("prom_faust_sink_may_hold_deleted", "1", "b", "t") not in found  # it has no documents


COUNTERS = {
    "records": "prom_faust_sink_records_total",
    "writes": "prom_faust_sink_writes_total",
    "coalesced": "prom_faust_sink_coalesced_records_total",
    "stale": "prom_faust_sink_stale_writes_total",
    "dead": "prom_faust_sink_dead_letters_total",
    "retries": "prom_faust_sink_retries_total",
}


@pytest.mark.parametrize("kind", COUNTERS)
def test_everything_that_a_sink_counts_is_a_counter(kind):
    sink = replace(SINK, counts={kind: 7})
    found = samples(Figures(WorkerStatus("shop", "w1", sinks=(sink,))))
    assert {name: found[name, "c", "t"] for name in COUNTERS.values()} == {
        name: 7 if name == COUNTERS[kind] else 0 for name in COUNTERS.values()
    }


@pytest.mark.parametrize(
    ("oldest", "seconds"),
    [((None, None), 0), ((7_000, None), 3), ((9_500, 8_000), 2), ((11_000,), 0), ((-1,), 0)],
)
def test_the_lag_in_seconds_is_the_age_of_the_oldest_record_in_hand(oldest, seconds):
    parts = tuple(SinkPartition(n, 0, 9, 9, oldest=at) for n, at in enumerate(oldest))
    status = WorkerStatus("shop", "w1", at=10_000, sinks=(replace(SINK, partitions=parts),))
    assert samples(Figures(status))["prom_faust_sink_lag_seconds", "c", "t"] == seconds


def test_an_outage_and_stuck_partitions_are_told():
    parts = (SinkPartition(0, 5, 9, 4, problem="bad"), SinkPartition(1, 5, 9, 4))
    sink = replace(SINK, partitions=parts, outage=True, outage_seconds=12.5)
    found = samples(Figures(WorkerStatus("shop", "w1", sinks=(sink,))))
    assert found["prom_faust_sink_outage", "c", "t"] == 1
    assert found["prom_faust_sink_outage_seconds_total", "c", "t"] == 12.5
    assert found["prom_faust_sink_stuck_partitions", "c", "t"] == 1


def test_the_lag_of_a_sink_goes_up_to_the_end_that_kafka_knows():
    state = GroupState("g2", partitions=(PartitionProgress("t", 0, committed=5, end=19),))
    found = samples(Figures(WorkerStatus("shop", "w1", sinks=(SINK,)), {"g2": state}))
    assert found["prom_faust_sink_lag_records", "c", "t"] == 14


def test_ready_is_one_or_zero():
    assert samples(Figures(WorkerStatus("shop", "w1")))["prom_faust_ready",] == 1
    assert samples(Figures(WorkerStatus("shop", "w1", not_ready=("x",))))["prom_faust_ready",] == 0


def test_two_apps_have_nothing_in_common():
    one, other = WorkerMetrics(), WorkerMetrics()
    one.figures = Figures(WorkerStatus("shop", "w1"))
    assert generate_latest(other.registry) == b""


def test_rebalances_are_counted_beyond_what_a_history_remembers():
    history, tally = RebalanceHistory(lambda: 1.0, keep=3), Tally()
    for generation in range(10):
        history.revoked()
        history.assigned([], generation=generation)
        tally.update(history)
        tally.update(history)
    assert tally.count == 10
