import pytest
from pydantic import BaseModel, ConfigDict, Field

from prom_faust.exceptions import ConfigurationError
from prom_faust.sink.options import RESERVED, ChangelogOptions, Index


def options(**given):
    return ChangelogOptions(topic="t", collection="c", **given)


class Shape(BaseModel):
    model_config = ConfigDict(alias_generator=str.upper)

    plain: int
    named: int = Field(alias="other")
    written: int = Field(serialization_alias="out")
    read: int = Field(validation_alias="in")


class WithId(BaseModel):
    ident: str = Field(alias="_id")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 0}, "at least 1"),
        ({"window": 0}, "at least 1"),
        ({"max_window_bytes": 0}, "at least 1"),
        ({"write": "merge"}, "write must be"),
        ({"deletes": "soft"}, "deletes must be"),
        ({"record_key": "avro"}, "record_key must be"),
        ({"routing": "murmur2"}, "routing must be"),
        ({"write": "set"}, 'write="set" needs map='),
        ({"write": "set", "map": dict}, 'write="set" needs map='),
        ({"map": ["a", "_id"]}, "_id"),
        *(
            ({"write": "set", "map": ["a", name]}, "cannot write the fields")
            for name in ("", "$a", "a.b", "a\0")
        ),
        *(
            ({"write": "insert", name: value}, "keeps every record")
            for name, value in (("version_of", "v"), ("deletes", "hard"), ("fence_delay", 9.0))
        ),
        ({"key_of": []}, "names that differ"),
        ({"key_of": ["a", "a"]}, "names that differ"),
        ({"key_of": ["a", 1]}, "names that differ"),
        ({"key_of": ["a", "$b"], "record_key": "json"}, "cannot stand in _key"),
        ({"key_of": [""], "record_key": "json"}, "cannot stand in _key"),
        ({"key_of": ["a", "b"]}, 'record_key="json" reads objects'),
        ({"map": WithId}, "_id"),
        ({"tolerance": "some"}, "tolerance must be"),
        ({"max_failure_rate": 1.0}, "less than 1"),
        ({"max_failure_rate": -0.1}, "at least 0"),
        ({"max_failure_rate": 0.5, "tolerance": "none"}, "no record is dead-lettered"),
        ({"redact": "pii"}, "sequence of tags"),
    ],
)
def test_options_that_contradict_are_refused(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        options(**wrong)


def test_the_mapped_fields_are_the_names_that_are_stored():
    event = Shape.model_validate({"PLAIN": 1, "other": 2, "WRITTEN": 3, "in": 4})
    stored = event.model_dump(by_alias=True)
    assert set(options(map=Shape).field_names) == set(stored) == {"PLAIN", "other", "out", "READ"}


def test_the_mapped_fields_of_a_list_are_its_own():
    assert options(map=["a", "b"]).field_names == ("a", "b")


def test_a_function_and_everything_have_no_known_fields():
    assert options().field_names is None
    assert options(map=lambda event: event).field_names is None


def test_reserved_names_are_never_mapped_fields():
    assert options(map=["a", *sorted(RESERVED)], write="set").field_names == ("a",)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0.0),
        ({"version_of": "v"}, 86_400.0),
        ({"deletes": "remember"}, 86_400.0),
        ({"version_of": "v", "deletes": "hard"}, 0.0),
    ],
)
def test_how_long_markers_stand(given, seconds):
    assert options(**given).marker_seconds == seconds


def test_a_version_function_makes_a_projection_versioned():
    assert options(version_of="v").versioned
    assert not options().versioned


@pytest.mark.parametrize(
    ("given", "grows"),
    [
        ({}, False),
        ({"routing": "kafka"}, False),
        ({"routing": "jump"}, True),
        ({"routing": "jump", "version_of": "v"}, False),
    ],
)
def test_only_a_jump_routed_topic_without_versions_may_grow(given, grows):
    assert options(**given).grows is grows


def test_an_index_has_the_name_that_mongodb_would_give_it():
    assert Index({"host": 1, "name": -1}).index_name == "host_1_name_-1"
    assert Index({"at": "2dsphere"}).index_name == "at_2dsphere"
    assert Index({"host": 1}, name="mine").index_name == "mine"


def test_a_field_name_is_a_plain_ascending_index():
    assert Index.of("status") == Index({"status": 1})
    unique = Index({"a": 1}, unique=True)
    assert Index.of(unique) is unique


def test_an_index_without_fields_is_refused():
    with pytest.raises(ConfigurationError, match="at least one field"):
        Index({})
