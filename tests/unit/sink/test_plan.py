from itertools import chain, combinations, product

import pytest

from prom_faust.lane.record import PlainRecord
from prom_faust.sink.event import Change
from prom_faust.sink.key import JsonKey
from prom_faust.sink.order import Stored, position_of
from prom_faust.sink.plan import (
    KeyPlan,
    compare_and_set,
    group,
    guard,
    needs_read,
    plan_write,
    renewal,
    winner,
)

BODY = b"document"


def live(n, version=None, key="k"):
    return Change(key, n, PlainRecord("t", 0, n, key=key.encode()), BODY, version)


def delete(n, version=None, key="k"):
    return Change(key, n, PlainRecord("t", 0, n, key=key.encode()), None, version)


def best_of(changes, stored=None, *, versioned=True):
    best = winner(KeyPlan("k", changes), stored, versioned=versioned)
    return None if best is None else (best[0].n, best[2])


def test_changes_are_grouped_by_key_and_ordered_by_position():
    changes = [live(5), live(1, key="other"), delete(2), live(9), live(position_of(1, 0)), live(7)]
    plans = group(changes)
    assert {key: [change.n for change in plan.changes] for key, plan in plans.items()} == {
        "k": [2, 5, 7, 9, position_of(1, 0)],
        "other": [1],
    }


def test_text_and_number_are_two_keys():
    number = Change(1, 1, PlainRecord("t", 0, 1), BODY)
    text = Change("1", 2, PlainRecord("t", 0, 2), BODY)
    assert set(group([number, text])) == {1, "1"}


def test_a_guard_asks_for_what_stands_in_the_document():
    change = Change(JsonKey(b'{"b":1}'), 2, PlainRecord("t", 0, 2), BODY)
    assert guard(change, None, versioned=False)["_key"] == {"b": 1}
    assert compare_and_set(change, Stored(1))["_key"] == {"b": 1}


def test_the_worked_example_of_a_winner():
    assert best_of([live(10, 5), delete(11), live(12, 3)]) == (11, 5)


def test_without_versions_the_last_position_wins():
    assert best_of([live(1), delete(2)], versioned=False) == (2, None)
    assert best_of([delete(1), live(position_of(2, 0))], versioned=False) == (position_of(2, 0), None)


def test_equal_versions_go_to_the_earlier_position():
    assert best_of([live(1, 5), live(2, 5)]) == (1, 5)
    assert best_of([delete(1, 5), live(2, 5)]) == (1, 5)


def test_a_null_takes_the_highest_version_of_the_document_too():
    assert best_of([live(2, 3), delete(3)], Stored(n=1, version=9)) == (3, 9)


def test_a_null_takes_no_version_that_comes_after_it():
    assert best_of([delete(1), live(2, 1)]) == (2, 1)
    assert best_of([delete(1)], Stored(n=2, version=1)) is None


def test_a_null_beats_a_document_of_the_time_before_versions():
    assert best_of([delete(5)], Stored(n=3)) == (5, None)
    assert best_of([delete(2)], Stored(n=3)) is None


def test_a_winner_that_stands_already_is_no_winner():
    assert best_of([live(4)], Stored(n=4), versioned=False) is None
    assert best_of([live(4, 2)], Stored(n=4, version=2)) is None
    assert best_of([delete(4)], Stored(n=4, version=2, deleted=True, inherits=True)) is None


def test_an_empty_plan_has_no_winner():
    assert best_of([]) is None


def test_a_plan_without_a_change_drops_that_very_change():
    changes = [live(1), live(2), live(3)]
    left = KeyPlan("k", changes).without(changes[1])
    assert [change.n for change in left.changes] == [1, 3]
    assert len(changes) == 3


def folded(changes):
    """The naive reference: one record after the other."""
    standing, highest = None, None
    for change in changes:
        if change.deletes and change.version is None:
            standing = change.n, highest
        elif highest is None or change.version > highest:
            standing, highest = (change.n, change.version), change.version
    return standing


def test_the_winner_is_the_fold_over_those_not_refused_for_every_refused_subset():
    kinds = [*product((live, delete), (1, 2, 3)), (delete, None)]
    cases = 0
    for count in range(1, 5):
        for history in product(kinds, repeat=count):
            changes = [make(n, version) for n, (make, version) in enumerate(history)]
            subsets = chain.from_iterable(combinations(changes, size) for size in range(count + 1))
            for refused in subsets:
                plan = KeyPlan("k", changes)
                for change in refused:
                    plan = plan.without(change)
                kept = [change for change in changes if change not in refused]
                assert plan.changes == kept
                expected, found = folded(kept), best_of(plan.changes)
                # Two nulls of one version are one state: which of them stands is not visible.
                assert same_state(changes, expected, found), (history, refused)
                cases += 1
    print(f"{cases} cases")
    assert cases == 7 * 2 + 7**2 * 4 + 7**3 * 8 + 7**4 * 16


def same_state(changes, expected, found):
    if expected == found:
        return True
    if expected is None or found is None or expected[1] != found[1]:
        return False
    both = changes[expected[0]], changes[found[0]]
    return all(change.deletes and change.version is None for change in both)


@pytest.mark.parametrize(
    ("changes", "versioned", "expected"),
    [
        ([delete(1)], True, True),
        ([live(1, 1), delete(2), live(3, 3)], True, True),
        ([delete(1, 4), live(2, 5)], True, False),
        ([delete(1)], False, False),
    ],
)
def test_only_a_null_without_a_version_needs_a_read(changes, versioned, expected):
    assert needs_read(KeyPlan("k", changes), versioned=versioned) is expected


def test_the_guard_is_one_field():
    assert guard(live(4), None, versioned=False) == {"_key": "k", "_src.n": {"$not": {"$gte": 4}}}
    assert guard(live(4, 9), 9, versioned=True) == {"_key": "k", "_v": {"$not": {"$gte": 9}}}


def test_the_guard_of_a_null_that_found_no_version_spares_every_version():
    assert guard(delete(4), None, versioned=True) == {
        "_key": "k",
        "_src.n": {"$not": {"$gte": 4}},
        "_v": {"$exists": False},
    }


def test_compare_and_set_matches_what_was_read_and_nothing_else():
    assert compare_and_set(live(4, 9), Stored(n=3, version=9)) == {"_key": "k", "_src.n": 3, "_v": 9}
    missing = {"$exists": False}
    assert compare_and_set(live(4, 9), Stored(n=3)) == {"_key": "k", "_src.n": 3, "_v": missing}
    assert compare_and_set(live(4, 9), Stored(n=None)) == {"_key": "k", "_src": None}
    assert compare_and_set(live(4, 9), Stored(n=None, foreign=["x"])) == {"_key": "k", "_src": ["x"]}


def test_a_stale_plan_writes_nothing():
    assert plan_write(KeyPlan("k", [live(4)]), Stored(n=5), versioned=False) is None


def test_a_planned_write_carries_its_plan_and_the_version_it_stores():
    plan = KeyPlan("k", [live(1, 5), delete(2)])
    write = plan_write(plan, None, versioned=True)
    assert (write.plan, write.change, write.version) == (plan, plan.changes[1], 5)
    assert write.filter == guard(plan.changes[1], 5, versioned=True)


def test_an_exact_write_is_guarded_by_the_state_that_was_read():
    plan, stored = KeyPlan("k", [live(1, 5)]), Stored(n=2, version=5)
    write = plan_write(plan, stored, versioned=True, exact=True)
    assert write.filter == compare_and_set(plan.changes[0], stored)


def test_an_exact_write_where_nothing_stands_is_guarded_by_order():
    plan = KeyPlan("k", [live(1, 5)])
    assert plan_write(plan, None, versioned=True, exact=True).filter == {
        "_key": "k",
        "_v": {"$not": {"$gte": 5}},
    }


def test_a_marker_ages_anew_when_its_tombstone_comes_once_more():
    plan = KeyPlan("k", [live(1), delete(2)])
    write = renewal(plan, Stored(n=2, deleted=True))
    assert (write.change, write.filter) == (plan.changes[1], compare_and_set(plan.changes[1], Stored(n=2)))
    inherited = Stored(n=2, version=5, deleted=True, inherits=True)
    assert renewal(plan, inherited).version == 5


@pytest.mark.parametrize(
    "stored", [None, Stored(n=3, deleted=True), Stored(n=1, deleted=True), Stored(n=2), Stored(n=3)]
)
def test_nothing_but_the_very_marker_of_a_tombstone_is_renewed(stored):
    assert renewal(KeyPlan("k", [live(1), delete(2)]), stored) is None
