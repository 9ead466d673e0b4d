"""Which record counts at a position, with the dead letters that were read."""

import pytest

from prom_faust.dlq.envelope import DeadLetter, State
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.rebuild.shadow.letters import Letters

RECORD = PlainRecord(
    "t", 1, 7, timestamp=99, key=b"k", value=b"bad", headers=(("h", b"\xff"), ("none", None))
)


@pytest.fixture
def letters():
    letters = Letters("t")
    yield letters
    letters.close()


def letter(state=State.DEAD, value=b"bad", record=RECORD):
    replaced = PlainRecord("t", record.partition, record.offset, 99, b"k", value, record.headers)
    return DeadLetter(replaced, "g", "E", "m", state=state)


def test_a_record_without_a_letter_counts_as_it_is(letters):
    assert letters.resolve(RECORD) is RECORD
    letters.add(letter(record=PlainRecord("t", 0, 7)))
    assert letters.resolve(RECORD) is RECORD


@pytest.mark.parametrize("state", [State.DEAD, State.MOVED, State.DISCARDED])
def test_a_letter_takes_its_record_out(letters, state):
    letters.add(letter(state))
    assert letters.resolve(RECORD) is None


def test_a_replayed_letter_counts_with_its_value_at_its_position(letters):
    letters.add(letter())
    letters.add(letter(State.REPLAYED, b"good"))
    counting = letters.resolve(RECORD)
    assert counting == PlainRecord("t", 1, 7, 99, b"k", b"good", RECORD.headers)


def test_a_replayed_tombstone_is_one(letters):
    letters.add(letter(State.REPLAYED, None))
    assert letters.resolve(RECORD).value is None


def test_the_first_replay_stays(letters):
    letters.add(letter(State.REPLAYED, b"good"))
    letters.add(letter(State.REPLAYED, b"other"))
    letters.add(letter())
    assert letters.resolve(RECORD).value == b"good"


def values(records):
    return [record.value for record in records]


def test_a_replay_whose_record_was_read_before_or_is_gone_is_left_once(letters):
    letters.add(letter(State.REPLAYED, b"good"))
    letters.add(letter(record=PlainRecord("t", 1, 5)))
    assert values(letters.left({1: 8})) == [b"good"]
    assert values(letters.left({1: 8})) == []


def test_a_replay_whose_record_was_met_is_not_left(letters):
    letters.add(letter(State.REPLAYED, b"good"))
    letters.resolve(RECORD)
    assert values(letters.left({1: 8})) == []


def test_a_replay_behind_what_was_read_waits_for_its_record(letters):
    letters.add(letter(State.REPLAYED, b"good"))
    assert values(letters.left({1: 7})) == []
    assert values(letters.left({0: 9})) == []
