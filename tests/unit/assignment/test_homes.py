import doctest
from random import Random

import pytest

from prom_faust.assignment import homes as module
from prom_faust.assignment.homes import Share, Subscriber, assign, shares
from prom_faust.assignment.rendezvous import Member, place


def readers(*names, topics=("orders",)):
    return [Subscriber(Member(name), frozenset(topics)) for name in names]


def by_topic(found):
    return {topic: homes for homes in found for topic in homes.topics}


def test_topics_with_the_same_readers_and_count_are_in_one_group():
    found = assign(readers("a", "b", topics=("orders", "bills")), {"orders": 8, "bills": 8})
    assert [(homes.topics, homes.partitions) for homes in found] == [(("bills", "orders"), 8)]
    assert found[0].placement == place([Member("a"), Member("b")], 8)


@pytest.mark.parametrize("count", [7, 9])
def test_another_count_is_another_group(count):
    found = by_topic(assign(readers("a", "b", topics=("orders", "bills")), {"orders": 8, "bills": count}))
    assert found["orders"] != found["bills"]
    assert len(found["bills"].placement.owners) == count


def test_a_member_gets_nothing_of_a_topic_that_it_does_not_read():
    group = [*readers("a", "b", topics=("orders", "audit")), *readers("c")]
    found = by_topic(assign(group, {"orders": 32, "audit": 32}, standbys=2))
    assert set(found["audit"].placement.owners) == {"a", "b"}
    assert {name for line in found["audit"].placement.standbys for name in line} == {"a", "b"}
    assert set(found["orders"].placement.owners) == {"a", "b", "c"}


def test_topics_that_are_unknown_or_that_nobody_reads_are_left_out():
    found = assign(readers("a", topics=("orders", "missing", "empty")), {"orders": 2, "other": 3, "empty": 0})
    assert [homes.topics for homes in found] == [("orders",)]


def test_nobody_gets_nothing():
    assert assign([], {"orders": 2}) == ()
    assert assign(readers("a", topics=()), {"orders": 2}) == ()
    assert assign(readers("a"), {}) == ()


def test_another_topic_moves_nothing():
    before = by_topic(assign(readers("a", "b", "c"), {"orders": 64}))
    after = by_topic(assign(readers("a", "b", "c", topics=("orders", "bills")), {"orders": 64, "bills": 16}))
    assert after["orders"] == before["orders"]


def test_the_order_of_members_and_topics_does_not_count():
    topics = ["a", "b", "c", "d"]
    group = [Subscriber(Member(f"w{n}", 1 + n % 2), frozenset(Random(n).sample(topics, 3))) for n in range(6)]
    counts = {"a": 8, "b": 8, "c": 8, "d": 4}
    expected = assign(group, counts, standbys=1)
    for seed in range(10):
        shuffled = Random(seed).sample(group, len(group))
        other = dict(Random(seed).sample(sorted(counts.items()), len(counts)))
        assert assign(shuffled, other, standbys=1) == expected


def test_options_are_passed_on():
    group = readers("a", "b", "c")
    found = assign(group, {"orders": 30}, standbys=2, load_factor=1.0)[0].placement
    assert found == place([each.member for each in group], 30, standbys=2, load_factor=1.0)


def test_a_share_is_what_one_member_has_of_each_topic():
    found = assign(readers("a", "b", topics=("orders", "bills")), {"orders": 4, "bills": 4}, standbys=1)
    placement = found[0].placement
    mine = tuple(p for p in range(4) if placement.owners[p] == "a")
    other = tuple(p for p in range(4) if placement.owners[p] == "b")
    assert shares(found, "a") == {"bills": Share(mine, other), "orders": Share(mine, other)}


def test_who_has_nothing_of_a_topic_has_no_share_of_it():
    found = assign([*readers("a"), *readers("b", topics=("audit",))], {"orders": 2, "audit": 2})
    assert shares(found, "a") == {"orders": Share((0, 1))}
    assert shares(found, "nobody") == {}


def test_the_example_is_true():
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
