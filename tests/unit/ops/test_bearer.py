import pytest

from prom_faust.ops.bearer import permits


@pytest.mark.parametrize(
    "header", [None, "", "s3cret", "Basic s3cret", "Bearer", "Bearer s3cre", "Bearer s3crets"]
)
def test_without_the_right_token_nothing_is_permitted(header):
    assert not permits("s3cret", header)


@pytest.mark.parametrize("header", ["Bearer s3cret", "bearer s3cret", "Bearer  s3cret "])
def test_with_the_token_everything_is(header):
    assert permits("s3cret", header)


def test_where_there_is_no_token_anybody_may_look():
    assert permits(None, None)
    assert permits(None, "Bearer whatever")


def test_a_token_may_have_any_letters():
    assert permits("schlüssel", "Bearer schlüssel")
    assert not permits("schlüssel", "Bearer \ud800")


def test_a_byte_that_is_no_text_is_not_a_character_of_the_token():
    assert not permits("s3cret?", "Bearer s3cret\udcff")
