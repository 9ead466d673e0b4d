"""Section 2a: the registry."""

import pytest

from prom_faust import PayloadInvalidError, SchemaRegistry
from prom_faust.exceptions import IncompatibleSchemaError, SchemaError

TOPIC = "heartbeat.received"
V1 = {
    "type": "object",
    "properties": {"pid": {"type": "integer"}, "name": {"type": "string"}},
    "required": ["pid", "name"],
}
WITH_OPTIONAL = {**V1, "properties": {**V1["properties"], "sid": {"type": "integer"}}}
WITH_REQUIRED = {**WITH_OPTIONAL, "required": ["pid", "name", "sid"]}
WITHOUT_NAME = {**V1, "required": ["pid"]}
OTHER_TYPE = {**V1, "properties": {**V1["properties"], "pid": {"type": "string"}}}


@pytest.fixture
def registry():
    registry = SchemaRegistry()
    registry.register(TOPIC, V1, version=1)
    return registry


@pytest.mark.parametrize("version", [1, 0, -5])
def test_versions_are_monotonic(registry, version):
    with pytest.raises(SchemaError) as caught:
        registry.register(TOPIC, V1, version=version)
    assert version < 1 or "version must increase for heartbeat.received" in str(caught.value)
    assert registry.latest(TOPIC).number == 1


def test_a_lower_version_than_the_latest_is_refused_also_where_there_is_a_gap(registry):
    registry.register(TOPIC, V1, version=5)
    for version in (1, 3, 5):
        with pytest.raises(SchemaError, match=r"version must increase for heartbeat\.received"):
            registry.register(TOPIC, V1, version=version)


def test_gaps_are_allowed_and_latest_is_the_highest(registry):
    registry.register(TOPIC, V1, version=7)
    assert registry.latest(TOPIC).number == 7
    assert registry.get(TOPIC, 1).number == 1


@pytest.mark.parametrize(
    ("level", "schema", "passes"),
    [
        ("none", OTHER_TYPE, True),
        ("none", WITH_REQUIRED, True),
        ("backward", WITHOUT_NAME, True),
        ("backward", WITH_REQUIRED, False),
        ("backward", OTHER_TYPE, False),
        ("forward", WITH_REQUIRED, True),
        ("forward", WITHOUT_NAME, False),
        ("forward", OTHER_TYPE, False),
    ],
)
def test_compatibility(registry, level, schema, passes):
    if passes:
        registry.register(TOPIC, schema, version=2, compatibility=level)
        assert registry.latest(TOPIC).number == 2
    else:
        with pytest.raises(IncompatibleSchemaError, match=f"not {level} compatible with v1"):
            registry.register(TOPIC, schema, version=2, compatibility=level)
        assert registry.latest(TOPIC).number == 1


def test_validate_takes_the_latest_or_the_version_that_is_named(registry):
    registry.register(TOPIC, WITH_REQUIRED, version=2, compatibility="none")
    payload = {"pid": 1, "name": "x"}
    assert registry.validate(TOPIC, payload, 1).number == 1
    assert registry.validate(TOPIC, payload, version=1).number == 1
    with pytest.raises(PayloadInvalidError, match=r"heartbeat\.received v2: /sid"):
        registry.validate(TOPIC, payload)
    assert registry.validate(TOPIC, {**payload, "sid": 1}).number == 2


def test_validate_names_every_path(registry):
    with pytest.raises(PayloadInvalidError) as caught:
        registry.validate(TOPIC, {"pid": "1"})
    assert [failure.path for failure in caught.value.failures] == ["/name", "/pid"]


def test_an_unknown_topic_or_version_is_an_error(registry):
    for lookup in (
        lambda: registry.latest("nothing"),
        lambda: registry.validate("nothing", {}),
        lambda: registry.get(TOPIC, 2),
        lambda: registry.validate(TOPIC, {"pid": 1, "name": "x"}, 2),
    ):
        with pytest.raises(SchemaError):
            lookup()
