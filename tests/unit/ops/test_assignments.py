from prom_faust.ops.assignments import group_json, merge_rebalances
from prom_faust.ops.board import Seen
from prom_faust.ops.groups import GroupMember, GroupState, PartitionProgress
from prom_faust.ops.status import GroupStatus, RebalanceStatus, WorkerStatus


def says(worker, *, silent=False, **group):
    status = GroupStatus("shop", "streams", "shop", worker, **{"generation": 3, **group})
    return Seen(WorkerStatus("shop", worker, url=f"http://{worker}", groups=(status,)), 10.0, silent)


STATE = GroupState(
    "shop",
    "Stable",
    "prom-rendezvous",
    (GroupMember("id1", "w1", active={"orders": (0,)}), GroupMember("id2", "w2", active={"orders": (1,)})),
    (
        PartitionProgress("orders", 0, owner="w1", committed=5, end=9),
        PartitionProgress("orders", 1, owner="w2", committed=None, end=4),
    ),
)


def owners(group):
    return {each["partition"]: each["owner"] for each in group["partitions"]}


def test_kafka_says_whose_a_partition_is_and_how_far_behind():
    group = group_json("shop", STATE, [says("w1"), says("w2", generation=4)])
    assert group["partitions"][0] == {
        "topic": "orders",
        "partition": 0,
        "owner": "w1",
        "standbys": [],
        "generation": 3,
        "committed": 5,
        "end": 9,
        "lag": 4,
    }
    assert (group["lag"], group["generation"], group["state"]) == (4, 4, "Stable")


def test_a_group_that_commits_nothing_has_no_lag():
    state = GroupState("g", "Stable", partitions=(PartitionProgress("t", 0, end=4),))
    assert group_json("g", state, [])["lag"] is None


def test_standbys_are_what_the_workers_say_and_never_the_owner():
    workers = [says("w1", standby={"orders": (0, 1)}), says("w2", standby={"orders": (0,)})]
    group = group_json("shop", STATE, workers)
    assert [each["standbys"] for each in group["partitions"]] == [["w2"], ["w1"]]


def test_kafkas_word_counts_more_than_that_of_a_worker_that_was_killed():
    group = group_json("shop", STATE, [says("w1"), says("w3", active={"orders": (0, 1)})])
    assert owners(group) == {0: "w1", 1: "w2"}
    assert [member["name"] for member in group["members"]] == ["w1", "w2"]


def test_without_kafka_the_workers_say_whose_the_partitions_are():
    workers = [says("w1", active={"orders": (0,)}), says("w2", active={"orders": (1,)}, silent=True)]
    group = group_json("shop", None, workers)
    assert owners(group) == {0: "w1"}
    assert group["partitions"][0]["lag"] is None


def test_while_a_group_rebalances_the_workers_say_whose_the_partitions_are():
    state = GroupState(
        "shop",
        "PreparingRebalance",
        members=(GroupMember("id1", "w1"),),
        partitions=(PartitionProgress("orders", 0),),
    )
    assert owners(group_json("shop", state, [says("w1", active={"orders": (0,)})])) == {0: "w1"}


def test_members_are_counted_by_what_they_own():
    group = group_json("shop", STATE, [says("w2", standby={"orders": (0,)}, rebalancing=True)])
    assert group["members"][1] == {
        "name": "w2",
        "url": "http://w2",
        "silent": False,
        "generation": 3,
        "rebalancing": True,
        "recovering": False,
        "active": 1,
        "standby": 1,
    }


def told(at, generation, reason="rejoined", **more):
    return RebalanceStatus(at, more.pop("seconds", 0.5), generation, reason, **more)


def test_what_two_members_saw_of_one_rebalance_is_one_row():
    (row,) = merge_rebalances(
        [
            ("w1", [told(10.0, 2, "w2 joined", lost=3, seconds=0.2)]),
            ("w2", [told(10.1, 2, "started", gained=3, seconds=None)]),
        ]
    )
    assert (row["reason"], row["seconds"], row["moves"], row["at"]) == ("w2 joined", 0.2, 3, 10.0)


def test_rebalances_come_newest_first():
    rows = merge_rebalances([("w1", [told(10.0, 2), told(20.0, 3)])])
    assert [row["generation"] for row in rows] == [3, 2]


def test_a_generation_that_is_counted_again_much_later_is_another_rebalance():
    rows = merge_rebalances([("w1", [told(10.0, 1, "started")]), ("w2", [told(9000.0, 1, "started")])])
    assert [row["members"] for row in rows] == [["w2"], ["w1"]]


def test_when_everybody_started_that_is_the_reason():
    (row,) = merge_rebalances([("w1", [told(1.0, 1, "started")]), ("w2", [told(1.0, 1, "started")])])
    assert row["reason"] == "started"


def test_a_rebalance_began_when_somebody_gave_something_up():
    (row,) = merge_rebalances(
        [("w1", [told(10.0, 2, "w2 joined")]), ("w2", [told(4.0, 2, "started", seconds=None)])]
    )
    assert row["at"] == 10.0


def test_what_a_member_that_is_gone_gained_is_what_the_others_lost():
    (row,) = merge_rebalances([("w1", [told(10.0, 2, "w2 joined", lost=3, gained=0)])])
    assert row["moves"] == 3
