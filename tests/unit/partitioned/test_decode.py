import pytest
from pydantic import BaseModel

from prom_faust import SchemaRegistry, partition_of
from prom_faust.exceptions import DecodeError, KeyMismatchError, RecordError
from prom_faust.lane.record import PlainRecord, TopicPartition
from prom_faust.partitioned.decode import Reader
from prom_faust.partitioned.source import carried


class State(BaseModel):
    host: str
    load: float = 0.0


def record(value=b'{"host": "h1"}', key=b"k", **rest):
    return PlainRecord("t", 2, 7, 1_000, key, value, **rest)


def reader(registry=None, **options):
    return Reader("t", registry or SchemaRegistry(), **options)


def test_plain_json_stays_plain():
    event = reader().event(record(headers=(("h", b"1"), ("h", b"2"), ("empty", None))))
    assert event.value == {"host": "h1"}
    assert (event.key, event.partition, event.timestamp) == ("k", 2, 1_000)
    assert (event.source, event.offset) == (TopicPartition("t", 2), 7)
    assert event.headers == {"h": b"2", "empty": b""}


def test_a_schema_gives_its_model():
    registry = SchemaRegistry()
    registry.register("t", State, version=1)
    assert reader(registry).event(record()).value == State(host="h1")
    with pytest.raises(DecodeError, match="/host"):
        reader(registry).event(record(b'{"host": 1}'))


def test_a_declared_model_reads_where_there_is_no_schema():
    assert reader(model=lambda: State).event(record()).value == State(host="h1")
    with pytest.raises(DecodeError, match="not a State: host"):
        reader(model=lambda: State).event(record(b"{}"))


@pytest.mark.parametrize("value", [b"{", b"", b"\xff"])
def test_what_is_no_json_is_an_error(value):
    with pytest.raises(DecodeError):
        reader().event(record(value))


def test_two_schema_versions_in_one_record_are_an_error():
    twice = (("x-schema-version", b"1"), ("x-schema-version", b"1"))
    with pytest.raises(DecodeError):
        reader().event(record(headers=twice))


def test_nulls_are_skipped_and_tombstones_of_compacted_topics():
    assert reader().event(record(None)) is None
    for value in (b"null", b'{"_deleted": true}'):
        assert reader(compacted=lambda: True).event(record(value)) is None
        assert reader().event(record(value)) is not None


@pytest.mark.parametrize(
    ("key_of", "key", "expected"),
    [
        (None, b"k", "k"),
        (None, None, "t:2:7"),
        (None, b"\xff\x00", "\\xff\x00"),
        ("host", b"k", "h1"),
        ("host", None, "h1"),
        ("missing", b"k", "k"),
        ("missing", None, "t:2:7"),
        (lambda value: value["host"] + "!", b"k", "h1!"),
        (lambda value: b"raw", b"k", "raw"),
        (lambda value: 7, b"k", "7"),
    ],
)
def test_the_key_is_the_payload_s_else_the_record_s_else_its_place(key_of, key, expected):
    found = reader(key_of=key_of)
    assert found.key(record(key=key)) == expected
    assert found.event(record(key=key)).key == expected


@pytest.mark.parametrize("key_of", [lambda value: True, lambda value: 1.5, lambda value: value["no"]])
def test_a_key_function_that_gives_none_is_an_error_of_the_record(key_of):
    with pytest.raises(KeyMismatchError):
        reader(key_of=key_of).key(record())


def test_without_a_key_function_the_value_is_not_read_for_the_key():
    assert reader().key(record(b"{")) == "k"
    with pytest.raises(RecordError):
        reader(key_of="host").key(record(b"{"))


def test_the_logical_partition_may_be_chosen_by_key():
    event = reader(key_of="host").event(record(), lambda key: partition_of(key, 100))
    assert event.partition == partition_of("h1", 100)


def test_a_record_that_came_through_a_repartition_topic_has_its_own_place():
    found = record(headers=(("h", b"1"),))
    between = PlainRecord("between", 5, 99, 2_000, found.key, found.value, tuple(carried(found, "h1")))
    event = reader().repartitioned_event(between)
    assert (event.partition, event.key) == (5, "h1")
    assert (event.source, event.offset, event.timestamp) == (TopicPartition("t", 2), 7, 1_000)
    assert event.headers == {"h": b"1"}
