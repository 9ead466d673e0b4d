import pytest
from pymongo import helpers_shared

from prom_faust.sink.outcome import BAD_DATA, DUPLICATE_KEY, INFRASTRUCTURE, Failure, Verdict, classify


@pytest.mark.parametrize("code", sorted(INFRASTRUCTURE))
def test_an_infrastructure_code_is_tried_again(code):
    assert classify({"code": code}).verdict is Verdict.RETRY


@pytest.mark.parametrize("code", sorted(BAD_DATA))
def test_a_bad_data_code_blames_the_document(code):
    assert classify({"code": code}).verdict is Verdict.BAD_DATA


@pytest.mark.parametrize("code", [0, 1, 8, 12345])
def test_an_unlisted_code_is_unknown(code):
    assert classify({"code": code}).verdict is Verdict.UNKNOWN


def test_no_code_is_in_two_classes():
    assert not INFRASTRUCTURE & BAD_DATA
    assert DUPLICATE_KEY not in INFRASTRUCTURE | BAD_DATA


def test_every_code_that_the_driver_retries_is_infrastructure():
    assert helpers_shared._RETRYABLE_ERROR_CODES <= INFRASTRUCTURE
    assert helpers_shared._NOT_PRIMARY_CODES <= INFRASTRUCTURE


@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [
        ({"_key": 1}, Verdict.KEY_TAKEN),
        ({"email": 1}, Verdict.UNIQUE),
        ({"_key": 1, "email": 1}, Verdict.UNIQUE),
        ({"email": 1, "_key": 1}, Verdict.UNIQUE),
        ({"_id": 1}, Verdict.PRESENT),
        ({"_id_": 1}, Verdict.UNIQUE),
        ({"_key_1": 1}, Verdict.UNIQUE),
    ],
)
def test_a_duplicate_is_told_by_its_key_pattern_whatever_the_message_says(pattern, verdict):
    for name in ("_key_1", "email_1"):
        error = {"code": 11000, "keyPattern": pattern, "errmsg": f"index: {name} dup key"}
        assert classify(error).verdict is verdict


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        (
            "E11000 duplicate key error collection: prom.p index: _key_1 dup key: { _key: 1 }",
            Verdict.KEY_TAKEN,
        ),
        ("E11000 duplicate key error index: prom.processes.$_key_1 dup key: { : 1 }", Verdict.KEY_TAKEN),
        ("E11000 duplicate key error collection: prom.p index: _id_ dup key: { _id: 1 }", Verdict.PRESENT),
        ("E11000 duplicate key error collection: prom.p index: email_1 dup key", Verdict.UNIQUE),
        ("E11000 duplicate key error index: prom.processes.$email_1 dup key", Verdict.UNIQUE),
        ("E11000 duplicate key error collection: prom.p index: x_key_1 dup key", Verdict.UNIQUE),
        ("E11000 duplicate key error collection: prom.p index: _key_1_email_1 dup key", Verdict.UNIQUE),
        ("E11000 duplicate key error collection: prom.p index: _key_10 dup key", Verdict.UNIQUE),
        ("E11000 duplicate key error index: email_1 dup key: { : 'index: _key_1 dup key' }", Verdict.UNIQUE),
        ("E11000 duplicate key error", Verdict.UNIQUE),
        ("", Verdict.UNIQUE),
    ],
)
def test_without_a_key_pattern_the_first_index_name_in_the_message_tells(message, verdict):
    assert classify({"code": 11000, "errmsg": message}).verdict is verdict


def test_a_failure_keeps_place_code_and_message():
    assert classify({"index": 3, "code": 121, "errmsg": "failed validation"}) == Failure(
        3, 121, "failed validation", Verdict.BAD_DATA
    )


def test_an_empty_entry_is_classified_too():
    assert classify({}) == Failure(0, 0, "", Verdict.UNKNOWN)
