from prom_faust.ops.groups import GroupMember, GroupState, PartitionProgress, group_state

W1 = GroupMember("id-1", "w1", topics=("orders",), active={"orders": (0, 2)}, standby={"orders": (1,)})
W2 = GroupMember("id-2", "w2", topics=("audit", "orders"), active={"orders": (1,), "audit": (0,)})


def put_together(members=(W2, W1), counts=None, committed=None, ends=None, **more):
    return group_state(
        "g",
        state="Stable",
        protocol="range",
        members=members,
        counts=counts or {"orders": 4, "audit": 1},
        committed=committed or {},
        ends=ends or {},
        **more,
    )


def test_members_are_in_the_order_of_their_names():
    assert [member.name for member in put_together().members] == ["w1", "w2"]


def test_every_partition_of_a_topic_that_somebody_reads_is_there():
    found = put_together(counts={"orders": 4, "audit": 1, "unread": 3})
    assert [(each.topic, each.partition, each.owner, each.standbys) for each in found.partitions] == [
        ("audit", 0, "w2", ()),
        ("orders", 0, "w1", ()),
        ("orders", 1, "w2", ("w1",)),
        ("orders", 2, "w1", ()),
        ("orders", 3, None, ()),
    ]
    assert found.counts == {"orders": 4, "audit": 1}


def test_a_topic_that_nobody_reads_any_more_is_there_with_its_offsets_only():
    found = put_together(committed={("old", 5): 7})
    assert found.partitions[1] == PartitionProgress("old", 5, committed=7)
    assert "old" not in found.counts


def test_a_topic_that_was_read_before_a_rebalance_is_there_although_kafka_does_not_say_who_reads_it():
    found = put_together(members=(GroupMember("id-1", "id-1"),), topics=("audit", "gone"))
    assert [(each.topic, each.partition, each.owner) for each in found.partitions] == [("audit", 0, None)]


def test_lag_needs_both_ends_and_is_never_negative():
    assert PartitionProgress("t", 0, committed=3, end=10).lag == 7
    assert PartitionProgress("t", 0, committed=10, end=3).lag == 0
    assert PartitionProgress("t", 0, end=3).lag is None
    assert PartitionProgress("t", 0, committed=3).lag is None


def test_the_lag_of_a_group_is_that_of_its_partitions_as_far_as_known():
    found = put_together(committed={("orders", 0): 1, ("orders", 1): 2}, ends={("orders", 0): 5})
    assert found.lag == 4


def test_an_empty_group_is_json_too():
    assert GroupState("g").as_json() == {
        "group": "g",
        "state": "Dead",
        "protocol": "",
        "members": (),
        "partitions": [],
        "lag": 0,
    }
