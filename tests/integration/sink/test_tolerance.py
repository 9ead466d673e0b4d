"""What becomes of bad records: dead-lettered or waited for, redacted, logged and measured."""

import logging

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, Field
from pymongo.errors import BulkWriteError

from prom_faust.dlq.envelope import decode, dlq_topic
from prom_faust.exceptions import FailureRateError, NotToleratedError
from prom_faust.lane.record import TopicPartition
from prom_faust.ops.board import Seen
from prom_faust.ops.faust import _sink
from prom_faust.ops.sinks import sinks_json
from prom_faust.ops.status import WorkerStatus
from prom_faust.sink.metrics import SinkHistograms
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.verify import verify
from tests.support.projection import applied, eventually, live, make_app, make_projection, projecting, started


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture
async def topic(topics, unique):
    await topics.create(dlq_topic(unique), 2, **{"cleanup.policy": "delete"})
    return await topics.create(unique, 2)


async def stuck(projection, kind, partition=0):
    """The error with which a partition stands still."""

    async def error():
        found = projection.lane.partitions.get(TopicPartition(projection.options.topic, partition))
        return found.error if found is not None and isinstance(found.error, kind) else None

    return await eventually(error, seconds=60)


def keys(documents):
    return set(documents)


async def letters_of(topics, topic):
    return [decode(record) for record in await topics.read(dlq_topic(topic))]


async def test_without_tolerance_a_partition_stops_before_its_bad_record_and_the_others_flow(
    app, topics, topic, database
):
    options = ChangelogOptions(topic=topic, collection="c", tolerance="none")
    await topics.send_all(topic, [("a", {"v": 1}), ("a", {"v": 2}), ("bad", b"{"), ("a", {"v": 3})], 0)
    await topics.send_all(topic, [("other", {"v": 1})], 1)
    async with projecting(app, database, options) as projection:
        error = await stuck(projection, NotToleratedError)
        assert f"{topic}[0] offset 2 is bad" in str(error)
        assert "DecodeError: not JSON" in str(error)
        await eventually(lambda: applied(projection, {0: 2, 1: 1}))
        await eventually(lambda: has_committed(topics, projection, {0: 2, 1: 1}))
        assert {key: each["v"] for key, each in (await live(database.c)).items()} == {"a": 2, "other": 1}
        shown = _sink("c", "projection", projection.lane, projection)
        (page,) = sinks_json([Seen(WorkerStatus("app", "w", sinks=(shown,)), 0.0, silent=False)], {}, {})
        assert page["state"] == "stuck"
        assert "offset 2 is bad" in page["partitions"][0]["problem"]
        assert shown.partitions[0].oldest is not None
    assert await letters_of(topics, topic) == []
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
        await eventually(lambda: applied(projection, {0: 4, 1: 1}))
        assert (await live(database.c))["a"]["v"] == 3
    assert [letter.record.offset for letter in await letters_of(topics, topic)] == [2]


async def has_committed(topics, projection, offsets):
    return await topics.committed(projection.group, projection.options.topic) == offsets


class Refuses:
    """A collection that refuses one key's documents, with a code that nobody has listed."""

    def __init__(self, inner, key):
        self._inner = inner
        self._key = key

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def bulk_write(self, operations, **kwargs):
        refused = [n for n, each in enumerate(operations) if each._filter["_key"] == self._key]
        if not refused:
            return await self._inner.bulk_write(operations, **kwargs)
        if others := [each for n, each in enumerate(operations) if n not in refused]:
            await self._inner.bulk_write(others, **kwargs)
        raise BulkWriteError({"writeErrors": [{"index": n, "code": 4711, "errmsg": "no"} for n in refused]})


async def test_an_unlisted_error_stops_its_partition_where_only_bad_data_is_tolerated(
    app, topics, topic, database
):
    options = ChangelogOptions(topic=topic, collection="c", tolerance="data")
    projection = make_projection(app, database, options)
    inner = projection.collection.documents
    projection.collection.documents = Refuses(inner, "odd")
    await topics.send_all(topic, [("a", {"v": 1}), ("bad", b"{"), ("odd", {"v": 1}), ("a", {"v": 2})], 0)
    async with started(projection):
        error = await stuck(projection, NotToleratedError)
        assert f"{topic}[0] offset 2 is bad" in str(error)
        assert "4711" in str(error)
        await eventually(lambda: applied(projection, {0: 2}))
        assert not await applied(projection, {0: 3})
        projection.collection.documents = inner
        await eventually(lambda: applied(projection, {0: 4}), seconds=60)  # the pauses grow
        assert keys(await live(database.c)) == {"a", "odd"}
    assert [letter.record.offset for letter in await letters_of(topics, topic)] == [1]


async def test_too_many_bad_records_stop_their_partition_until_they_are_few(app, topics, topic, database):
    options = ChangelogOptions(topic=topic, collection="c", max_failure_rate=0.5)
    good = [(f"g{n}", {"v": n}) for n in range(10)]
    await topics.send_all(topic, [*good, *((f"b{n}", b"{") for n in range(200)), ("last", {"v": 1})], 0)
    await topics.send_all(topic, [("other", {"v": 1})], 1)
    async with projecting(app, database, options) as projection:
        error = await stuck(projection, FailureRateError)
        assert "max_failure_rate is 0.5" in str(error)
        assert f"{topic}[0] offset 10: DecodeError" in str(error)
        await eventually(lambda: applied(projection, {0: 10, 1: 1}))
        assert keys(await live(database.c)) == {*dict(good), "other"}
        assert projection.projector.stats.dead == 0
        assert projection.projector.stats.records == 11
        await topics.send_all(topic, [(f"o{n}", {"v": n}) for n in range(900)], 1)
        await eventually(lambda: applied(projection, {0: 211, 1: 901}), seconds=90)
        assert projection.projector.stats.dead == 200
        assert projection.projector.stats.records == 211 + 901


async def test_ten_thousand_bad_records_are_a_few_lines_of_log(app, topics, topic, database, caplog):
    caplog.set_level(logging.INFO, "prom_faust")
    await topics.send_all(topic, [(f"b{n}", b"secret{") for n in range(10_000)])
    options = ChangelogOptions(topic=topic, collection="c", window=100)
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends), seconds=60)
        assert projection.projector.stats.dead == 10_000
    lines = [record for record in caplog.records if record.name.startswith("prom_faust")]
    assert len(lines) <= 20
    first = next(record for record in lines if record.levelno == logging.WARNING)
    assert (first.sink, first.topic, first.group) == ("c", topic, projection.group)
    assert {"partition", "offset"} <= vars(first).keys()
    assert "secret" not in caplog.text


class Customer(BaseModel):
    email: str = Field(json_schema_extra={"tags": ["pii"]})
    age: int


async def test_a_redacted_letter_holds_no_tagged_value_and_counts_as_any_letter(
    app, topics, topic, database, caplog
):
    options = ChangelogOptions(topic=topic, collection="c", key_of="email", model=Customer, redact=("pii",))
    pairs = [("pii@a", {"email": "pii@a", "age": 1}), ("pii@b", {"email": "pii@b", "age": "pii-2"})]
    await topics.send_all(topic, [*pairs, ("pii@a", {"email": "pii@a", "age": None}), ("pii@c", b"pii")])
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends))
        report = await verify(projection)
    assert report.clean, report.differences
    assert (report.letters, report.dead, report.documents) == (3, 3, 1)
    raw = await topics.read(dlq_topic(topic))
    assert all(decode(record).redacted for record in raw)
    for record in raw:
        assert b"pii@" not in b"".join([record.key, record.value, *(value for _, value in record.headers)])
    assert "pii@" not in caplog.text
    assert decode(raw[0]).message.startswith("DecodeError")


async def test_no_counter_goes_down_in_a_rebalance(kafka, app, topics, topic, database, unique, tmp_path):
    options = ChangelogOptions(topic=topic, collection="c", size=10)
    histograms, registry = SinkHistograms(), CollectorRegistry()
    registry.register(histograms)
    one = make_projection(app, database, options, histograms=histograms)
    other = make_projection(make_app(unique, kafka.url, tmp_path), database, options)
    await topics.send_all(topic, [(f"k{n}", {"v": n}) for n in range(100)])

    def measured():
        stats = one.projector.stats
        return {
            **{name: getattr(stats, name) for name in ("records", "writes", "coalesced", "dead", "retries")},
            **{
                f"{sample.name}{sample.labels.get('le')}": sample.value
                for family in text_string_to_metric_families(generate_latest(registry).decode())
                for sample in family.samples
            },
        }

    async with started(one):
        await eventually(lambda: applied_to_the_end(one, topics))
        before = measured()
        assert before["records"] == before["writes"] == 100
        assert before["prom_faust_sink_bulk_write_operations_sumNone"] == 100
        assert before["prom_faust_sink_batch_records_sumNone"] == 100
        assert 0 < before["prom_faust_sink_batch_duration_seconds_sumNone"] < 60
        assert before["prom_faust_sink_delay_seconds_countNone"] == (
            2 * before["prom_faust_sink_batch_records_countNone"]
        )
        async with started(other):
            await eventually(lambda: has_partitions(one, 1), seconds=60)
            await topics.send_all(topic, [(f"k{n}", {"v": n}) for n in range(100)])
            await eventually(lambda: applied_to_the_end(one, topics))
            after = measured()
    assert after.keys() == before.keys()
    assert all(after[name] >= value for name, value in before.items())
    assert 100 < after["records"] < 200


async def applied_to_the_end(projection, topics):
    return await applied(projection, await topics.ends(projection.options.topic))


async def has_partitions(projection, count):
    return len(projection.lane.partitions) == count
