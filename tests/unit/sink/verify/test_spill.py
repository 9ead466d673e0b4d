"""Records and letters on disk: what prevails at a position, and what is known of a source."""

import pytest

from prom_faust.sink.key import JsonKey
from prom_faust.sink.log.entry import DEAD, LIVE, NULL, POISON, Entry
from prom_faust.sink.order import position_of
from prom_faust.sink.verify.compare import Facts
from prom_faust.sink.verify.spill import Spill


@pytest.fixture
def spill():
    with Spill(versioned=False) as made:
        made.index()
        yield made


def entry(n, kind=LIVE, *, key="a", body=b"body"):
    return Entry(n, key, None, kind, body if kind in {LIVE, POISON} else None)


def test_a_dead_letter_takes_its_record_out(spill):
    spill.add([entry(1), entry(2)])
    spill.add_letter(entry(2, DEAD), replayed=False)
    assert spill.outcome("a").n == 1


def test_a_letter_that_was_read_first_prevails_too(spill):
    spill.add_letter(entry(2, DEAD), replayed=False)
    spill.add([entry(1), entry(2)])
    assert spill.outcome("a").n == 1


@pytest.mark.parametrize("letter_first", [False, True])
def test_a_letter_that_does_not_tell_its_key_leaves_it_to_the_record(spill, letter_first):
    steps = [
        lambda: spill.add_letter(entry(2, DEAD, key=None), replayed=False),
        lambda: spill.add([entry(1), entry(2)]),
    ]
    for step in steps if letter_first else reversed(steps):
        step()
    assert spill.outcome("a").n == 1
    assert spill.facts("a", 1, ahead=False, beyond=False).later == 2


@pytest.mark.parametrize("duplicate_at_the_end", [False, True])
def test_a_replay_puts_its_value_back_in_even_if_the_letter_comes_again(spill, duplicate_at_the_end):
    spill.add([entry(1), entry(2, POISON)])
    spill.add_letter(entry(2, DEAD), replayed=False)
    spill.add_letter(entry(2, body=b"fixed"), replayed=True)
    if duplicate_at_the_end:
        spill.add_letter(entry(2, DEAD), replayed=False)
    assert spill.body(spill.outcome("a").n) == b"fixed"


def test_poison_without_a_letter_is_named(spill):
    spill.add([entry(1), entry(2, POISON, body=b"not JSON"), entry(3, POISON)])
    spill.add_letter(entry(3, DEAD), replayed=False)
    assert spill.poison(10) == [(2, "a", "not JSON")]


def test_text_and_integer_keys_are_two_keys(spill):
    spill.add([entry(1, key="1"), entry(2, key=1)])
    assert list(spill.fold_slices()) == [2]
    assert (spill.outcome("1").n, spill.outcome(1).n) == (1, 2)


def test_keys_of_any_type_are_kept_apart_and_found_again(spill):
    keys = ["1", 1, 1.5, 1e300, JsonKey(b"true"), JsonKey(b'{"a":1}'), JsonKey(b'{"a":"1"}')]
    spill.add([entry(n, key=key) for n, key in enumerate(keys)])
    assert list(spill.fold_slices()) == [len(keys)]
    assert [spill.outcome(key).n for key in keys] == list(range(len(keys)))
    spill.suspect(keys)
    assert {key for chunk in spill.suspects(2) for key in chunk} == set(keys)


def test_a_tombstone_leaves_nothing_expected(spill):
    spill.add([entry(1), entry(2, NULL)])
    assert list(spill.fold_slices()) == [0]
    assert spill.expected_body("a") is None


def test_keys_without_their_document_are_suspected(spill):
    spill.add([entry(1, key="a"), entry(2, key="b"), entry(3, key=7)])
    list(spill.fold_slices())
    spill.mark_found(["b"])
    spill.suspect_miscounted()
    assert list(spill.suspects(1)) == [[7], ["a"]]


def test_suspects_can_be_acquitted_on_the_way(spill):
    spill.suspect(["a", "b", "c"])
    for keys in spill.suspects(1):
        spill.acquit(keys)
    assert list(spill.suspects(1)) == []


def test_a_later_record_counts_only_in_the_same_partition(spill):
    spill.add([entry(position_of(0, 9)), entry(position_of(1, 3))])
    assert spill.facts("a", position_of(0, 5), ahead=False, beyond=False) == Facts(later=9)
    assert spill.facts("a", position_of(1, 4), ahead=False, beyond=False) == Facts()


def test_a_key_is_left_over_while_its_last_record_in_a_former_home_is_a_document(spill):
    former, home = position_of(1, 5), position_of(4, 2)
    spill.add([entry(former - 1), entry(former), entry(home, NULL)])
    assert (spill.count_leftover(), spill.leftover(10)) == (0, [])
    spill.add_left_behind([former - 1, former])
    assert (spill.count_leftover(), spill.leftover(10)) == (1, [("a", former)])
    spill.add([entry(former + 1, NULL)])
    spill.add_left_behind([former + 1])
    assert (spill.count_leftover(), spill.leftover(10)) == (0, [])


def test_a_key_that_was_left_in_two_partitions_counts_once_and_a_dead_letter_does_not(spill):
    places = [position_of(0, 1), position_of(1, 1), position_of(2, 1)]
    spill.add([entry(n) for n in places])
    spill.add([entry(position_of(0, 9), key="b")])
    spill.add_left_behind([*places[:2], position_of(0, 9)])
    spill.add_letter(entry(position_of(0, 9), DEAD, key="b"), replayed=False)
    assert spill.count_leftover() == 1
    assert spill.leftover(10) == [("a", places[0]), ("a", places[1])]
    assert spill.leftover(1) == [("a", places[0])]
    assert spill.is_left_behind(places[1])
    assert not spill.is_left_behind(places[2])
