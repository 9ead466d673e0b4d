import pytest

from prom_faust.sink.resync.gone import is_gone
from prom_faust.sink.resync.seen import SeenKeys

DOCUMENT = {"_key": "k", "_src": {"t": "states", "p": 1, "o": 70, "n": (1 << 48) + 70}}


def gone(document=DOCUMENT, until=90, seen=()):
    with SeenKeys() as keys:
        for partition, key in seen:
            keys.add(partition, [key, key])
        return is_gone(document, {1: until}, keys.has)


def test_a_document_without_a_record_is_gone():
    assert gone()
    assert gone(seen=[(1, "other")])


def test_a_document_whose_key_was_seen_stays():
    assert not gone(seen=[(1, "k")])


def test_a_key_in_another_partition_is_another_one():
    assert gone(seen=[(0, "k"), (2, "k")])


def test_text_and_numbers_are_different_keys():
    number = {**DOCUMENT, "_key": 7}
    assert gone(number, seen=[(1, "7")])
    assert not gone(number, seen=[(1, 7)])


@pytest.mark.parametrize("until", [70, 0])
def test_a_document_of_a_later_record_stays(until):
    assert not gone(until=until)


@pytest.mark.parametrize(
    "document",
    [
        {**DOCUMENT, "_src": {**DOCUMENT["_src"], "p": 2}},
        {**DOCUMENT, "_src": {"t": "states", "p": 1, "o": "70", "n": 1}},
        {**DOCUMENT, "_src": {"t": "states", "p": 1, "o": 70}},
        {**DOCUMENT, "_src": 1},
        {**DOCUMENT, "_key": None},
        {"_key": "k"},
    ],
)
def test_what_the_sink_did_not_write_there_stays(document):
    assert not gone(document)
