import pytest

from prom_faust.schema.tombstone import is_deleted, is_null, is_tombstone, may_be_deleted


class Text(bytes):
    """Bytes of a class of their own."""


@pytest.mark.parametrize("value", [None, b"null", b" null", b"null\r\n", b"\t null "])
def test_null_is_a_tombstone_with_json_s_white_space_around_it(value):
    assert is_null(value)
    assert is_tombstone(value)


@pytest.mark.parametrize("value", [b"\x0bnull", b"null\x0c", b"\xa0null", b"\xef\xbb\xbfnull"])
def test_other_white_space_makes_it_no_json_and_so_no_null(value):
    assert not is_null(value)
    assert not is_tombstone(value)


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"nul", b"NULL", b"None", b'"null"', b"[null]", b"null null", b"nullnull", b"0", b"false"],
)
def test_what_is_like_null_is_none(value):
    assert not is_tombstone(value)


@pytest.mark.parametrize(
    "value",
    [
        b'{"_deleted":true}',
        b' { "a" : [1, {"b": 2}] , "_deleted" : true } ',
        b'{"\\u005fdeleted":true}',
        b'{"_delete\\u0064":true}',
        b'{"_deleted":false,"_deleted":true}',
    ],
)
def test_a_body_that_says_so_is_a_tombstone(value):
    assert is_tombstone(value)


@pytest.mark.parametrize(
    "value",
    [
        b'{"_deleted":"true"}',
        b'{"_deleted":1}',
        b'{"_deleted":1.0}',
        b'{"_deleted":false}',
        b'{"_deleted":null}',
        b'{"_deleted":[true]}',
        b'{"_Deleted":true}',
        b'{"deleted":true}',
        b'{"a":{"_deleted":true}}',
        b'[{"_deleted":true}]',
        b'"_deleted"',
        b'{"a":"_deleted"}',
        b'{"_deleted":true,"_deleted":false}',
    ],
)
def test_a_body_that_says_something_else_is_none(value):
    assert not is_tombstone(value)


@pytest.mark.parametrize(
    "value",
    [
        b'{"_deleted":true',
        b'{"_deleted":true}}',
        b'{"_deleted":true,}',
        b'{"_deleted":true,"x":NaN}',
        b'{"_deleted":True}',
        b"{'_deleted':true}",
        b'\xef\xbb\xbf{"_deleted":true}',
        b'{"_deleted":true,"x":"\xff"}',
        '{"_deleted":true}'.encode("utf-16"),
        b'{"_deleted":true,"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_what_is_no_json_is_none(value):
    assert not is_tombstone(value)


@pytest.mark.parametrize("value", [b"null", b'{"_deleted":true}'])
def test_bytes_of_another_class_are_bytes(value):
    assert is_tombstone(Text(value))


def test_a_decoded_body_says_so_with_true_only():
    assert is_deleted({"_deleted": True, "a": 1})
    for event in ({"_deleted": 1}, {"_deleted": "true"}, {}, [{"_deleted": True}], None, True, "_deleted"):
        assert not is_deleted(event)


def test_every_spelling_is_worth_a_look():
    assert may_be_deleted(b'{"_deleted":true}')
    assert may_be_deleted(b'{"\\u005fdeleted":true}')
    assert not may_be_deleted(b'{"deleted":true}')
