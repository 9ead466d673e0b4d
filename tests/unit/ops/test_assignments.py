from dataclasses import replace

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


SHARING_OUT_ANEW = GroupState(
    "shop",
    "PreparingRebalance",
    members=(GroupMember("id1", "id1"), GroupMember("killed", "killed"), GroupMember("id2", "id2")),
    partitions=(PartitionProgress("orders", 0, committed=5, end=9),),
)
"""Kafka's word while a group rebalances: ids only, and nothing of what its members are subscribed to."""


def test_while_a_group_rebalances_its_members_have_the_names_that_the_workers_tell():
    workers = [
        says("w1", member_id="id1", active={"orders": (0,)}, rebalancing=True),
        says("w2", member_id="id2", generation=-1),
    ]
    group = group_json("shop", SHARING_OUT_ANEW, workers)
    assert (group["what"], group["name"], group["generation"]) == ("streams", "shop", 3)
    assert owners(group) == {0: "w1"}
    first, second = [member for member in group["members"] if member["name"] in {"w1", "w2"}]
    assert (first["name"], first["url"], first["generation"], first["rebalancing"]) == (
        "w1",
        "http://w1",
        3,
        True,
    )
    assert (second["name"], second["silent"]) == ("w2", False)


def test_a_member_for_which_a_group_waits_and_that_no_worker_is_any_more_is_silent():
    workers = [says("w1", member_id="id1"), says("w2", member_id="id2")]
    members = group_json("shop", SHARING_OUT_ANEW, workers)["members"]
    assert [(each["name"], each["silent"]) for each in members] == [
        ("killed", True),
        ("w1", False),
        ("w2", False),
    ]


def test_what_a_worker_had_before_it_was_killed_is_under_its_name_while_the_group_waits_for_it():
    state = replace(SHARING_OUT_ANEW, partitions=(PartitionProgress("orders", 0, owner="killed"),))
    workers = [says("w1", member_id="id1"), says("w2", member_id="id2", generation=-1)]
    group = group_json("shop", state, workers, ids={"killed": "w2"})
    assert [member["name"] for member in group["members"]] == ["w1", "w2"]
    assert (group["partitions"][0]["owner"], group["partitions"][0]["generation"]) == ("w2", None)


def test_who_is_still_asking_to_come_in_counts_while_a_group_rebalances():
    workers = [says("w3"), says("w4", silent=True)]
    names = [each["name"] for each in group_json("shop", SHARING_OUT_ANEW, workers)["members"]]
    assert "w3" in names
    assert "w4" not in names


FAUSTS_OWN = GroupState(
    "shop",
    "Stable",
    "faust",
    (GroupMember("id1", "id1"), GroupMember("id2", "id2"), GroupMember("id3", "id3")),
    (
        PartitionProgress("orders", 0, owner="id1", standbys=("id2",)),
        PartitionProgress("orders", 1, owner="id3", standbys=("id1", "id3")),
    ),
)


def test_members_of_a_group_that_tells_no_names_have_those_that_the_workers_tell():
    workers = [says("w1", member_id="id1"), says("w2", member_id="id2", generation=4), says("w3")]
    group = group_json("shop", FAUSTS_OWN, workers)
    assert [(each["name"], each["active"], each["standby"]) for each in group["members"]] == [
        ("id3", 1, 0),  # that worker tells no id yet
        ("w1", 1, 1),
        ("w2", 0, 1),
    ]
    assert [(each["owner"], each["standbys"]) for each in group["partitions"]] == [
        ("w1", ["w2"]),
        ("id3", ["w1"]),
    ]
    assert (group["name"], group["generation"]) == ("shop", 4)


def test_a_group_whose_members_kafka_does_not_name_is_still_that_of_its_workers():
    group = group_json("shop", FAUSTS_OWN, [says("w1", generation=7), says("w2", silent=True)])
    assert (group["what"], group["name"], group["generation"]) == ("streams", "shop", 7)
    assert group_json("shop", GroupState("shop"), [says("w1", silent=True)])["generation"] == 3


def test_what_a_worker_told_before_it_was_killed_is_not_forgotten():
    rebalances = (RebalanceStatus(10.0, 0.5, 2, "w2 joined"),)
    group = group_json("shop", STATE, [says("w1"), says("w3", silent=True, rebalances=rebalances)])
    assert [row["reason"] for row in group["rebalances"]] == ["w2 joined"]


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


def test_a_worker_that_was_restarted_under_its_name_is_the_reason():
    (row,) = merge_rebalances(
        [
            ("w1", [told(12.0, 9, "rejoined", seconds=54.0, ended=66.0)]),
            ("w2", [told(10.0, 9, "started", seconds=None, ended=66.1)]),
            ("w3", [told(12.5, 9, "rejoined", seconds=53.5, ended=66.0)]),
        ]
    )
    assert (row["reason"], row["seconds"], row["at"]) == ("w2 started", 54.0, 12.0)


def test_members_that_wait_for_longer_than_a_minute_saw_one_rebalance():
    (row,) = merge_rebalances(
        [
            ("w1", [told(100.0, 9, "w2 joined", seconds=20.0, ended=120.0)]),
            ("w2", [told(10.0, 9, "started", seconds=None, ended=120.1)]),  # Kafka was away when it started
        ]
    )
    assert (row["reason"], row["at"], row["members"]) == ("w2 joined", 100.0, ["w1", "w2"])


def test_those_who_started_are_named_where_others_were_there_of_whom_nobody_tells():
    everybody = [("w1", [told(1.0, 4, "started", size=3)]), ("w3", [told(1.0, 4, "started", size=3)])]
    (row,) = merge_rebalances(everybody)
    assert row["reason"] == "w1 started, w3 started"
    (row,) = merge_rebalances([*everybody, ("w2", [told(1.0, 4, "started", size=3)])])
    assert row["reason"] == "started"


def test_a_rebalance_that_changed_nothing_is_told_as_that():
    (row,) = merge_rebalances([("w1", [told(1.0, 4)]), ("w2", [told(1.1, 4)])])
    assert row["reason"] == "rejoined"
