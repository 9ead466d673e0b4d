import json
import math

import pytest

from prom_faust.assignment.homes import Subscriber, assign
from prom_faust.assignment.plan import Change, parse_growth, parse_member, plan
from prom_faust.assignment.rendezvous import Member
from prom_faust.exceptions import ConfigurationError

COUNTS = {"orders": 64, "audit": 8}
BOTH = frozenset(COUNTS)
THREE = [Subscriber(Member(name), BOTH) for name in ("w1", "w2", "w3")]


def change(*, add=(), remove=(), **grow):
    return Change(tuple(parse_member(text) for text in add), tuple(remove), grow)


def planned(what, members=THREE, **options):
    return plan(members, COUNTS, what, **options)


def test_a_plan_without_a_change_shows_what_is():
    found = planned(change())
    assert found.before == found.after
    assert found.before.homes == assign(THREE, COUNTS)


def test_who_joins_reads_what_the_group_reads():
    found = planned(change(add=["w4=2"]))
    assert found.after.homes == assign([*THREE, Subscriber(Member("w4", 2.0), BOTH)], COUNTS)
    assert found.movement.moves


def test_who_is_removed_is_gone():
    found = planned(change(remove=["w2"]))
    assert found.after.homes == assign([THREE[0], THREE[2]], COUNTS)


def test_another_weight_keeps_what_a_member_reads():
    members = [*THREE[:2], Subscriber(Member("w3"), frozenset({"audit"}))]
    found = planned(change(add=["w3=5"]), members)
    assert found.after.subscribers[-1] == Subscriber(Member("w3", 5.0), frozenset({"audit"}))


def test_a_topic_that_grows_tells_which_keys_move():
    found = planned(change(orders=65))
    assert found.keys == {"orders": pytest.approx(1 / 65)}
    assert planned(change(orders=128)).keys == {"orders": 0.5}
    assert found.movement.added == 1
    assert found.after.homes == assign(THREE, {**COUNTS, "orders": 65})


def test_everything_at_once():
    found = planned(change(add=["w4"], remove=["w1"], orders=96))
    members = [*THREE[1:], Subscriber(Member("w4"), BOTH)]
    assert found.after.homes == assign(members, {**COUNTS, "orders": 96})


def test_options_are_those_of_the_group():
    found = planned(change(remove=["w1"]), standbys=1, load_factor=1.0)
    assert found.before.homes == assign(THREE, COUNTS, standbys=1, load_factor=1.0)
    assert found.movement.warm > 0
    assert found.movement.after.most == 32 + 4


def test_a_topic_that_nobody_would_read_is_named():
    members = [
        Subscriber(Member("w1"), frozenset({"orders"})),
        Subscriber(Member("w2"), frozenset({"audit"})),
    ]
    assert planned(change(remove=["w2"]), members).unread == ("audit",)


def test_it_is_json():
    found = json.loads(json.dumps(planned(change(remove=["w3"], orders=65), standbys=1).as_json()))
    assert found["moved"] == len(found["moves"])
    assert found["lower_bound"] == found["members"]["before"]["w3"]
    assert set(found["members"]["after"]) == {"w1", "w2"}
    assert set(found["moves"][0]) == {"topic", "partition", "source", "target", "warm"}
    assert found["spread"]["before"] == {
        "most": max(found["members"]["before"].values()),
        "fewest": min(found["members"]["before"].values()),
    }


def test_every_fault_is_named():
    with pytest.raises(ConfigurationError) as raised:
        planned(change(add=["w1", "w2=2"], remove=["w9", "w2"], orders=64, audit=4, nothing=3))
    message = str(raised.value)
    for fault in (
        "no member w9 to remove; there are: w1, w2, w3",
        "member w1 is there already, with weight 1",
        "member w2 cannot be added and removed at once",
        "topic orders has 64 partitions, and can only grow",
        "topic audit has 8 partitions, and can only grow",
        "reads no topic nothing; it reads: audit, orders",
    ):
        assert fault in message


def test_a_name_is_one_member():
    with pytest.raises(ConfigurationError, match="there are two members w1"):
        planned(change(), [*THREE, Subscriber(Member("w1", 2.0), BOTH)])


@pytest.mark.parametrize("factor", [math.nan, math.inf, 1e308, 0.5])
def test_a_load_factor_is_one_that_the_setting_may_have(factor):
    with pytest.raises(ConfigurationError, match="a load factor is a number from 1 to 100"):
        planned(change(), load_factor=factor)


def test_a_plan_fits_into_memory():
    with pytest.raises(ConfigurationError, match="up to 100,000 partitions of a topic"):
        planned(change(orders=99_999_999))


def test_somebody_has_to_be_left():
    with pytest.raises(ConfigurationError, match="nobody would be left"):
        planned(change(remove=["w1", "w2", "w3"]))
    planned(change(add=["w4"], remove=["w1", "w2", "w3"]))


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("w4", Member("w4")),
        ("w4=2", Member("w4", 2.0)),
        ("w4=0.5", Member("w4", 0.5)),
        ("a.b-1", Member("a.b-1")),
    ],
)
def test_a_member_is_a_name_or_a_name_and_a_weight(text, member):
    assert parse_member(text) == member


@pytest.mark.parametrize(
    "text", ["", "=2", "w4=", "w4=x", "w4=0", "w4=-1", "w4=nan", "w4=inf", "w4=1001", "a=1=2"]
)
def test_anything_else_is_no_member(text):
    with pytest.raises(ConfigurationError, match="NAME=WEIGHT"):
        parse_member(text)


def test_growth_is_a_topic_and_a_number():
    assert parse_growth("orders=96") == ("orders", 96)


@pytest.mark.parametrize(
    "text", ["", "orders", "orders=", "=3", "orders=x", "orders=-1", "orders=1.5", "orders=²"]
)
def test_anything_else_is_no_growth(text):
    with pytest.raises(ConfigurationError, match="TOPIC=N"):
        parse_growth(text)
