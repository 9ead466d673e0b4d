import json

import pytest

from prom_faust.assignment.history import Rebalance
from prom_faust.ops.status import (
    NAMED,
    TOPIC,
    GroupStatus,
    RebalanceStatus,
    SinkPartition,
    SinkStatus,
    WorkerStatus,
    decode,
    encode,
    key_of,
    rebalance_status,
    status_spec,
    worker_of,
)

FULL = WorkerStatus(
    app="shop",
    worker="w1",
    url="http://w1:6066",
    pid=7,
    started=1_000,
    at=2_000,
    not_ready=("tables are being recovered",),
    versions={"python": "3.11"},
    groups=(
        GroupStatus(
            "shop",
            "streams",
            "shop",
            "w1",
            generation=3,
            active={"orders": (0, 2)},
            rebalances=(RebalanceStatus(1.5, None, 3, "started", gained=2),),
        ),
    ),
    sinks=(SinkStatus("c", "projection", "bills", "g", (SinkPartition(0, 5, 9, 4),)),),
)


def test_a_status_comes_back_as_it_was():
    assert decode(encode(FULL)) == FULL


def test_a_field_of_a_later_version_is_left_out():
    later = {**json.loads(encode(FULL)), "mood": "good"}
    assert decode(json.dumps(later).encode()) == FULL


def test_a_field_that_an_earlier_version_lacks_has_its_default():
    earlier = {"app": "shop", "worker": "w1"}
    assert decode(json.dumps(earlier).encode()) == WorkerStatus("shop", "w1")


def test_groups_and_rebalances_of_an_earlier_version_are_read():
    group = {"group": "g", "what": "streams", "name": "shop", "member": "w1"}
    rebalance = {"at": 1.0, "seconds": 0.5, "generation": 2, "reason": "w2 joined"}
    earlier = {"app": "shop", "worker": "w1", "groups": [{**group, "rebalances": [rebalance]}]}
    (found,) = decode(json.dumps(earlier).encode()).groups
    assert (found.member, found.member_id) == ("w1", "")
    assert (found.rebalances[0].reason, found.rebalances[0].ended, found.rebalances[0].size) == (
        "w2 joined",
        None,
        0,
    )


def test_bytes_that_are_no_status_are_none():
    assert [decode(value) for value in (b"", b"null", b"[1]", b"\xff", b'{"app": 1}')] == [None] * 5


def test_a_key_names_app_and_worker():
    assert key_of("shop", "w1") == b"shop/w1"
    assert worker_of("shop", b"shop/a/b") == "a/b"


def test_keys_of_other_apps_and_no_key_are_nobodys():
    assert [worker_of("shop", key) for key in (b"shop-eu/w1", b"shop", None)] == [None] * 3


def test_of_thousands_of_moved_partitions_only_some_are_named():
    gained = tuple(f"orders-{number}" for number in range(4096))
    (told,) = rebalance_status([Rebalance(1.0, 0.5, 4, "w2 left", gained=gained, lost=("a-0",))])
    assert (told.gained, told.lost, len(told.moved)) == (4096, 1, NAMED)


def test_it_is_told_when_a_rebalance_ended_and_how_many_the_members_were():
    (told,) = rebalance_status([Rebalance(1.0, 0.5, 4, "w2 left", members=("w1", "w3"), ended=1.5)])
    assert (told.ended, told.size) == (1.5, 2)


def test_the_topic_is_compacted_and_has_one_partition():
    spec = status_spec()
    assert (spec.name, spec.partitions, spec.creation_config["cleanup.policy"]) == (TOPIC, 1, "compact")


@pytest.mark.parametrize(
    "poison",
    [
        {"pid": 10**30},
        {"started": 10**400},
        {"weight": "1e400"},
        {"groups": [{"group": "g", "what": "", "name": "", "member": "w", "generation": 10**30}]},
        {"groups": [{"group": "g", "what": "", "name": "", "member": "w", "active": {"t": [10**30]}}]},
    ],
)
def test_a_number_that_no_page_could_show_is_no_status(poison):
    assert decode(json.dumps({"app": "a", "worker": "w", **poison}).encode()) is None
