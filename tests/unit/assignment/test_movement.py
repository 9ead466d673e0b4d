import doctest

import pytest

from prom_faust.assignment import movement as module
from prom_faust.assignment.homes import Subscriber, assign
from prom_faust.assignment.movement import Group, Load, Move, compare
from prom_faust.assignment.rendezvous import Member


def group(*names, counts=None, standbys=1, load_factor=1.25, topics=("t",), **weights):
    members = tuple(Subscriber(Member(name, weights.get(name, 1.0)), frozenset(topics)) for name in names)
    homes = assign(members, counts or {"t": 64}, standbys=standbys, load_factor=load_factor)
    return Group(members, homes)


def owners(found, topic="t"):
    return found.by_topic()[topic].placement.owners


def test_nothing_changed_moves_nothing():
    found = compare(group("a", "b", "c"), group("c", "b", "a"))
    assert (found.moves, found.added, found.lower_bound, found.warm) == ((), 0, 0, 0)


def test_a_move_names_partition_source_and_target():
    before, after = group("a", "b"), group("a")
    lost = [p for p, owner in enumerate(owners(before)) if owner == "b"]
    assert compare(before, after).moves == tuple(Move("t", p, "b", "a", warm=True) for p in lost)


def test_the_moves_are_exactly_the_partitions_with_another_owner():
    before, after = group("a", "b", "c"), group("b", "c", "d", "e")
    found = compare(before, after)
    pairs = enumerate(zip(owners(before), owners(after), strict=True))
    assert [(move.partition, move.source, move.target) for move in found.moves] == [
        (p, old, new) for p, (old, new) in pairs if old != new
    ]


def test_warm_is_who_kept_a_copy_before():
    before, after = group("a", "b", "c", standbys=1), group("a", "b", standbys=1)
    line = before.by_topic()["t"].placement.standbys
    found = compare(before, after)
    assert [move.warm for move in found.moves] == [
        move.target in line[move.partition] for move in found.moves
    ]
    assert found.warm == sum(move.warm for move in found.moves) > 0
    assert compare(group("a", "b", "c", standbys=0), group("a", "b", standbys=0)).warm == 0


def test_on_a_leave_nobody_can_do_with_less_than_what_the_leaver_had():
    before = group("a", "b", "c")
    assert compare(before, group("a", "b")).lower_bound == owners(before).count("c")


def test_on_a_join_nobody_can_do_with_less_than_the_fair_share():
    assert compare(group("a", "b"), group("a", "b", "c")).lower_bound == 64 // 3
    assert compare(group("a", "b"), group("a", "b", "c", "d")).lower_bound == 2 * (64 // 4)


def test_a_heavy_joiner_has_to_get_more():
    assert compare(group("a", "b"), group("a", "b", "c", c=2.0)).lower_bound == 32


def test_more_weight_has_to_get_the_difference():
    assert compare(group("a", "b"), group("a", "b", a=3.0)).lower_bound == 48 - 32


def test_who_comes_for_who_goes_can_have_what_that_one_had():
    before = group("a", "b", load_factor=1.0)
    assert compare(before, group("a", "c", load_factor=1.0)).lower_bound == 32


def test_growth_has_to_move_nothing_and_new_partitions_are_no_moves():
    names = ("a", "b", "c")
    found = compare(group(*names, load_factor=50), group(*names, load_factor=50, counts={"t": 96}))
    assert (found.moves, found.added, found.lower_bound) == ((), 32, 0)


def test_new_partitions_count_for_who_joins():
    found = compare(group("a"), group("a", "b", counts={"t": 96}))
    assert found.lower_bound == 96 // 2 - 32


def test_copartitioned_topics_move_together_and_all_count():
    topics, counts = ("t", "u"), {"t": 16, "u": 16}
    before = group("a", "b", "c", topics=topics, counts=counts)
    found = compare(before, group("a", "b", topics=topics, counts=counts))
    assert found.lower_bound == 2 * owners(before).count("c")
    assert sum(before.loads.values()) == 32
    of = {topic: {move.partition for move in found.moves if move.topic == topic} for topic in topics}
    assert of["t"] == of["u"]


def test_the_spread_is_of_all_who_read_anything():
    one, other = (Subscriber(Member(name), frozenset({"t"})) for name in "ab")
    web, idle = Subscriber(Member("web"), frozenset()), Subscriber(Member("idle"), frozenset({"missing"}))
    homes = assign([one, other], {"t": 2})
    assert Group((one, other, web), homes).spread == Load(1, 1)
    assert Group((one, other, idle), homes).spread == Load(1, 0)
    assert Group((one, other, web), homes).loads == {"a": 1, "b": 1, "web": 0}


@pytest.mark.parametrize("after", [(), ("a",)])
def test_a_group_that_appears_moves_nothing(after):
    found = compare(group(), group(*after))
    assert (found.moves, found.lower_bound, found.before) == ((), 0, Load(0, 0))
    assert found.added == (64 if after else 0)


def test_the_example_is_true():
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
