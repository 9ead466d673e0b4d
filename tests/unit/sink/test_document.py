import bson
import pytest

from prom_faust.exceptions import DocumentError
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.document import (
    ID_BYTES,
    MAX_DOCUMENT_BYTES,
    document_of,
    encode_document,
    has_operator_names,
    marker_of,
    system_fields,
)
from prom_faust.sink.event import Change, position

RECORD = PlainRecord("states", 2, 9, 1_700_000_000_123, b"k")
N = 2 * 2**48 + 9
SRC = {"t": "states", "p": 2, "o": 9, "n": N}


def test_the_fields_of_a_document_stand_in_their_order():
    body = encode_document("k", {"z": 1, "a": [1, {"b": None}]}, RECORD, N, 5)
    document = bson.decode(body)
    assert list(document) == ["_key", "z", "a", "_ts", "_src", "_v"]
    assert document == {
        "_key": "k",
        "z": 1,
        "a": [1, {"b": None}],
        "_ts": 1_700_000_000_123,
        "_src": SRC,
        "_v": 5,
    }
    assert list(document["_src"]) == ["t", "p", "o", "n"]


def test_without_a_version_there_is_no_version_field():
    assert list(system_fields(RECORD, N, None)) == ["_ts", "_src"]
    assert system_fields(RECORD, N, 0)["_v"] == 0


def test_the_position_is_stored_as_a_64_bit_integer():
    greatest = PlainRecord("t", 2**15 - 1, 2**48 - 1)
    document = bson.decode(encode_document("k", {}, greatest, position(greatest), -(2**63)))
    assert document["_src"]["n"] == 2**63 - 1
    assert document["_v"] == -(2**63)


def test_an_encoded_document_is_sent_as_it_is():
    body = encode_document(5, {"a": 1.5}, RECORD, N, None)
    document = document_of(Change(5, 9, RECORD, body))
    assert document.raw == body
    assert document["_key"] == 5


def test_a_tombstone_has_no_document():
    with pytest.raises(ValueError, match="tombstone"):
        document_of(Change("k", 9, RECORD))


def test_the_limit_leaves_room_for_the_id():
    empty = len(encode_document("k", {"a": ""}, RECORD, N, None))
    room = MAX_DOCUMENT_BYTES - ID_BYTES - empty
    assert len(encode_document("k", {"a": "x" * room}, RECORD, N, None)) == MAX_DOCUMENT_BYTES - 17
    with pytest.raises(DocumentError, match="16 MiB"):
        encode_document("k", {"a": "x" * (room + 1)}, RECORD, N, None)


def test_an_id_takes_17_bytes():
    body = encode_document("k", {}, RECORD, N, None)
    assert len(bson.encode({"_id": bson.ObjectId(), **bson.decode(body)})) == len(body) + ID_BYTES


def deeply_nested():
    value = {}
    for _ in range(100_000):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "fields", [{"a": 2**63}, {"a": object()}, {"a\0": 1}, {1: 1}, {"a": "\ud800"}, deeply_nested()]
)
def test_what_bson_cannot_hold_is_a_document_error(fields):
    with pytest.raises(DocumentError, match="MongoDB cannot store it"):
        encode_document("k", fields, RECORD, N, None)


def levels(count, wrap):
    value = 1
    for _ in range(count):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap", [lambda value: {"": value}, lambda value: [1, value], lambda value: (value,)]
)
def test_a_document_has_at_most_100_levels(wrap):
    encode_document("k", {"a": levels(99, wrap)}, RECORD, N, None)
    for count in (100, 150):
        with pytest.raises(DocumentError, match="deeper than MongoDB's 100 levels"):
            encode_document("k", {"b": [], "a": levels(count, wrap)}, RECORD, N, None)


def test_a_name_of_the_document_itself_is_told_from_an_inner_one():
    def found(fields):
        return has_operator_names(
            document_of(Change("k", N, RECORD, encode_document("k", fields, RECORD, N, None)))
        )

    assert found({"a": 1, "$schema": 1})
    assert not found({"a": {"$b": "$c"}, "d$": "$"})


def test_a_marker_holds_what_makes_older_writes_stale_and_nothing_else():
    marker = marker_of(Change("k", N, RECORD), deleted_at=77, version=None, inherits=True)
    assert marker == {"_key": "k", "_deleted": True, "_deleted_at": 77, "_src": SRC}


def test_a_marker_remembers_its_version_and_that_it_took_it_over():
    change = Change("k", N, RECORD)
    base = {"_key": "k", "_deleted": True, "_deleted_at": 77, "_src": SRC, "_v": 5}
    assert marker_of(change, deleted_at=77, version=5, inherits=False) == base
    assert marker_of(change, deleted_at=77, version=5, inherits=True) == {**base, "_inherits": True}
