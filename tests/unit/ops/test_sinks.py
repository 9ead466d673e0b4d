from prom_faust.ops.board import Seen
from prom_faust.ops.groups import GroupState, PartitionProgress
from prom_faust.ops.sinks import dead_letters_json, sinks_json
from prom_faust.ops.status import SinkPartition, SinkStatus, WorkerStatus


def says(worker, *partitions, silent=False, **sink):
    status = SinkStatus("c", "projection", "bills", "g", partitions, **sink)
    return Seen(WorkerStatus("shop", worker, sinks=(status,)), 10.0, silent)


def one(workers, groups=None, letters=None):
    (sink,) = sinks_json(workers, groups or {}, letters or {})
    return sink


DONE, BEHIND = SinkPartition(0, 9, 9, 0), SinkPartition(1, 5, 9, 4)


def test_a_sink_is_put_together_from_its_workers():
    sink = one(
        [says("w1", DONE, counts={"writes": 2}), says("w2", BEHIND, in_flight=1, counts={"writes": 3})]
    )
    assert [(each["partition"], each["worker"]) for each in sink["partitions"]] == [(0, "w1"), (1, "w2")]
    assert (sink["lag"], sink["in_flight"], sink["counts"]) == (4, 1, {"writes": 5})


def test_states_of_a_sink():
    assert one([says("w1", DONE)])["state"] == "up to date"
    assert one([says("w1", BEHIND)])["state"] == "behind"
    assert one([says("w1", BEHIND, waiting="MongoDB")])["state"] == "waiting"
    assert one([says("w1", SinkPartition(0, 5, 9, 4, problem="no letter"))])["state"] == "stuck"
    assert one([says("w1", DONE, stopped="the topic was recreated")])["state"] == "stopped"


def test_who_waits_and_for_what():
    assert one([says("w1", BEHIND, waiting="MongoDB")])["waiting"] == [{"worker": "w1", "for": "MongoDB"}]


def test_a_partition_that_nobody_owns_is_as_far_as_its_group_has_committed():
    state = GroupState("g", "Stable", partitions=(PartitionProgress("bills", 1, committed=3, end=9),))
    sink = one([says("w1", DONE)], {"g": state})
    assert (sink["state"], sink["lag"]) == ("unowned", 6)
    assert sink["partitions"][1]["applied"] == 3


def test_a_sink_may_hold_deleted_keys_as_long_as_one_of_its_partitions_may():
    lost = SinkPartition(1, 9, 9, 0, may_hold_deleted=True)
    state = GroupState("g", "Stable", partitions=(PartitionProgress("bills", 2, committed=3, end=9),))
    sink = one([says("w1", DONE), says("w2", lost)], {"g": state})
    assert [each["may_hold_deleted"] for each in sink["partitions"]] == [False, True, None]
    assert sink["may_hold_deleted"] is True
    assert one([says("w1", DONE, BEHIND)])["may_hold_deleted"] is False


def test_one_partition_that_does_not_go_on_does_not_stop_the_others():
    sink = one([says("w1", DONE, SinkPartition(1, 5, 9, 4, problem="the handler raised"))])
    assert (sink["state"], sink["stopped"]) == ("stuck", [])


STUCK = SinkPartition(1, 5, 8, 3, held=1, problem="the handler raised")
"""It is not read any more, so that its worker does not know what came since."""


def measured(end):
    return {"g": GroupState("g", "Stable", partitions=(PartitionProgress("bills", 1, committed=5, end=end),))}


def test_the_lag_of_a_partition_that_is_not_read_goes_up_to_the_end_that_kafka_knows():
    sink = one([says("w1", STUCK)], measured(19))
    assert (sink["lag"], sink["partitions"][0]["end"], sink["partitions"][0]["lag"]) == (14, 19, 14)


def test_an_end_that_the_worker_has_seen_since_counts_more_than_an_older_answer():
    assert one([says("w1", STUCK)], measured(6))["lag"] == 3


def test_a_worker_that_has_not_looked_yet_is_as_far_behind_as_kafka_says():
    assert one([says("w1", SinkPartition(1, 5, None, 0))], measured(9))["lag"] == 4


def test_what_was_caught_up_and_ends_in_a_marker_is_not_behind():
    assert one([says("w1", SinkPartition(1, 8, 9, 0))], measured(9))["state"] == "up to date"


def test_a_silent_worker_owns_nothing():
    assert sinks_json([says("w1", DONE, silent=True)], {}, {}) == []


def test_letters_are_those_of_the_topic():
    assert one([says("w1", DONE)], letters={"bills.dlq": 3})["dead_letters"] == {
        "topic": "bills.dlq",
        "letters": 3,
    }
    assert one([says("w1", DONE)])["dead_letters"]["letters"] is None
    assert dead_letters_json({"b.dlq": 1, "a.dlq": None}) == [
        {"topic": "a.dlq", "letters": None},
        {"topic": "b.dlq", "letters": 1},
    ]
