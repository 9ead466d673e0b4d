"""No number of a record is changed on the way into a document."""

import pytest

from prom_faust.exceptions import DecodeError
from prom_faust.sink.json import check_floats, read_json


@pytest.mark.parametrize(
    "digits",
    [
        *("9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616"),
        *("-9223372036854775808", "-9223372036854775809", "99999999999999999999", "-10000000000000000000"),
        *("1" * 300, "-" + "1" * 300),
    ],
)
def test_an_integer_of_any_size_is_read_as_it_is(digits):
    for text in (digits, f"[1, {digits}]", f'{{"a": {{"b":{digits}}}}}'):
        assert digits in repr(read_json(text.encode()))


def test_digits_that_are_no_integer_change_nothing():
    value = b'{"id": "123456789012345678901234567890", "x": 0.1234567890123456789012, "y": 1e5}'
    assert read_json(value) == {"id": "123456789012345678901234567890", "x": 0.12345678901234568, "y": 1e5}


@pytest.mark.parametrize("value", [b'{"a": 1e309}', b"[-1e999]", b"9" * 309 + b".5"])
def test_a_number_that_no_float_holds_is_refused(value):
    with pytest.raises(DecodeError, match="infinity"):
        read_json(value)
    with pytest.raises(DecodeError, match="does not fit a float"):
        check_floats(value)


def test_an_infinity_by_name_is_the_models_business():
    check_floats(b'{"a": Infinity, "b": -Infinity, "c": 1e308}')
