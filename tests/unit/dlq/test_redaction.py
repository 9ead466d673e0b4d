"""What a letter shows of a record that holds personal data."""

import json
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, BaseModel, Field, Json, computed_field

from prom_faust.dlq.envelope import encode, letter_of, value_of
from prom_faust.dlq.redaction import HASHED, REDACTED, Redactor
from prom_faust.exceptions import ConfigurationError, DecodeError, KeyMismatchError, WriteRejectedError
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder
from prom_faust.sink.options import ChangelogOptions

PII = {"tags": ["pii"]}
ERROR = KeyMismatchError("the record key 'a@b.c' is not the key of its value")


def letter(redactor, value, *, key=b"k", error=ERROR):
    data = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    record = PlainRecord("t", 0, 7, 1, key, data, (("trace", b"x"),))
    return redactor.redact(letter_of(record, error, consumer="g", died_at=1), error)


def everything(one):
    """All bytes of a letter."""
    headers = b"\0".join(name.encode() + b"=" + (value or b"") for name, value in encode(one))
    return b"\0".join([one.record.key or b"", value_of(one) or b"", headers])


def shown(schema, value, *, tags=("pii",), key="id", **kwargs):
    return json.loads(letter(Redactor([schema], tags, key=key), value, **kwargs).record.value)


class Address(BaseModel):
    street: str = Field(json_schema_extra=PII)
    city: str


class Person(BaseModel):
    id: str
    email: str | None = Field(None, json_schema_extra={"tags": ["pii", "contact"]})
    home: Address | None = None
    others: list[Address] = []
    by_name: dict[str, Address] = {}
    either: int | Address | list[Address] = 1
    manager: "Person | None" = None


ADDRESS = {"street": "PII1", "city": "Ulm"}
LEFT = {"street": REDACTED, "city": "Ulm"}


def test_tagged_fields_are_left_out_wherever_they_stand():
    person = {
        "id": "k",
        "email": "PII0",
        "home": ADDRESS,
        "others": [ADDRESS, ADDRESS],
        "by_name": {"x": ADDRESS},
        "either": [ADDRESS],
        "manager": {"id": "m", "email": "PII2", "manager": {"id": "n", "home": ADDRESS}},
        "unknown": [1],
    }
    assert shown(Person, person) == {
        "id": "k",
        "email": REDACTED,
        "home": LEFT,
        "others": [LEFT, LEFT],
        "by_name": {"x": LEFT},
        "either": [LEFT],
        "manager": {"id": "m", "email": REDACTED, "manager": {"id": "n", "home": LEFT}},
        "unknown": [1],
    }


def test_only_the_fields_with_the_given_tags_are_left_out():
    assert shown(Person, {"email": "PII", "home": ADDRESS}, tags=["contact"]) == {
        "email": REDACTED,
        "home": ADDRESS,
    }


@pytest.mark.parametrize("misfit", ["PII street 1", 4711, ["PII street 1"], [[ADDRESS]], True])
def test_what_has_no_room_for_the_tagged_fields_is_left_out_whole(misfit):
    assert shown(Person, {"home": misfit, "id": 1}) == {"home": REDACTED, "id": 1}


@pytest.mark.parametrize(
    "value", [b'"PII"', b"[1]", b"{not json PII", b"\xff", b"NaN", b'{"email":"a","email":"b"}']
)
def test_a_value_that_is_no_object_is_left_out_whole(value):
    assert shown(Person, value) == REDACTED


def test_a_name_that_is_there_twice_hides_nothing():
    assert shown(Person, b'{"home": {"street": "PII"}, "home": null}') == REDACTED


def test_a_value_that_is_nested_too_deeply_is_left_out_whole():
    assert shown(Person, b'{"manager":' * 5_000 + b"1" + b"}" * 5_000) == REDACTED


@pytest.mark.parametrize("value", [{"id": 1, "home": None}, None, b""])
def test_a_value_without_tagged_fields_stays_as_it_is_and_can_be_replayed(value):
    one = letter(Redactor([Person], ["pii"], key="id"), value)
    assert not one.redacted
    assert one.record.key == b"k"
    assert one.record.value == (value if not isinstance(value, dict) else json.dumps(value).encode())


def test_a_letter_of_which_something_is_left_out_says_so_and_keeps_its_place():
    one = letter(Redactor([Person], ["pii"], key="id"), {"email": "PII"})
    assert one.redacted
    assert (one.record.topic, one.record.partition, one.record.offset, one.record.timestamp) == ("t", 0, 7, 1)
    assert one.record.headers == (("trace", b"x"),)


class Names(BaseModel):
    one: str = Field("", alias="uno", json_schema_extra=PII)
    two: str = Field(
        "", validation_alias=AliasChoices("deux", AliasPath("due", "zwei", 0)), json_schema_extra=PII
    )
    three: str = Field("", serialization_alias="drei", json_schema_extra=PII)
    packed: Json[Address] | None = None

    @computed_field(json_schema_extra=PII)
    @property
    def four(self) -> str:
        return self.one


@pytest.mark.parametrize(
    "value",
    [{name: "PII"} for name in ("one", "uno", "two", "deux", "three", "drei", "four")]
    + [{"due": {"zwei": ["PII"]}}, {"packed": json.dumps(ADDRESS | {"street": "PII"})}],
)
def test_a_field_is_found_under_every_name_that_it_is_read_or_written_under(value):
    assert b"PII" not in everything(letter(Redactor([Names], ["pii"], key="id"), value))


RAW = {
    "properties": {
        "a": {"type": "string", "confluent:tags": ["pii"]},
        "t": {
            "prefixItems": [{"type": "integer"}, {"tags": "pii"}],
            "items": {"$ref": "#/definitions/secret"},
        },
        "p": {"patternProperties": {"^s_": {"tags": ["pii"]}}, "additionalProperties": False},
        "n": {"propertyNames": {"tags": ["pii"]}},
        "far": {"$ref": "https://example.org/other.json"},
    },
    "definitions": {"secret": {"allOf": [{"minLength": 1}, {"tags": ["pii", "x"]}]}},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": "PII"}, {"a": REDACTED}),
        ({"t": [1, "PII", "PII"]}, {"t": [1, REDACTED, REDACTED]}),
        ({"p": {"s_x": "PII", "y": 1}}, {"p": {"s_x": REDACTED, "y": 1}}),
        ({"n": {"PII": 1}}, {"n": REDACTED}),
        ({"far": {"who": "knows"}}, {"far": REDACTED}),
    ],
)
def test_a_json_schema_is_understood_as_it_was_written(value, expected):
    assert shown(RAW, value) == expected


def test_tags_of_every_version_count():
    old = {"properties": {"phone": {"tags": ["pii"]}}}
    redactor = Redactor([Person, old], ["pii"], key="id")
    assert json.loads(letter(redactor, {"phone": 1, "email": 2}).record.value) == {
        "phone": REDACTED,
        "email": REDACTED,
    }


def test_tags_that_no_field_has_are_a_named_error():
    with pytest.raises(ConfigurationError, match=r"redact=\('pi',\): no field is tagged so"):
        Redactor([Person], ("pi",), key=None)


# -- keys ----------------------------------------------------------------------------------------------------


def key_of(*, field, value, key):
    return letter(Redactor([Person], ["pii"], key=field), value, key=key).record.key


def test_the_key_stays_unless_it_is_tagged_itself():
    assert key_of(field="id", value={"email": "PII"}, key=b"42") == b"42"
    assert key_of(field="email", value=None, key=b"a@b.c").startswith(HASHED)
    assert key_of(field="email", value=None, key=None) is None


def test_a_key_that_tells_a_tagged_value_is_hashed():
    for key in (b"a@b.c", b'"a@b.c"', b"eu|a@b.c"):
        assert key_of(field=None, value={"email": "a@b.c"}, key=key).startswith(HASHED)
    assert key_of(field=None, value={"email": "a@b.c"}, key=b"42") == b"42"


def test_a_key_of_which_nothing_is_known_is_hashed():
    assert key_of(field=None, value=b"{", key=b"42").startswith(HASHED)


def test_equal_keys_have_equal_hashes():
    assert key_of(field="email", value={}, key=b"a") == key_of(field="email", value=b"{", key=b"a")
    assert key_of(field="email", value={}, key=b"a") != key_of(field="email", value={}, key=b"b")


# -- messages ------------------------------------------------------------------------------------------------


class Strict(BaseModel):
    age: int = Field(json_schema_extra=PII)
    friends: dict[str, Address] = {}


def test_the_message_tells_the_class_and_the_paths_of_the_schema_and_no_values():
    decode = decoder(ChangelogOptions(topic="t", collection="c", model=Strict))
    value = {"age": "PII", "friends": {"PII@x": {"street": 1, "city": "Ulm"}}}
    with pytest.raises(DecodeError) as error:
        decode(PlainRecord("t", 0, 7, key=b"k", value=json.dumps(value).encode()))
    one = letter(Redactor([Strict], ["pii"], key="id"), {}, error=error.value)
    assert one.message == "DecodeError: age (int_parsing), friends.*.street (string_type)"


def test_what_mongodb_said_is_cut_to_its_code():
    error = WriteRejectedError('E11000 duplicate key error dup key: { email: "a@b.c" }', code=11000)
    one = letter(Redactor([Person], ["pii"], key="id"), {}, error=error)
    assert one.message == "WriteRejectedError (MongoDB's code 11000)"
    assert b"a@b.c" not in everything(one)


# -- anything ------------------------------------------------------------------------------------------------

CYCLE = {"properties": {"v": PII, "next": {"$ref": "#/$defs/cycle"}}}
NUMBERS = count(1)
PLAIN = [({"type": "integer"}, 5), ({}, {"open": [True, None]}), ({"type": "string"}, "plain"), (True, 1.5)]


@st.composite
def secrets(draw):
    number = next(NUMBERS)
    form = draw(st.sampled_from(["text", "number", "object", "list"]))
    return {
        "text": f"PII{number}",
        "number": 7_777_000_000 + number,
        "object": {f"PII{number}": {"x": f"PII{number}"}},
        "list": [f"PII{number}"],
    }[form]


@st.composite
def tagged(draw):
    return {"tags": ["pii"], "type": draw(st.sampled_from(["string", "integer"]))}, draw(secrets())


@st.composite
def chains(draw):
    value = None
    for _ in range(draw(st.integers(1, 4))):
        value = {"v": draw(secrets()), "next": value}
    return {"$ref": "#/$defs/cycle"}, value


def containers(inner):
    @st.composite
    def build(draw):
        parts = draw(st.lists(inner, min_size=1, max_size=4))
        schema, value = draw(st.sampled_from([as_object, as_list]))(parts)
        if (
            draw(st.integers(0, 3)) == 0
        ):  # it does not fit: the place holds the text of what should stand there
            value = draw(st.sampled_from([json.dumps, lambda value: [[value]], lambda value: {"?": value}]))(
                value
            )
            return schema, value if fits_nowhere(schema, value) else json.dumps(value)
        if draw(st.booleans()):
            schema = {draw(st.sampled_from(["anyOf", "oneOf", "allOf"])): [{"type": "null"}, schema]}
        return schema, value

    @st.composite
    def same(draw):
        schema, value = draw(inner)
        return (
            ({"additionalProperties": schema}, {"a": value, "b": value})
            if draw(st.booleans())
            else ({"items": schema}, [value] * draw(st.integers(1, 3)))
        )

    return build() | same()


def as_object(parts):
    return (
        {"properties": {f"f{n}": schema for n, (schema, _) in enumerate(parts)}},
        {f"f{n}": value for n, (_, value) in enumerate(parts)},
    )


def as_list(parts):
    return {"prefixItems": [schema for schema, _ in parts]}, [value for _, value in parts]


def fits_nowhere(schema, value):
    return not isinstance(value, dict if "properties" in schema else list)


VALUES = st.recursive(tagged() | chains() | st.sampled_from(PLAIN), containers, max_leaves=12)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES, tagged())
def test_no_value_of_a_tagged_field_is_anywhere_in_the_letter(part, always):
    schema = {"properties": {"part": part[0], "id": always[0]}, "$defs": {"cycle": CYCLE}}
    value = {"part": part[1], "id": always[1], "plain": "stays"}
    key = json.dumps(always[1]).encode()
    error = WriteRejectedError(f"E11000 dup key: {value}", code=11000)
    for known in ("id", None):
        found = everything(letter(Redactor([schema], ["pii"], key=known), value, key=key, error=error))
        assert b"PII" not in found
        assert b"7777000" not in found
        assert b'"stays"' in found
