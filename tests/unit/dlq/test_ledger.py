"""Which letters wait: the last of each record and consumer says it."""

import pytest

from prom_faust.dlq.envelope import DeadLetter, State
from prom_faust.dlq.filter import Filter
from prom_faust.dlq.ledger import Ledger
from prom_faust.lane.record import PlainRecord


def letter(
    offset, *, partition=0, key=b"k", consumer="group", error="a.Error", message="m", died_at=0, **rest
):
    record = PlainRecord("t", partition, offset, 0, key, b"v")
    return DeadLetter(record, consumer, error, message, died_at=died_at, **rest)


@pytest.fixture
def ledger():
    with Ledger() as ledger:
        yield ledger


def file(ledger, *letters):
    ledger.file(((0, number), one) for number, one in enumerate(letters))


def offsets(ledger, **wanted):
    return [row.offset for row in ledger.rows(Filter(**wanted))]


def test_a_letter_waits(ledger):
    file(ledger, letter(3))
    (row,) = ledger.rows(Filter())
    assert (row.topic, row.partition, row.offset, row.key, row.place) == ("t", 0, 3, b"k", (0, 0))


@pytest.mark.parametrize("state", [State.REPLAYED, State.MOVED, State.DISCARDED])
def test_one_that_is_done_with_does_not(ledger, state):
    file(ledger, letter(3), letter(3, state=state))
    assert offsets(ledger) == []
    assert offsets(ledger, states=frozenset({state.value})) == [3]


def test_one_that_died_again_waits_again(ledger):
    file(ledger, letter(3), letter(3, state=State.REPLAYED), letter(3))
    (row,) = ledger.rows(Filter())
    assert row.place == (0, 2)


def test_each_consumer_has_a_letter_of_its_own(ledger):
    file(ledger, letter(3), letter(3, consumer="other"), letter(3, state=State.DISCARDED))
    assert [row.consumer for row in ledger.rows(Filter())] == ["other"]


def test_they_come_by_position_and_no_more_than_asked_for(ledger):
    file(ledger, letter(9), letter(1, partition=1), letter(2))
    assert [(row.partition, row.offset) for row in ledger.rows(Filter(), 2)] == [(0, 2), (0, 9)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"partition": 1}, [2]),
        ({"offset": 1}, [1]),
        ({"key": b"a"}, [1]),
        ({"consumer": "other"}, [3]),
        ({"error": "decode"}, [2]),
        ({"error": "TAKEN"}, [3]),
        ({"since": 20}, [2, 3]),
        ({"until": 20}, [1]),
        ({"since": 20, "until": 21}, [2]),
        ({"key": b"a", "offset": 2}, []),
    ],
)
def test_filters(ledger, wanted, found):
    file(
        ledger,
        letter(1, key=b"a", died_at=10),
        letter(2, partition=1, error="x.DecodeError", died_at=20),
        letter(3, consumer="other", message="a value is taken", died_at=30),
    )
    assert sorted(offsets(ledger, **wanted)) == found


def test_those_that_are_chosen_are_found_where_they_stand(ledger):
    file(ledger, letter(3), letter(5), letter(3))
    assert ledger.choose(ledger.rows(Filter(offset=3))) == 1
    assert [ledger.is_chosen("t", (0, number)) for number in range(3)] == [False, False, True]
    assert ledger.chosen_spans("t") == {0: (2, 3)}
    assert ledger.choose([]) == 0
    assert ledger.chosen_spans("t") == {}
