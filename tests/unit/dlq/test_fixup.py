"""What a user's function may make of a letter."""

from dataclasses import replace

import pytest
from pydantic import BaseModel

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.dlq.fixup import load_fix_up, mend
from prom_faust.exceptions import ConfigurationError, DecodeError
from prom_faust.lane.record import PlainRecord

RECORD = PlainRecord("t", 1, 2, 3, b"k", b"v", (("h", b"1"),))
LETTER = DeadLetter(RECORD, "group", "E", "m")


class Model(BaseModel):
    id: str


@pytest.mark.parametrize(
    ("given", "value"),
    [(b"raw", b"raw"), ({"a": 1}, b'{"a":1}'), ([1], b"[1]"), (Model(id="x"), b'{"id":"x"}')],
)
def test_a_value_takes_the_place_of_the_record_s(given, value):
    assert mend(LETTER, lambda _: given) == replace(RECORD, value=value)


def test_without_a_function_the_record_is_as_it_was():
    assert mend(LETTER, None) == RECORD


def test_none_leaves_it_alone():
    assert mend(LETTER, lambda _: None) is None


def test_a_whole_record_keeps_its_position_and_time():
    moved = PlainRecord("elsewhere", 7, 8, 9, b"other", b"x", ())
    assert mend(LETTER, lambda _: moved) == PlainRecord("t", 1, 2, 3, b"other", b"x", ())


@pytest.mark.parametrize("given", [object(), {"a": object()}])
def test_what_is_no_value_is_refused(given):
    with pytest.raises(DecodeError, match="the fix-up function gave"):
        mend(LETTER, lambda _: given)


def test_a_function_that_fails_is_named_with_its_error():
    with pytest.raises(DecodeError, match="ZeroDivisionError"):
        mend(LETTER, lambda _: 1 / 0)


@pytest.mark.parametrize(
    "name", ["json", "json:", "json:nothing", "no_such_module:fix", ":", "json:__name__"]
)
def test_a_name_that_names_no_function_is_refused(name):
    with pytest.raises(ConfigurationError, match="--fix"):
        load_fix_up(name)


def test_a_name_that_does_is_found():
    assert load_fix_up("json:dumps")({}) == "{}"
