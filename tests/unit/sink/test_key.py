"""Which values can be keys, and which of them are the same."""

import itertools

import bson
import pytest
from bson import Int64
from bson.raw_bson import RawBSONDocument

from prom_faust.exceptions import KeyMismatchError
from prom_faust.sink.key import JsonKey, checked_key, found_key, key_value

TELLS_APART = [
    *("", "a", "1", "true", "null", "a\0b", "ж"),
    *(0, 1, -1, 2**63 - 1, -(2**63), 0.5, 1e300, float(2**63)),
    *(True, False),
    *(
        {},
        {"a": 1},
        {"a": True},
        {"a": "1"},
        {"a": None},
        {"a": [1, 2]},
        {"a": [2, 1]},
        {"a": {"b": 1}},
        {"a.b": 1},
    ),
]
"""Values of which no two are the same for MongoDB."""


def test_two_keys_are_one_only_if_mongodb_takes_them_for_one():
    for left, right in itertools.combinations(TELLS_APART, 2):
        assert checked_key(left) != checked_key(right), (left, right)
    assert len({checked_key(value) for value in TELLS_APART}) == len(TELLS_APART)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (0, -0.0),
        (2**53, float(2**53)),
        ({"a": 1}, {"a": 1.0}),
        ({"a": [{"b": 2}]}, {"a": [{"b": 2.0}]}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_these_are_the_same_key_and_stand_in_one_form(left, right):
    assert checked_key(left) == checked_key(right)
    assert repr(key_value(checked_key(left))) == repr(key_value(checked_key(right)))


def test_a_key_is_found_again_in_its_document():
    for value in TELLS_APART:
        key = checked_key(value)
        assert found_key(key_value(key)) == key


def test_a_64_bit_integer_is_found_as_bson_reads_it():
    assert found_key(Int64(5)) == 5
    assert found_key({"a": Int64(5)}) == checked_key({"a": 5})


def test_an_object_that_is_found_in_another_order_is_another_key():
    assert found_key({"b": 2, "a": 1}) != checked_key({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [None, ["a"], b"a", float("nan"), {"a": b"x"}, {"$a": 1}])
def test_what_no_record_gives_is_no_key_that_is_found(value):
    assert found_key(value) is None


def test_an_undecoded_object_is_found():
    document = RawBSONDocument(bson.encode({"_key": {"a": {"b": 1}}}))
    assert found_key(document["_key"]) == JsonKey(b'{"a":{"b":1}}')


def test_the_known_fields_come_first_in_their_order():
    assert checked_key({"a": 1, "b": 2}, order=("b", "a")) == JsonKey(b'{"b":2,"a":1}')
    assert checked_key({"b": 1, "a": 2, "c": 3}, order=("b", "a")) == JsonKey(b'{"a":2,"b":1,"c":3}')


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_a_key_nests_as_deep_as_mongodb_stores():
    assert key_value(checked_key(nested(98))) == nested(98)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null cannot be a key"),
        (["a"], "an array cannot be a key"),
        (("a", 1), "an array cannot be a key"),
        (float("nan"), "nan cannot be a key"),
        (float("-inf"), "-inf cannot be a key"),
        (2**63, "does not fit a 64-bit integer"),
        (-(2**63) - 1, "does not fit a 64-bit integer"),
        ({"a": 2**64}, "does not fit a 64-bit integer"),
        ({"a": float("inf")}, "inf cannot be a key"),
        (b"a", "a key is text, a number, a boolean or an object"),
        ({"a": object()}, "a key is text, a number, a boolean or an object"),
        ({"$gt": ""}, "begin with [$]"),
        ({"a": {"$b": 1}}, "begin with [$]"),
        ({"a\0": 1}, "null character"),
        ({1: 1}, "name must be text"),
        ("\ud800", "not Unicode text"),
        ({"a": "\ud800"}, "not Unicode text"),
        ({"\ud800": 1}, "not Unicode text"),
        (nested(99), "deeper than 98 levels"),
        (nested(900), "deeper than 98 levels"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_the_reason(value, reason):
    with pytest.raises(KeyMismatchError, match=reason):
        checked_key(value)
