import logging
import math
from collections import OrderedDict

import pytest
from pydantic import BaseModel, Field

from prom_faust.exceptions import PayloadInvalidError
from prom_faust.schema.header import SCHEMA_VERSION_HEADER, schema_version
from prom_faust.schema.outgoing import is_passed, outgoing
from prom_faust.schema.registry import SchemaRegistry
from prom_faust.schema.version import Checked

NAME = SCHEMA_VERSION_HEADER
CALLER = [("a", b"1"), ("a", b"2"), ("b", None)]


class First(BaseModel):
    id: str


class Second(First):
    note: str


class Deletable(First):
    deleted: bool = Field(default=False, alias="_deleted")


class Text(bytes):
    """Bytes of a class of their own."""


def subject_of(*schemas, policy="enforce", topic="t"):
    registry = SchemaRegistry()
    for number, schema in enumerate(schemas, 1):
        registry.register(topic, schema, version=number, policy=policy, compatibility="none")
    return registry.find(topic)


BOTH = subject_of(First, Second)
ONE = subject_of(First)


def send(value, headers=None, *, subject=ONE, compacted=False):
    return outgoing(subject, value, headers, compacted=compacted)


def refused(value, headers=None, *, subject=ONE, compacted=False):
    with pytest.raises(PayloadInvalidError) as caught:
        send(value, headers, subject=subject, compacted=compacted)
    return caught.value


# -- the version --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "headers", "number"),
    [
        (First(id="x"), None, 1),
        (Second(id="x", note="y"), None, 2),
        ({"id": "x", "note": "y"}, None, 2),
        (b'{"id":"x","note":"y"}', None, 2),
        ({"id": "x"}, {NAME: b"1"}, 1),
        (b'{"id":"x"}', [(NAME, b"1")], 1),
        (b'{"id":"x"}', [(NAME, b"01")], 1),
    ],
    ids=repr,
)
def test_the_header_names_the_version_that_was_obeyed_exactly_once(value, headers, number):
    _, named = send(value, headers, subject=BOTH)
    assert [pair for pair in named if pair[0] == NAME] == [(NAME, b"%d" % number)]


@pytest.mark.parametrize(
    ("value", "headers", "number"),
    [
        ({"id": "x"}, None, 2),
        ({"id": "x", "note": "y"}, {NAME: b"1"}, 1),
        (First(id="x"), {NAME: b"2"}, 2),
        (Second(id="x", note="y"), {NAME: b"1"}, 1),
        ({"id": "x"}, {NAME: b"3"}, 3),
        ({"id": "x"}, {NAME: b"0"}, 0),
    ],
    ids=repr,
)
def test_a_value_that_does_not_obey_the_version_that_is_meant_is_refused(value, headers, number):
    assert refused(value, headers, subject=BOTH).version == number


@pytest.mark.parametrize(
    "headers",
    [
        {NAME: b"x"},
        {NAME: b""},
        {NAME: "1"},
        {NAME: 1},
        {NAME: None},
        {NAME: bytearray(b"1")},
        [(NAME, b"1"), (NAME, b"1")],
        [(NAME, b"1"), (NAME, b"2")],
    ],
    ids=repr,
)
def test_a_header_that_names_no_version_is_refused(headers):
    assert NAME in str(refused({"id": "x"}, headers))


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_the_caller_s_headers_go_along_in_their_order(kind):
    _, named = send({"id": "x"}, kind(CALLER))
    assert list(named) == [*CALLER, (NAME, b"1")]


@pytest.mark.parametrize("headers", [{"a": b"1"}, [("a", b"1")], {"a": b"1", NAME: b"1"}, {}])
def test_the_caller_s_headers_are_untouched(headers):
    before = headers.copy()
    send({"id": "x"}, headers)
    send(None, headers, compacted=True)
    assert headers == before


# -- tombstones ---------------------------------------------------------------------------------------------------

TOMBSTONES = [
    (None, None),
    (b"null", b"null"),
    (b" null\n", b" null\n"),
    ({"_deleted": True}, b'{"_deleted":true}'),
    ({"_deleted": True, "id": 5, "z": None}, b'{"_deleted":true,"id":5,"z":null}'),
    (b'{"_deleted": true}', b'{"_deleted": true}'),
    (b'{"\\u005fdeleted":true}', b'{"\\u005fdeleted":true}'),
]


@pytest.mark.parametrize(("value", "expected"), TOMBSTONES, ids=repr)
def test_on_a_compacted_topic_a_tombstone_goes_through_and_claims_no_version(value, expected):
    data, headers = send(value, [*CALLER, (NAME, b"1")], compacted=True)
    assert data == expected
    assert list(headers) == CALLER


@pytest.mark.parametrize("value", [value for value, _ in TOMBSTONES], ids=repr)
def test_on_another_topic_it_is_refused(value):
    refused(value)


@pytest.mark.parametrize("kind", [bytearray, memoryview, Text])
@pytest.mark.parametrize("data", [b"null", b'{"_deleted":true}'])
def test_a_tombstone_in_another_kind_of_bytes_is_one(kind, data):
    found, headers = send(kind(data), compacted=True)
    assert found == data
    assert schema_version(headers) is None


@pytest.mark.parametrize(
    "value",
    [
        {"_deleted": 1},
        {"_deleted": "true"},
        {"_deleted": False},
        {"a": {"_deleted": True}},
        [{"_deleted": True}],
        OrderedDict(_deleted=1),
        "null",
        False,
        0,
        "",
        b"",
        b"nul",
        b"\x0bnull",
        b'{"_deleted":"true"}',
        b'{"_deleted":true,"_deleted":false}',
        b'{"_deleted":true',
        b'{"_deleted":true,"x":NaN}',
        b'\xef\xbb\xbf{"_deleted":true}',
    ],
    ids=repr,
)
def test_what_is_like_a_tombstone_is_refused(value):
    refused(value, compacted=True)


@pytest.mark.parametrize(
    "value",
    [{"_deleted": True, "x": object()}, {"_deleted": True, 1: 2}, {"_deleted": True, "x": "\ud800"}],
    ids=["object", "name", "text"],
)
def test_a_tombstone_without_json_is_refused_with_the_error_of_a_refusal(value):
    assert refused(value, compacted=True).topic == "t"


def test_a_model_that_says_that_it_deletes_is_a_tombstone_to_all_who_read_it():
    subject = subject_of(Deletable)
    for value in (
        Deletable(id="x", _deleted=True),
        Deletable(id="x", _deleted=True).model_dump(by_alias=True),
    ):
        data, headers = send(value, subject=subject, compacted=True)
        assert data == b'{"id":"x","_deleted":true}'
        assert schema_version(headers) in {None, 1}


# -- policies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"id": 5}, b"garbage", "x", None, {"id": "x", "z": 1}], ids=repr)
def test_warn_sends_it_all_the_same_without_a_version_and_says_so(caplog, value):
    with caplog.at_level(logging.WARNING, "prom_faust.schema.outgoing"):
        data, headers = send(value, [*CALLER, (NAME, b"1")], subject=subject_of(First, policy="warn"))
    assert data == (value if isinstance(value, bytes) else subject_of(First).latest.dump(value))
    assert list(headers) == CALLER
    assert "t v1" in caplog.text


def test_a_flood_of_what_does_not_obey_is_a_few_lines_without_values(caplog):
    subject = subject_of(First, policy="warn")
    for number in range(1_000):
        send({"id": number + 0.5, "secret": "geheim"}, subject=subject)
    assert len(caplog.records) == 10
    assert caplog.records[-1].getMessage().endswith("t v1: /id, /secret (512 so far)")
    assert caplog.records[-1].topic == "t"
    assert "geheim" not in caplog.text


def test_warn_names_the_version_of_what_obeys(caplog):
    data, headers = send({"id": "x"}, subject=subject_of(First, policy="warn"))
    assert (data, schema_version(headers)) == (b'{"id":"x"}', 1)
    assert caplog.text == ""


def test_warn_sends_also_a_model_that_was_never_validated():
    data, _ = send(First.model_construct(id=5), subject=subject_of(First, policy="warn"))
    assert data == b'{"id":5}'


def test_warn_says_that_it_was_sent_only_of_what_is_sent(caplog):
    refused(object(), subject=subject_of(First, policy="warn"))
    assert "sent all the same" not in caplog.text


# -- what was checked before --------------------------------------------------------------------------------------


def test_what_was_checked_passes_under_the_version_that_was_checked():
    data, _ = send({"id": "x"}, {NAME: b"1"}, subject=BOTH)
    assert is_passed(BOTH, data, 1)
    for named in (None, 2, 3):
        assert not is_passed(BOTH, data, named)


def test_it_does_not_pass_for_another_topic_nor_for_another_registry():
    data, _ = send({"id": "x"})
    assert not is_passed(subject_of(First, topic="u"), data, 1)
    assert not is_passed(subject_of(First), data, 1)


def test_plain_bytes_never_pass():
    for value in (b'{"id":"x"}', None, "x", Text(b'{"id":"x"}')):
        assert not is_passed(ONE, value, 1)


def test_what_warn_let_through_passes_as_long_as_the_policy_is_to_warn():
    subject = subject_of(First, policy="warn")
    data, _ = send({"id": 5}, subject=subject)
    assert is_passed(subject, data, None)
    assert not is_passed(subject, data, 1)
    subject.policy = "enforce"
    assert not is_passed(subject, data, None)


def test_what_warn_let_through_does_not_pass_for_another_topic():
    data, _ = send({"id": 5}, subject=subject_of(First, policy="warn"))
    assert not is_passed(subject_of(First, policy="warn", topic="u"), data, None)


def test_a_part_of_what_was_checked_is_checked_again():
    data, _ = send({"id": "x"})
    assert not is_passed(ONE, data + b" ", 1)
    assert refused(data[:-1])


def test_bytes_that_were_checked_keep_their_version():
    made = BOTH.versions[1].encode(First(id="x"))
    assert type(made) is Checked
    data, headers = send(made, subject=BOTH)
    assert (data, schema_version(headers)) == (made, 1)


@pytest.mark.parametrize("compacted", [True, False])
def test_nan_is_refused_whatever_the_topic(compacted):
    refused({"id": math.nan}, compacted=compacted)
    refused(math.nan, compacted=compacted)
