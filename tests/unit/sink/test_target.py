"""Which names a function of the key may give."""

import pytest

from prom_faust.exceptions import DocumentError
from prom_faust.sink.key import JsonKey
from prom_faust.sink.target import home_of


@pytest.mark.parametrize("name", ["orders", "a.b", "ä", "x" * 190, "prom_", "A b-c_1"])
def test_a_name_that_mongodb_takes_is_given(name):
    assert home_of("own", lambda _: name)("k") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".a",
        "a.",
        "a..b",
        "a$b",
        "a\0",
        "_prom_targets",
        "system.views",
        "x" * 191,
        "\ud800",
        5,
        b"a",
    ],
    ids=repr,
)
def test_any_other_is_refused(name):
    with pytest.raises(DocumentError, match="collection_of"):
        home_of("own", lambda _: name)("k")


def test_none_is_the_projections_own_and_so_is_no_function():
    assert home_of("own", lambda _: None)("k") == "own"
    assert home_of("own", None)("k") == "own"


def test_the_function_gets_the_key_as_it_stands_in_the_document():
    home = home_of("own", lambda key: f"of_{key['region']}")
    assert home(JsonKey(b'{"region":"eu"}')) == "of_eu"


def test_what_the_function_raises_is_the_cause():
    with pytest.raises(DocumentError, match="ZeroDivisionError") as caught:
        home_of("own", lambda key: 1 // key)(0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
