import faust
import pytest
from pydantic import BaseModel

from prom_faust.exceptions import IncompatibleSchemaError, PayloadInvalidError, SchemaError
from prom_faust.schema.header import SCHEMA_VERSION_HEADER
from prom_faust.schema.registry import SchemaRegistry

TEXT = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
NUMBER = {**TEXT, "properties": {"a": {"type": "integer"}}}


class First(BaseModel):
    a: int


class Second(First):
    b: str | None = None


class Third(Second):
    c: str


@pytest.fixture
def registry():
    return SchemaRegistry()


# -- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_a_number_that_does_not_rise_is_refused(registry, number):
    registry.register("t", First, version=2)
    with pytest.raises(SchemaError, match=f"^version must increase for t: {number} after 2$"):
        registry.register("t", First, version=number)


def test_gaps_are_allowed(registry):
    for number in (3, 10, 999_999_999):
        registry.register("t", First, version=number)
    assert list(registry.find("t").versions) == [3, 10, 999_999_999]
    assert registry.latest("t").number == 999_999_999


@pytest.mark.parametrize("number", [0, -1, 10**9, 1.0, "1", True, None])
def test_a_number_is_a_whole_one_from_1_and_fits_the_header(registry, number):
    with pytest.raises(SchemaError, match="version of t must be"):
        registry.register("t", First, version=number)


def test_topics_count_by_themselves(registry):
    registry.register("t", First, version=5)
    assert registry.register("u", First, version=1).number == 1


# -- what can be registered ---------------------------------------------------------------------------------------


def test_a_decorated_class_stays_what_it_was(registry):
    @registry.schema("t", version=1)
    class Decorated(BaseModel):
        a: int

    assert Decorated(a=1).a == 1
    assert registry.latest("t").type.cls is Decorated


def test_models_records_and_json_schemas_are_schemas(registry):
    class Record(faust.Record):
        a: int

    for topic, schema in (("m", First), ("r", Record), ("j", TEXT), ("b", True)):
        registry.register(topic, schema, version=1)
    assert [subject.topic for subject in registry] == ["m", "r", "j", "b"]
    assert "m" in registry
    assert "x" not in registry


@pytest.mark.parametrize(
    "schema", [5, None, "{}", [], int, dict, object(), {"type": "strang"}, {"$ref": "#/x"}]
)
def test_what_is_no_schema_is_refused(registry, schema):
    with pytest.raises(SchemaError):
        registry.register("t", schema, version=1)


def test_a_wrong_option_is_refused(registry):
    with pytest.raises(SchemaError, match="compatibility of t must be one of none, backward, forward"):
        registry.register("t", First, version=1, compatibility="full")
    with pytest.raises(SchemaError, match="policy of t must be off, warn or enforce"):
        registry.register("t", First, version=1, policy="maybe")


def test_what_is_refused_leaves_nothing_behind(registry):
    with pytest.raises(SchemaError):
        registry.register("t", {"type": "strang"}, version=1)
    assert "t" not in registry
    registry.register("t", First, version=1)
    with pytest.raises(IncompatibleSchemaError):
        registry.register("t", Third, version=2, policy="off")
    assert registry.latest("t").number == 1
    assert registry.find("t").policy == "enforce"


# -- compatibility ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "passing"),
    [
        # A model reads what has fields that it does not know.
        (First, Second, {"none", "backward", "forward"}),
        (First, Third, {"none", "forward"}),
        (TEXT, NUMBER, {"none"}),
        (TEXT, {**TEXT, "required": []}, {"none", "backward"}),
        ({**TEXT, "required": []}, TEXT, {"none", "forward"}),
        (First, First, {"none", "backward", "forward"}),
    ],
    ids=["optional field", "required field", "other type", "made optional", "made required", "the same"],
)
def test_compatibility_is_checked_against_the_version_before(registry, before, after, passing):
    found = {level for level in ("none", "backward", "forward") if follows(registry, before, after, level)}
    assert found == passing


def follows(registry, before, after, level):
    registry.register(level, before, version=1)
    try:
        registry.register(level, after, version=2, compatibility=level)
    except IncompatibleSchemaError:
        return False
    return True


def test_an_incompatibility_names_every_place(registry):
    registry.register("t", TEXT, version=1)
    with pytest.raises(IncompatibleSchemaError) as caught:
        registry.register(
            "t",
            {**NUMBER, "required": ["a", "b"], "properties": {**NUMBER["properties"], "b": {}}},
            version=2,
        )
    assert "/a" in str(caught.value)
    assert "/b" in str(caught.value)
    assert "t v2 is not backward compatible with v1 (the new schema reads all old data)" in str(caught.value)


def test_backward_is_the_default_and_only_the_version_before_counts(registry):
    registry.register("t", TEXT, version=1)
    registry.register("t", NUMBER, version=2, compatibility="none")
    assert registry.register("t", NUMBER, version=3).compatibility == "backward"


# -- policy -------------------------------------------------------------------------------------------------------


def test_the_policy_is_the_topic_s_and_stays_until_another_is_given(registry):
    registry.register("t", First, version=1)
    assert registry.find("t").policy == "enforce"
    registry.register("t", First, version=2, policy="warn")
    registry.register("t", First, version=3)
    assert registry.find("t").policy == "warn"


# -- finding ------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_named_beside_what_is(registry):
    registry.register("t", First, version=1)
    registry.register("t", First, version=4)
    assert registry.find("u") is None
    with pytest.raises(SchemaError, match="topic u has no schema; topics that have one: t"):
        registry.latest("u")
    with pytest.raises(SchemaError, match="t has no version 2; there are: 1, 4"):
        registry.get("t", 2)
    with pytest.raises(SchemaError, match="u has no schema"):
        registry.codec("u")


def test_a_payload_is_validated_by_the_version_of_its_class_or_the_latest_or_a_named_one(registry):
    registry.register("t", First, version=1)
    registry.register("t", Second, version=2)
    assert registry.validate("t", First(a=1)).number == 1
    assert registry.validate("t", {"a": 1}).number == 2
    assert registry.validate("t", b'{"a":1}').number == 2
    assert registry.validate("t", {"a": 1}, 1).number == 1
    assert registry.validate("t", {"a": 1, "b": "x"}).number == 2
    with pytest.raises(PayloadInvalidError, match="t v1: /b"):
        registry.validate("t", {"a": 1, "b": "x"}, 1)
    with pytest.raises(PayloadInvalidError, match="t v2: /a"):
        registry.validate("t", {"b": "x"})
    with pytest.raises(SchemaError, match="no version 3"):
        registry.validate("t", {"a": 1}, 3)
    with pytest.raises(SchemaError, match="u has no schema"):
        registry.validate("u", {"a": 1})


def test_a_value_is_of_the_version_that_its_headers_name_before_that_of_its_class(registry):
    registry.register("t", First, version=1)
    registry.register("t", Second, version=2)
    subject = registry.find("t")
    assert subject.version_of(First(a=1), None).number == 1
    assert subject.version_of(First(a=1), {SCHEMA_VERSION_HEADER: b"2"}).number == 2
    assert subject.version_of({"a": 1}, []).number == 2
    with pytest.raises(PayloadInvalidError, match=r"version 7 is not registered \(there are: 1, 2\)"):
        subject.version_of({"a": 1}, {SCHEMA_VERSION_HEADER: b"7"})
    with pytest.raises(PayloadInvalidError, match=SCHEMA_VERSION_HEADER):
        subject.version_of({"a": 1}, {SCHEMA_VERSION_HEADER: b"x"})


def test_two_registries_do_not_meet():
    one, other = SchemaRegistry(), SchemaRegistry()
    one.register("t", First, version=2)
    assert other.register("t", First, version=1).number == 1
