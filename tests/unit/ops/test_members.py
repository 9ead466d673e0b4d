from prom_faust.ops.board import Seen
from prom_faust.ops.members import members_json
from prom_faust.ops.status import GroupStatus, WorkerStatus


def member(*, silent=False, **status):
    (found,) = members_json([Seen(WorkerStatus("shop", "w1", **status), 10.0, silent)])
    return found


def test_states_from_worst_to_best():
    assert member(silent=True, stopping=True)["state"] == "silent"
    assert member(stopping=True, not_ready=("x",))["state"] == "stopping"
    assert member(not_ready=("x",))["state"] == "not ready"
    assert member()["state"] == "ready"


def test_a_silent_worker_is_silent_since_it_was_last_heard():
    assert member(silent=True)["silent_since"] == 10.0
    assert member()["silent_since"] is None


def test_a_group_counts_partitions_of_all_topics():
    group = GroupStatus("g", "streams", "shop", "w1", active={"a": (0, 1), "b": (1,)}, standby={"a": (2,)})
    (found,) = member(groups=(group,))["groups"]
    assert (found["active"], found["standby"]) == (3, 1)
