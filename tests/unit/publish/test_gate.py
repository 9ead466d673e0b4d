import math

import pytest
from faust.types.tuples import ConsumerMessage as Message
from pydantic import BaseModel

from prom_faust.exceptions import ConfigurationError, PayloadInvalidError, RecordKeyError, SendRefusedError
from prom_faust.publish.gate import Gate
from prom_faust.publish.rules import Rules, TopicRules
from prom_faust.schema.header import SCHEMA_VERSION_HEADER, schema_version
from prom_faust.schema.registry import SchemaRegistry
from tests.support.app import installed

NAME = SCHEMA_VERSION_HEADER
GOOD = b'{"id":"x"}'
BAD = b'{"id":5}'


class First(BaseModel):
    id: str


class Second(First):
    note: str


@pytest.fixture
def gate():
    registry = SchemaRegistry()
    for topic in ("events", "states"):
        registry.register(topic, First, version=1)
    registry.register("warned", First, version=1, policy="warn")
    registry.register("free", First, version=1, policy="off")
    registry.register("two", First, version=1)
    registry.register("two", Second, version=2, compatibility="none")
    rules = Rules()
    rules.declare(TopicRules("states", 4, compacted=True))
    rules.declare(TopicRules("kept", 4, compacted=True))
    return Gate(registry, rules)


@pytest.mark.parametrize("headers", [None, (), {}, [("a", b"1")], [(NAME, b"1")]], ids=repr)
def test_what_obeys_passes_with_the_version(gate, headers):
    data, named = gate.admit("events", b"k", GOOD, headers)
    assert data == GOOD
    assert [pair for pair in named if pair[0] == NAME] == [(NAME, b"1")]
    assert [pair for pair in named if pair[0] != NAME] == [pair for pair in headers or () if pair[0] != NAME]


@pytest.mark.parametrize(
    "value",
    [BAD, b"", b"\xff", b"null", None, b'{"id":"x","z":1}', b'{"_deleted":true}', "x", {"id": math.nan}],
)
@pytest.mark.parametrize("headers", [None, [(NAME, b"1")]], ids=repr)
def test_what_does_not_obey_is_refused_whatever_its_header_says(gate, value, headers):
    with pytest.raises(PayloadInvalidError, match="events v1"):
        gate.admit("events", b"k", value, headers)


@pytest.mark.parametrize(
    "headers",
    [[(NAME, b"2")], [(NAME, b"x")], [(NAME, b"1"), (NAME, b"1")], {NAME: "1"}, {NAME: 1}],
    ids=repr,
)
def test_a_header_that_names_no_version_of_the_topic_is_refused(gate, headers):
    with pytest.raises(PayloadInvalidError, match="version"):
        gate.admit("events", b"k", GOOD, headers)


@pytest.mark.parametrize("value", [None, b"null", b'{"_deleted":true}'])
def test_a_tombstone_passes_on_a_compacted_topic_and_claims_no_version(gate, value):
    data, headers = gate.admit("states", b"k", value, [(NAME, b"1"), ("a", b"1")])
    assert data == value
    assert list(headers) == [("a", b"1")]


@pytest.mark.parametrize("topic", ["states", "kept"])
@pytest.mark.parametrize("value", [GOOD, None])
def test_a_compacted_topic_needs_a_key_also_where_it_has_no_schema(gate, topic, value):
    with pytest.raises(RecordKeyError, match=topic):
        gate.admit(topic, None, value, None)
    gate.admit(topic, b"", value, None)


@pytest.mark.parametrize("topic", ["unknown", "free", "kept"])
def test_where_nothing_is_enforced_the_record_is_untouched(gate, topic):
    headers = [(NAME, b"77")]
    data, found = gate.admit(topic, b"k", BAD, headers)
    assert data is BAD
    assert found is headers


def test_warn_lets_pass_what_does_not_obey_and_takes_the_version_away(gate, caplog):
    assert gate.admit("warned", b"k", BAD, [(NAME, b"1")]) == (BAD, [])
    assert "warned v1: /id" in caplog.text


def test_what_passed_once_passes_again_unchanged(gate):
    data, headers = gate.admit("events", b"k", GOOD, None)
    again, same = gate.admit("events", b"k", data, headers)
    assert again is data
    assert same is headers


def test_what_warn_let_pass_is_not_warned_of_twice(gate, caplog):
    data, headers = gate.admit("warned", b"k", BAD, None)
    caplog.clear()
    assert gate.admit("warned", b"k", data, headers)[0] is data
    assert caplog.text == ""


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data.replace(b'"x"', b"5"), bytes.upper]
)
def test_what_was_changed_after_it_passed_is_checked_again(gate, change):
    data, headers = gate.admit("events", b"k", GOOD, None)
    with pytest.raises(PayloadInvalidError):
        gate.admit("events", b"k", change(data), headers)


def test_a_header_that_was_changed_after_it_passed_is_checked_again(gate):
    data, headers = gate.admit("two", b"k", b'{"id":"x","note":"y"}', None)
    assert schema_version(headers) == 2
    for number in (b"1", b"3", b"x"):
        with pytest.raises(PayloadInvalidError):
            gate.admit("two", b"k", data, [(NAME, number)])


def test_what_passed_for_one_topic_is_checked_for_another(gate):
    data, headers = gate.admit("two", b"k", b'{"id":"x","note":"y"}', None)
    with pytest.raises(PayloadInvalidError, match="events"):
        gate.admit("events", b"k", data, headers)
    with pytest.raises(PayloadInvalidError, match="/note"):
        gate.admit("events", b"k", data, None)


def test_a_tombstone_that_passed_is_none_on_another_topic(gate):
    data, headers = gate.admit("states", b"k", b'{"_deleted":true}', None)
    with pytest.raises(PayloadInvalidError):
        gate.admit("events", b"k", data, headers)


def test_bytes_of_the_codec_pass_under_the_version_that_made_them(gate):
    made = gate.registry.codec("two").dumps(First(id="x"))
    assert schema_version(gate.admit("two", b"k", made, None)[1]) == 1


def test_every_refusal_has_one_ancestor(gate):
    for topic, key, value in (("events", b"k", BAD), ("states", None, GOOD)):
        with pytest.raises(SendRefusedError):
            gate.admit(topic, key, value, None)


def test_headers_that_can_be_read_once_only_are_all_there(gate):
    _, headers = gate.admit("events", b"k", GOOD, iter([("a", b"1"), (NAME, b"1")]))
    assert list(headers) == [("a", b"1"), (NAME, b"1")]
    with pytest.raises(PayloadInvalidError, match="version 2"):
        gate.admit("events", b"k", GOOD, iter([(NAME, b"2")]))


# -- what an app declares -----------------------------------------------------------------------------------------


async def test_a_topic_that_is_compacted_by_its_settings_is_compacted(gate):
    prom = installed("app", gate.registry)
    topic = prom.topic("events", config={"cleanup.policy": "compact"})
    assert topic.as_future_message(key="k", value=None).message.value is None
    with pytest.raises(RecordKeyError):
        topic.as_future_message(value=First(id="x"))


@pytest.mark.parametrize(
    "options", [{"key": "other"}, {"routing": "kafka"}, {"partitions": 2}, {"compacted": True}], ids=repr
)
def test_a_topic_is_declared_once_or_twice_with_the_same_options(options):
    prom = installed("app")
    assert prom.topic("t", key="id") is prom.topic("t", key="id")
    with pytest.raises(ConfigurationError, match="t is declared twice"):
        prom.topic("t", **{"key": "id", **options})


def test_a_routing_that_there_is_not_is_refused_at_its_declaration():
    with pytest.raises(ConfigurationError, match="routing"):
        installed("app").topic("t", routing="murmur")


async def test_a_schema_that_is_registered_after_the_topic_was_made_counts():
    registry = SchemaRegistry()
    topic = installed("app", registry).topic("t")
    topic.as_future_message(key="k", value={"a": 1})
    registry.register("t", First, version=1)
    with pytest.raises(PayloadInvalidError):
        topic.as_future_message(key="k", value={"a": 1})


async def test_two_apps_of_a_process_do_not_meet(gate):
    strict, free = installed("strict", gate.registry), installed("free")
    with pytest.raises(PayloadInvalidError):
        strict.app.topic("events").as_future_message(key="k", value={"id": 5})
    assert free.app.topic("events").as_future_message(key="k", value={"id": 5}).message.value == BAD
    assert installed("off", gate.registry, schema=False).app.topic("events").as_future_message(value=BAD)


async def test_an_app_gets_nothing_of_one_that_stood_in_its_place_in_memory():
    for number in range(100):
        assert installed(f"app-{number}").app.topic("t").get_topic_name() == "t"


async def test_a_derived_topic_has_a_schema_of_its_own(gate):
    prom = installed("derived", gate.registry)
    derived = prom.topic("events").derive(suffix="-copy")
    assert derived.as_future_message(key="k", value={"any": 1}).message.value == b'{"any":1}'


def test_a_registered_class_as_value_type_is_read_by_the_registry(gate):
    prom = installed("typed", gate.registry)
    assert prom.topic("events", value_type=First).value_type is None


def test_a_model_that_is_not_registered_is_no_value_type(gate):
    with pytest.raises(ConfigurationError, match=r"registry\.schema"):
        installed("untyped", gate.registry).topic("unknown", value_type=First)


async def test_an_event_that_is_sent_on_leaves_its_version_behind_and_one_that_is_repartitioned_does_not(
    gate,
):
    prom = installed("forward", gate.registry)
    topic = prom.topic("events")
    message = Message("events", 0, 0, 0.0, 0, [(NAME, b"1"), ("a", b"1")], b"k", GOOD, None)
    event = prom.app.create_event("k", First(id="x"), message.headers, message)
    other = prom.topic("elsewhere")
    grouped = topic.derive(suffix="-repartition", internal=True)
    for headers in (event.headers, message.headers):
        assert dict(event._headers_for(other, headers)) == {"a": b"1"}
        assert dict(event._headers_for("elsewhere", headers)) == {"a": b"1"}
        assert dict(event._headers_for(grouped, headers)) == {NAME: b"1", "a": b"1"}
        assert dict(event._headers_for(topic, headers)) == {NAME: b"1", "a": b"1"}
