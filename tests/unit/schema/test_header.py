import pytest

from prom_faust.exceptions import DecodeError
from prom_faust.schema.header import SCHEMA_VERSION_HEADER, schema_version, with_version, without_version

NAME = SCHEMA_VERSION_HEADER


def test_its_name_is_fixed():
    assert NAME == "x-schema-version"


@pytest.mark.parametrize("headers", [None, {}, [], (), {"a": b"1"}, [("X-Schema-Version", b"1")]])
def test_no_header_is_no_version(headers):
    assert schema_version(headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {NAME: b"12"},
        [(NAME, b"12")],
        ((NAME, b"12"),),
        [[NAME, b"12"]],
        [("a", b"1"), (NAME, b"12"), ("a", None)],
        ((name, value) for name, value in [(NAME, b"12")]),
    ],
    ids=["mapping", "list", "tuple", "lists in a list", "among others", "iterator"],
)
def test_a_schema_version_is_ascii_decimal(headers):
    assert schema_version(headers) == 12


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"-1",
        b"+1",
        b"1.0",
        b" 1",
        b"1\n",
        b"v1",
        b"1_0",
        b"0x1",
        b"\xd9\xa1",
        b"1" * 10,
        b"1" * 5000,
        None,
    ],
)
def test_another_schema_version_is_bad(raw):
    with pytest.raises(DecodeError, match=NAME):
        schema_version([(NAME, raw)])


@pytest.mark.parametrize(
    "raw", ["1", 1, 1.0, True, bytearray(b"1"), memoryview(b"1"), ["1"]], ids=lambda raw: type(raw).__name__
)
def test_a_schema_version_that_is_no_bytes_is_bad(raw):
    with pytest.raises(DecodeError, match=NAME):
        schema_version({NAME: raw})


def test_two_schema_versions_are_bad_also_when_they_agree():
    with pytest.raises(DecodeError, match="2 times"):
        schema_version([(NAME, b"1"), (NAME, b"1")])


def test_the_message_quotes_no_more_than_the_beginning():
    with pytest.raises(DecodeError) as caught:
        schema_version([(NAME, b"x" * 5000)])
    assert len(str(caught.value)) < 200


def test_the_version_is_written_once_and_the_rest_stays_in_order():
    headers = [("a", b"1"), (NAME, b"7"), ("b", None), (NAME, b"8"), ("a", b"2")]
    assert with_version(headers, 3) == [("a", b"1"), ("b", None), ("a", b"2"), (NAME, b"3")]


def test_no_version_is_written_and_the_rest_stays_in_order():
    assert without_version([("a", b"1"), (NAME, b"7"), ("a", b"2")]) == [("a", b"1"), ("a", b"2")]
    assert without_version(None) == []


@pytest.mark.parametrize("headers", [{"a": b"1", NAME: b"7"}, [("a", b"1"), (NAME, b"7")]])
def test_the_headers_of_the_caller_are_untouched(headers):
    before = headers.copy()
    assert with_version(headers, 3) is not headers
    assert without_version(headers) is not headers
    assert headers == before


@pytest.mark.parametrize("version", [1, 10, 999_999_999])
def test_what_is_written_is_read(version):
    assert schema_version(with_version(None, version)) == version
