import pytest
from pydantic import BaseModel

from prom_faust.exceptions import RecordKeyError
from prom_faust.routing.key import chosen_key, key_of_payload, stand_in
from prom_faust.schema.registry import SchemaRegistry


class State(BaseModel):
    id: str | int | None = None


class Text(bytes):
    """Bytes of a class of their own."""


def checked(data):
    registry = SchemaRegistry()
    return registry.register("t", {}, version=1).encode(data)


KINDS = [bytes, bytearray, memoryview, Text, checked]


def same(one, other):
    return str(one) == str(other)


# -- the key in a payload -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [State(id="x"), {"id": "x"}, b'{"id":"x"}', bytearray(b'{"id":"x"}'), b'{"_deleted":true,"id":"x"}'],
    ids=repr,
)
def test_a_field_of_a_payload_is_its_key(value):
    assert key_of_payload("id", value) == "x"


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_found_in_bytes_of_every_kind(kind):
    assert key_of_payload("id", kind(b'{"id":"x"}')) == "x"
    assert key_of_payload(lambda value: value["id"], kind(b'{"id":7}')) == 7


def test_a_function_gets_the_payload_as_it_was_sent_and_json_where_it_was_bytes():
    assert key_of_payload(lambda state: state.id, State(id=7)) == 7
    assert key_of_payload(lambda event: event["a"]["b"], b'{"a":{"b":"x"}}') == "x"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"null",
        b"",
        b"{",
        b"\xff",
        {},
        {"id": None},
        State(),
        {"_deleted": True},
        b"5",
        b"[]",
        5,
        "text",
    ],
    ids=repr,
)
def test_a_payload_without_the_field_has_no_key(value):
    assert key_of_payload("id", value) is None


def test_a_function_is_not_asked_for_the_key_of_nothing():
    for value in (None, b"null", b"{"):
        assert key_of_payload(lambda _: pytest.fail("was asked"), value) is None


# -- which key a record gets --------------------------------------------------------------------------------------


def test_the_key_of_the_payload_counts_else_the_explicit_one():
    assert chosen_key("t", "x", None, same=same) == "x"
    assert chosen_key("t", None, "y", same=same) == "y"
    assert chosen_key("t", None, None, same=same) is None
    assert chosen_key("t", "x", "x", same=same) == "x"
    assert chosen_key("t", "", None, same=same) == ""
    assert chosen_key("t", 0, None, same=same) == 0


def test_two_keys_that_are_the_same_on_the_wire_are_one():
    assert chosen_key("t", 7, "7", same=same) == 7


@pytest.mark.parametrize(("found", "given"), [("x", "y"), ("x", ""), ("", "x"), (0, "x"), ("x", 0)])
def test_two_keys_that_differ_are_an_error_that_names_both(found, given):
    with pytest.raises(RecordKeyError) as caught:
        chosen_key("topic", found, given, same=same)
    for part in ("topic", repr(found), repr(given)):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "found", [True, 1.5, {}, [], ("a",), object(), "\ud800"], ids=lambda found: type(found).__name__
)
def test_what_can_be_no_key_is_an_error_of_the_key_function(found):
    with pytest.raises(RecordKeyError, match="key function of t gave"):
        chosen_key("t", found, None, same=same)


# -- what stands in for a key -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"b": 1, "a": [1, 2]}', b'{"a":[1,2],"b":1}'),
        (b' {"b":{"d":1,"c":2}}\n', b'{"b":{"c":2,"d":1}}'),
        (b'"\\u00e9"', '"é"'.encode()),
        (b"1e2", b"100.0"),
        (b"[1,  2]", b"[1,2]"),
        (b"null", b"null"),
        (b"", b""),
        (None, b""),
    ],
    ids=repr,
)
def test_it_is_the_canonical_json(value, expected):
    assert stand_in(value) == expected


def test_payloads_that_say_the_same_have_the_same():
    forms = [b'{"a":1,"b":2}', b'{"b":2,"a":1}', b'{ "a" : 1, "b" : 2 }', b'{"\\u0061":1,"b":2}']
    assert len({stand_in(form) for form in forms}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_same_for_bytes_of_every_kind(kind):
    assert stand_in(kind(b'{"b": 1, "a": 2}')) == b'{"a":2,"b":1}'


def test_it_is_64_characters_long_not_64_bytes():
    assert stand_in(f'"{"é" * 100}"'.encode()) == f'"{"é" * 63}'.encode()
    assert stand_in(b'"' + b"x" * 62 + b'"') == b'"' + b"x" * 62 + b'"'
    assert stand_in(f'"{"😀" * 100}"'.encode()).decode() == '"' + "😀" * 63


def test_what_is_no_json_stands_for_itself():
    assert stand_in(b"\xff" * 100) == b"\xff" * 64
    assert stand_in(b"{") == b"{"
    assert stand_in(b"[" * 5000 + b"]" * 5000) == b"[" * 64
