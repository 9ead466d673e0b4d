"""Documents as they come from MongoDB, compared without decoding and decoded."""

import bson
from bson import DatetimeMS, ObjectId
from bson.raw_bson import RawBSONDocument

from prom_faust.sink.verify.mongo import decode_body, same_bytes

FIELDS = {"_key": "a", "x": [1, {"y": None}]}


def stored(fields, _id=None):
    return RawBSONDocument(bson.encode({"_id": _id or ObjectId(), **fields}))


def test_the_id_does_not_count():
    assert same_bytes(stored(FIELDS), bson.encode(FIELDS))


def test_another_value_is_seen():
    assert not same_bytes(stored({**FIELDS, "x": 2}), bson.encode(FIELDS))


def test_an_id_of_another_type_is_left_to_the_comparison_by_fields():
    document = stored(FIELDS, _id="mine")
    assert not same_bytes(document, bson.encode(FIELDS))
    assert decode_body(document.raw) == FIELDS


def test_a_date_that_python_cannot_hold_is_a_value():
    far = {"when": DatetimeMS(400_000_000_000_000)}
    assert decode_body(bson.encode(far)) == far
