"""What a record and a letter do at their position."""

import bson

from prom_faust.dlq.envelope import DeadLetter, State
from prom_faust.dlq.redaction import HASHED
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder
from prom_faust.sink.log.entry import DEAD, LIVE, NULL, POISON, entry_of, entry_of_letter
from prom_faust.sink.options import ChangelogOptions

DECODE = decoder(ChangelogOptions(topic="t", collection="c"))


def record(value, key=b"a"):
    return PlainRecord("t", 0, 5, 1, key, value)


def test_a_value_is_a_document():
    entry = entry_of(record(b'{"x": 1}'), DECODE)
    assert (entry.n, entry.key, entry.kind) == (5, "a", LIVE)
    assert bson.decode(entry.body)["x"] == 1


def test_a_null_is_a_tombstone():
    assert entry_of(record(None), DECODE).kind == NULL


def test_what_does_not_decode_keeps_its_key():
    entry = entry_of(record(b"{"), DECODE)
    assert (entry.key, entry.kind) == ("a", POISON)


def test_a_record_without_a_key_has_none():
    assert entry_of(record(b"{}", key=None), DECODE)[:2] == (5, None)


def test_a_letter_is_dead_and_keeps_its_key():
    letter = DeadLetter(record(b"{"), "group", "E", "m")
    assert entry_of_letter(letter, DECODE)[:4] == (5, "a", None, DEAD)


def test_a_letter_that_does_not_tell_its_key_has_none():
    key = HASHED + b"9f86d081"
    assert (
        entry_of_letter(DeadLetter(record(b"{", key), "group", "E", "m", redacted=True), DECODE).key is None
    )
    assert entry_of_letter(DeadLetter(record(b"{", key), "group", "E", "m"), DECODE).key == key.decode()


def test_a_replayed_letter_counts_with_the_value_in_it():
    letter = DeadLetter(record(b'{"x": 2}'), "group", "E", "m", state=State.REPLAYED)
    assert bson.decode(entry_of_letter(letter, DECODE).body)["x"] == 2
