from enum import StrEnum

import bson
import pytest
from pydantic import BaseModel, Field, ValidationError

from prom_faust.exceptions import DecodeError, DocumentError, KeyMismatchError, RecordError, VersionError
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.decode import decoder, header
from prom_faust.sink.key import JsonKey
from prom_faust.sink.options import ChangelogOptions


class State(BaseModel):
    processId: str  # noqa: N815 - the payload's own name
    status: str
    host: str | None = None
    version: int = 0


GOOD = b'{"processId": "a", "status": "up"}'


def record(value=GOOD, key=b"a", **kwargs):
    headers = tuple(kwargs.pop("headers", ()))
    return PlainRecord("t", kwargs.pop("partition", 0), kwargs.pop("offset", 7), 1000, key, value, headers)


def decode(value=GOOD, key=b"a", headers=(), **options):
    decoder_of = decoder(ChangelogOptions(topic="t", collection="c", **options))
    return decoder_of(record(value, key, headers=headers))


def fields(change):
    document = bson.decode(change.body)
    return {name: value for name, value in document.items() if name not in {"_key", "_ts", "_src", "_v"}}


def test_a_live_record_becomes_its_document():
    change = decode()
    assert (change.key, change.n, change.version, change.deletes) == ("a", 7, None, False)
    assert fields(change) == {"processId": "a", "status": "up"}


def test_the_position_packs_the_partition():
    change = decoder(ChangelogOptions(topic="t", collection="c"))(record(partition=3, offset=9))
    assert change.n == 3 * 2**48 + 9


# -- tombstones


@pytest.mark.parametrize("model", [None, State])
@pytest.mark.parametrize(
    "value",
    [
        None,
        b"null",
        b" null\n",
        b'{"_deleted": true}',
        b'{"_deleted":true, "status": 5}',
        b'{"\\u005fdeleted": true}',
        b'{"_d\\u0065leted": true}',
        b'{"processId": "a", "status": "up", "_deleted": true}',
    ],
)
def test_these_are_tombstones_before_the_model_decodes(value, model):
    change = decode(value, model=model)
    assert change.deletes
    assert (change.key, change.n, change.version, change.fields) == ("a", 7, None, None)


@pytest.mark.parametrize("model", [None, State])
@pytest.mark.parametrize("flag", ["false", "1", '"true"', "null", "[true]"])
def test_only_true_deletes(flag, model):
    value = b'{"processId": "a", "status": "up", "_deleted": %b}' % flag.encode()
    change = decode(value, model=model)
    assert not change.deletes
    assert fields(change) == {"processId": "a", "status": "up"}


def test_a_nested_deleted_is_no_tombstone():
    assert not decode(b'{"inner": {"_deleted": true}}').deletes


def test_the_word_null_as_text_is_no_tombstone():
    with pytest.raises(DocumentError, match="str, not an object"):
        decode(b'"null"')


def test_a_user_predicate_adds_to_the_defaults():
    gone = {"tombstone": lambda event: event["status"] == "gone"}
    assert decode(b'{"status": "gone"}', **gone).deletes
    assert not decode(b'{"status": "up"}', **gone).deletes
    assert decode(None, **gone).deletes
    assert decode(b'{"_deleted": true}', **gone).deletes


def test_a_user_predicate_sees_the_model():
    assert decode(model=State, tombstone=lambda event: event.status == "up").deletes


def test_the_key_of_a_tombstone_is_the_record_key():
    assert decode(b'{"_deleted": true, "processId": "b"}', key_of="processId").key == "a"


def test_a_tombstone_without_a_record_key_is_bad():
    with pytest.raises(KeyMismatchError, match="no key"):
        decode(None, key=None)


# -- keys


def test_a_record_without_a_key_is_bad():
    with pytest.raises(KeyMismatchError, match="no key"):
        decode(key=None)


def test_a_key_that_is_not_utf_8_is_bad():
    with pytest.raises(KeyMismatchError, match="not UTF-8"):
        decode(key=b"\xff")


def test_text_keys_are_never_read_as_numbers():
    assert decode(key=b"5").key == "5"
    assert decode(key=b'"a"').key == '"a"'


def test_a_json_key_is_any_value_but_null_and_arrays():
    assert decode(key=b'"a"', record_key="json").key == "a"
    assert decode(key=b"5", record_key="json").key == 5
    assert decode(key=b"-9223372036854775808", record_key="json").key == -(2**63)
    assert decode(key=b"0.5", record_key="json").key == 0.5
    assert decode(key=b"true", record_key="json").key == JsonKey(b"true")
    assert decode(key=b'{"b": 1.0, "a": null}', record_key="json").key == JsonKey(b'{"a":null,"b":1}')


def test_a_json_key_stands_as_it_is():
    body = decode(key=b'{"b": [true, 1.0], "a": {"d": 2, "c": 3}}', record_key="json").body
    assert list(bson.decode(body)["_key"].items()) == [("a", {"c": 3, "d": 2}), ("b", [True, 1])]


def test_a_json_key_that_is_not_json_is_bad():
    with pytest.raises(DecodeError, match="not JSON"):
        decode(key=b"a", record_key="json")


def test_a_key_function_reads_the_bytes():
    assert decode(key=b"\x00\x05", record_key=int.from_bytes).key == 5


@pytest.mark.parametrize("value", [None, GOOD])
def test_half_a_surrogate_pair_is_no_key(value):
    with pytest.raises(KeyMismatchError, match="not Unicode"):
        decode(value, key=b"\xff", record_key=lambda raw: raw.decode("utf-8", "surrogateescape"))


def test_key_of_names_a_field_or_is_a_function():
    assert decode(key_of="processId").key == "a"
    assert decode(key_of="processId", model=State).key == "a"
    assert decode(key_of=lambda event: event["processId"]).key == "a"


def test_a_missing_key_field_is_bad():
    for model in (None, State):
        with pytest.raises(DecodeError, match="no field 'nope'"):
            decode(key_of="nope", model=model)


class Colour(StrEnum):
    RED = "red"


def test_what_key_of_gives_must_be_able_to_be_a_key():
    for key in (None, b"a", 2**63, Colour.RED, ["a"]):
        with pytest.raises(KeyMismatchError, match="key"):
            decode(key_of=lambda _, key=key: key)


def test_a_list_of_fields_makes_an_object_in_their_order():
    value = b'{"tenant": "t", "id": 7, "other": 1}'
    options = {"key_of": ["tenant", "id"], "record_key": "json"}
    for key in (b'{"tenant": "t", "id": 7}', b'{"id": 7.0, "tenant": "t"}'):
        change = decode(value, key=key, **options)
        assert change.key == decode(None, key=key, **options).key
        assert list(bson.decode(change.body)["_key"].items()) == [("tenant", "t"), ("id", 7)]


def test_a_list_of_fields_reads_a_model():
    options = {"model": State, "key_of": ("status", "processId"), "compacted": False}
    assert decode(**options).key == JsonKey(b'{"status":"up","processId":"a"}')


def test_a_record_key_with_other_fields_is_not_the_key_of_its_value():
    with pytest.raises(KeyMismatchError, match=r'is not the key of its value, \{"id":7\}'):
        decode(b'{"id": 7}', key=b'{"id": 7, "more": 1}', key_of=["id"], record_key="json")


def test_a_record_key_that_is_not_the_key_of_its_value_is_bad():
    with pytest.raises(KeyMismatchError, match="'b' is not the key of its value, 'a'"):
        decode(key=b"b", key_of="processId")


def test_text_five_is_not_the_number_five():
    with pytest.raises(KeyMismatchError, match=r'record_key="json"'):
        decode(b'{"id": 5}', key=b"5", key_of="id")
    assert decode(b'{"id": 5}', key=b"5", key_of="id", record_key="json").key == 5


def test_off_compacted_topics_the_record_key_may_be_another():
    assert decode(key=b"b", key_of="processId", compacted=False).key == "a"
    assert decode(key=None, key_of="processId", compacted=False).key == "a"


# -- versions


def test_a_version_is_a_field_or_a_function():
    assert decode(b'{"version": 5}', version_of="version").version == 5
    assert decode(b'{"version": 5}', version_of=lambda event: event["version"] * 2).version == 10
    assert bson.decode(decode(b'{"version": 5}', version_of="version").body)["_v"] == 5


def test_without_a_version_function_there_is_no_version():
    change = decode(b'{"version": 5}', headers=[("x-version", b"6")])
    assert change.version is None
    assert "_v" not in bson.decode(change.body)
    assert decode(None, headers=[("x-version", b"6")]).version is None


@pytest.mark.parametrize("version", ["true", "1.0", '"1"', "[]", "9223372036854775808", "1e3"])
@pytest.mark.parametrize("deleted", [b"true", b"false"])
def test_a_version_of_another_type_is_bad(version, deleted):
    value = b'{"_deleted": %b, "version": %b}' % (deleted, version.encode())
    with pytest.raises(VersionError, match="64-bit integer"):
        decode(value, version_of="version")


@pytest.mark.parametrize("version_of", ["version", lambda event: event.version])
@pytest.mark.parametrize("body", [b'{"_deleted": true}', b'{"_deleted": true, "version": null}'])
def test_a_body_that_deletes_without_a_version_is_like_a_null(version_of, body):
    change = decode(body, version_of=version_of)
    assert change.deletes
    assert change.version is None


def test_a_live_record_with_a_null_version_is_bad():
    with pytest.raises(VersionError):
        decode(b'{"version": null}', version_of="version")


def test_two_schema_version_headers_are_bad():
    with pytest.raises(DecodeError, match="2 times"):
        decode(b"{}", headers=[("x-schema-version", b"1"), ("x-schema-version", b"2")])


def test_a_live_record_without_its_version_is_bad():
    with pytest.raises(DecodeError, match="no field 'version'"):
        decode(b'{"status": "up"}', version_of="version")


def test_a_null_has_no_version_of_its_own():
    assert decode(None, version_of="version").version is None
    assert decode(b"null", version_of="version").version is None


def test_a_tombstone_takes_its_version_from_its_body():
    for model in (None, State):
        assert decode(b'{"_deleted": true, "version": 4}', version_of="version", model=model).version == 4


def test_a_tombstone_takes_its_version_from_the_header_first():
    headers = [("x-version", b"8")]
    assert decode(None, headers=headers, version_of="version").version == 8
    assert decode(b'{"_deleted": true, "version": 4}', headers=headers, version_of="version").version == 8


def test_a_live_record_ignores_the_version_header():
    assert decode(b'{"version": 4}', headers=[("x-version", b"8")], version_of="version").version == 4


@pytest.mark.parametrize("raw", [b"", b"x", b"1.0", b"\xff", b"9223372036854775808", b"1" * 5000])
def test_a_version_header_that_is_no_64_bit_integer_is_bad(raw):
    with pytest.raises(VersionError):
        decode(None, headers=[("x-version", raw)], version_of="version")


# -- headers


def test_the_last_header_of_a_name_counts():
    assert header(record(headers=[("a", b"1"), ("b", b"2"), ("a", b"3")]), "a") == b"3"
    assert header(record(), "a") is None


@pytest.mark.parametrize("raw", [b"", b"-1", b"+1", b"1.0", b" 1", b"v1", b"\xd9\xa1", b"1" * 5000])
@pytest.mark.parametrize("value", [GOOD, None])
def test_another_schema_version_is_bad_also_on_a_tombstone(raw, value):
    with pytest.raises(DecodeError, match="x-schema-version"):
        decode(value, headers=[("x-schema-version", raw)])


# -- values


@pytest.mark.parametrize(
    "value", [b"", b"{", b"\xff", b"{'a': 1}", b'{"a": NaN}', b'{"a": Infinity}', b"nul"]
)
def test_what_is_not_json_is_bad(value):
    with pytest.raises(DecodeError, match="not JSON"):
        decode(value)


@pytest.mark.parametrize("value", [b"5", b"true", b'"text"', b"[1]", b'[{"a": 1}]'])
def test_what_is_not_an_object_needs_a_map(value):
    with pytest.raises(DocumentError, match="not an object"):
        decode(value)
    assert fields(decode(value, map=lambda event: {"value": event}))["value"] is not None


def test_a_model_error_names_every_path():
    with pytest.raises(DecodeError) as caught:
        decode(b'{"status": 5, "host": []}', model=State)
    text = str(caught.value)
    assert text.startswith("not a State: ")
    assert all(path in text for path in ("processId:", "status:", "host:"))
    assert isinstance(caught.value.__cause__, ValidationError)


@pytest.mark.parametrize("value", [b"", b"{", b"5", b'{"\\u0061": }'])
def test_what_is_no_model_is_bad(value):
    with pytest.raises(DecodeError, match="not a State: value:"):
        decode(value, model=State)


class Reading(BaseModel):
    value: float
    unit: str = ""


@pytest.mark.parametrize("unit", ["e", "\\u0065", "_deleted"])
def test_how_a_value_is_spelled_does_not_change_what_its_model_says(unit):
    value = b'{"value": NaN, "unit": "%b"}' % unit.encode()
    assert fields(decode(value, model=Reading))["unit"] == unit.replace("\\u0065", "e")


def test_a_number_that_a_model_makes_infinite_is_bad():
    assert fields(decode(b'{"value": Infinity}', model=Reading))["value"] == float("inf")
    for digits in (b"1e309", b"-1e309"):
        with pytest.raises(DecodeError, match="does not fit a float"):
            decode(b'{"value": %b}' % digits, model=Reading)


class Loose(BaseModel):
    whole: int = 0
    any: object = None


@pytest.mark.parametrize("name", [b"whole", b"any"])
@pytest.mark.parametrize("model", [None, Loose])
@pytest.mark.parametrize("digits", [b"18446744073709551616", b"-9223372036854775809"])
def test_an_integer_that_only_a_float_holds_is_bad_and_never_a_float(name, model, digits):
    with pytest.raises(DocumentError, match="8-byte ints"):
        decode(b'{"%b": %b}' % (name, digits), model=model)


def test_an_integer_that_is_not_stored_may_have_any_size():
    value = b'{"status": "up", "big": 18446744073709551617}'
    assert fields(decode(value, map=["status"])) == {"status": "up"}
    assert fields(decode(value, map=lambda event: {"big": str(event["big"])})) == {
        "big": "18446744073709551617"
    }


def test_an_absent_optional_field_stays_absent_and_an_explicit_null_stays_null():
    assert "host" not in fields(decode(model=State))
    assert fields(decode(b'{"processId": "a", "status": "up", "host": null}', model=State))["host"] is None
    assert fields(decode(b'{"host": null}')) == {"host": None}


def test_an_integer_beyond_64_bits_is_bad():
    with pytest.raises(DocumentError, match="MongoDB cannot store it"):
        decode(b'{"a": 9223372036854775808}')


def test_a_name_with_a_null_character_is_bad():
    for value in (b'{"a\\u0000b": 1}', b'{"a": {"\\u0000": 1}}'):
        with pytest.raises(DocumentError, match="MongoDB cannot store it"):
            decode(value)


def test_a_value_that_bson_does_not_know_is_bad():
    with pytest.raises(DocumentError, match="MongoDB cannot store it"):
        decode(map=lambda _: {"a": object()})


def test_a_document_of_more_than_16_mib_is_bad():
    with pytest.raises(DocumentError, match="16 MiB"):
        decode(map=lambda _: {"a": "x" * (16 * 1024 * 1024)})


# -- maps


class Narrow(BaseModel):
    status: str
    host: str | None = None
    name: str | None = Field(default=None, alias="processName")


@pytest.mark.parametrize("model", [None, State])
def test_a_map_may_be_a_list_of_fields(model):
    assert fields(decode(model=model, map=["status", "host"])) == {"status": "up"}


@pytest.mark.parametrize("model", [None, State])
def test_a_map_may_be_a_model(model):
    assert fields(decode(model=model, map=Narrow)) == {"status": "up"}


def test_a_map_model_stores_its_fields_under_their_aliases():
    assert fields(decode(b'{"status": "up", "processName": "x"}', map=Narrow)) == {
        "status": "up",
        "processName": "x",
    }


def test_a_map_that_is_the_model_itself_stores_it():
    assert fields(decode(model=State, map=State)) == {"processId": "a", "status": "up"}


def test_a_map_model_that_rejects_the_event_makes_a_bad_record():
    with pytest.raises(DocumentError, match="status") as caught:
        decode(b'{"host": "h"}', map=Narrow)
    assert isinstance(caught.value.__cause__, ValidationError)


def test_a_map_may_be_a_function():
    assert fields(decode(map=lambda event: {"s": event["status"]})) == {"s": "up"}


def test_a_map_function_that_gives_no_mapping_makes_a_bad_record():
    for wrong in (None, 5, "text"):
        with pytest.raises(DocumentError):
            decode(map=lambda _, wrong=wrong: wrong)


@pytest.mark.parametrize("name", ["_key", "_ts", "_src", "_v", "_deleted", "_deleted_at", "_inherits"])
def test_reserved_names_win_over_the_map(name):
    change = decode(map=lambda _: {name: "mine", "a": 1}, version_of=lambda _: 3)
    document = bson.decode(change.body)
    assert document.pop("_src") == {"t": "t", "p": 0, "o": 7, "n": 7}
    assert document == {"_key": "a", "a": 1, "_ts": 1000, "_v": 3}


def test_reserved_names_win_over_the_event():
    assert fields(decode(b'{"_ts": 5, "_v": 1, "a": 1}')) == {"a": 1}
    assert "_v" not in bson.decode(decode(b'{"_v": 1}').body)


@pytest.mark.parametrize("options", [{}, {"map": lambda _: {"_id": 1}}])
def test_an_id_is_refused(options):
    with pytest.raises(DocumentError, match="_id"):
        decode(b'{"_id": 1}', **options)


def test_only_set_carries_the_fields():
    assert decode(map=["status"]).fields is None
    assert decode(map=["status", "host", "_ts"], write="set").fields == {"status": "up"}


# -- what users' functions raise


class OddError(Exception):
    pass


def explode(*_):
    raise OddError("no")


@pytest.mark.parametrize("option", ["key_of", "map", "version_of", "record_key", "tombstone"])
def test_whatever_a_user_function_raises_is_the_cause_of_a_record_error(option):
    with pytest.raises(DocumentError, match="OddError: no") as caught:
        decode(**{option: explode})
    assert isinstance(caught.value, RecordError)
    assert isinstance(caught.value.__cause__, OddError)


@pytest.mark.parametrize("error", [StopIteration, RecursionError, MemoryError, AssertionError, KeyError])
def test_any_exception_becomes_a_record_error(error):
    def fail(_):
        raise error

    with pytest.raises(RecordError) as caught:
        decode(map=fail)
    assert isinstance(caught.value.__cause__, error)


def test_a_record_error_of_a_user_function_stays_itself():
    def fail(_):
        raise VersionError("mine")

    with pytest.raises(VersionError, match="mine"):
        decode(map=fail)


# -- a document for every record


def test_an_inserted_document_has_its_position_as_its_id():
    change = decoder(ChangelogOptions(topic="t", collection="c", write="insert"))(
        record(partition=3, offset=9)
    )
    assert not change.deletes
    document = bson.decode(change.body)
    assert list(document)[:2] == ["_id", "_key"]
    assert document["_id"] == {"t": "t", "p": 3, "o": 9}


@pytest.mark.parametrize("value", [None, b"null", b'{"_deleted": true, "status": "up"}'])
def test_a_deletion_is_inserted_as_a_document_that_says_so(value):
    change = decode(value, write="insert", model=State)
    assert not change.deletes
    document = bson.decode(change.body)
    assert document["_deleted"] is True
    assert set(document) == {"_id", "_key", "_deleted", "_ts", "_src"}


def test_an_inserted_record_needs_no_key_and_may_have_another():
    assert bson.decode(decode(key=None, write="insert").body)["_key"] is None
    assert decode(key=b"b", key_of="processId", write="insert").key == "a"
    with pytest.raises(KeyMismatchError, match="not UTF-8"):
        decode(key=b"\xff", write="insert")
