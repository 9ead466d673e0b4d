"""What is said of a bad record in logs and on pages: never a value of it."""

import pytest
from pydantic import BaseModel, field_validator

from prom_faust.dlq.reason import reason_of
from prom_faust.dlq.redaction import names_of
from prom_faust.exceptions import RecordError, WriteRejectedError
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder
from prom_faust.sink.options import ChangelogOptions


class Order(BaseModel):
    amount: int
    notes: dict[str, int] = {}

    @field_validator("amount")
    @classmethod
    def check(cls, amount):
        if amount < 0:
            raise ValueError(f"secret {amount}")
        return amount


def reason(value, *, key=b"k", **options):
    decode = decoder(ChangelogOptions(topic="t", collection="c", **{"model": Order, **options}))
    with pytest.raises(RecordError) as caught:
        decode(PlainRecord("t", 0, 1, key=key, value=value))
    return reason_of(caught.value, names_of(options.get("model", Order)))


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        (b'{"amount": "secret"}', {}, "DecodeError: amount (int_parsing)"),
        (b'{"amount": -5}', {}, "DecodeError: amount (value_error)"),
        (b'{"notes": {"secret": "secret"}}', {}, "DecodeError: amount (missing), notes.* (int_parsing)"),
        (b"[1", {}, "DecodeError: value (json_invalid)"),
        (
            b"secret",
            {"model": None},
            "DecodeError: not JSON: unexpected character, expected a JSON value: line 1 column 1 (char 0)",
        ),
        (b'{"id": "secret"}', {"model": None, "key_of": "id"}, "KeyMismatchError"),
        (b'{"id": "secret"}', {"model": None, "map": lambda e: e["x"]}, "DocumentError (KeyError)"),
        (b'{"v": "secret"}', {"model": None, "version_of": "v"}, "VersionError"),
    ],
)
def test_a_reason_names_class_and_place(value, options, expected):
    assert reason(value, **options) == expected


def test_of_mongodb_the_code_is_told():
    assert (
        reason_of(WriteRejectedError("dup key: secret", code=11000), ())
        == "WriteRejectedError (MongoDB's code 11000)"
    )
    assert reason_of(WriteRejectedError("secret"), ()) == "WriteRejectedError"


def test_of_many_places_the_first_are_named():
    value = b'{"amount": 1, "notes": {%s}}' % b", ".join(b'"k%d": "x"' % n for n in range(30))
    assert reason(value) == "DecodeError: notes.* (int_parsing)"
