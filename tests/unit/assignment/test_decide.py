"""What the leader decides, whatever the members send."""

import pytest

from prom_faust.assignment.decide import Subscription, decide
from prom_faust.assignment.wire import Identity, encode


def member(name, *topics, **more):
    return Subscription(topics, encode(Identity(name, **more)))


def owned(decisions, topic="t"):
    return {member_id: len(each.active.get(topic, ())) for member_id, each in decisions.items()}


def test_homes_are_a_function_of_names_and_not_of_member_ids():
    before = decide({"1": member("a", "t"), "2": member("b", "t")}, {"t": 16}, standbys=1)
    after = decide({"9": member("b", "t"), "8": member("a", "t")}, {"t": 16}, standbys=1)
    assert before["1"] == after["8"]
    assert before["2"] == after["9"]


def test_of_two_with_one_name_the_later_gets_nothing_and_a_reason():
    decisions = decide(
        {
            "late": member("a", "t", started=2, process="y"),
            "early": member("a", "t", started=1, process="x", url="http://h:1"),
        },
        {"t": 4},
    )
    assert owned(decisions) == {"early": 4, "late": 0}
    assert decisions["early"].refused is None
    assert decisions["late"].refused == (
        "another worker, http://h:1, has the name a in this group, and started earlier"
    )


def test_two_of_one_name_and_one_instant_are_told_apart_by_their_ids():
    twins = {"1": member("a", "t", started=1), "2": member("a", "t", started=1)}
    assert owned(decide(twins, {"t": 4})) == {"1": 4, "2": 0}
    assert decide(dict(reversed(twins.items())), {"t": 4}) == decide(twins, {"t": 4})


def test_a_worker_is_not_refused_for_a_client_of_its_own():
    twins = {"1": member("a", "t", started=1, process="x"), "2": member("a", "t", started=1, process="x")}
    decisions = decide(twins, {"t": 4})
    assert owned(decisions) == {"1": 4, "2": 0}
    assert decisions["2"].refused is None


@pytest.mark.parametrize("frame", [None, b"", b"nonsense", b"PF\x01nonsense"])
def test_a_member_without_a_readable_frame_counts_under_its_id(frame):
    decisions = decide({"m1": Subscription(("t",), frame), "m2": member("b", "t")}, {"t": 16})
    assert sum(owned(decisions).values()) == 16
    assert decisions["m1"].members == ("b", "m1")
    assert min(owned(decisions).values()) > 0


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_weight_that_is_none_counts_as_one(weight):
    plain = decide({"1": member("a", "t"), "2": member("b", "t")}, {"t": 16})
    odd = decide({"1": member("a", "t", weight=weight), "2": member("b", "t")}, {"t": 16})
    assert owned(odd) == owned(plain)


def test_everyone_gets_an_answer_also_when_there_is_nothing_to_give():
    assert owned(decide({"1": member("a", "t"), "2": member("b")}, {})) == {"1": 0, "2": 0}


def test_a_larger_weight_gets_more():
    decisions = decide({"1": member("a", "t", weight=3.0), "2": member("b", "t")}, {"t": 400})
    assert owned(decisions)["1"] > 2 * owned(decisions)["2"]
