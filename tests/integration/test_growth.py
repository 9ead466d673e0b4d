"""A jump-routed topic gets more partitions under its sink: keys only move up, and the sink goes on."""

import logging
from dataclasses import replace

import pytest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import PartitionCountError
from prom_faust.routing.hashing import partition_of
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.rebuild import rebuild
from prom_faust.sink.verify import Kind, verify
from tests.support.drivers import with_both_drivers
from tests.support.projection import (
    applied,
    eventually,
    live,
    make_app,
    make_projection,
    projecting,
    started,
)

KEYS = [f"host-{number}" for number in range(120)]
MOVED = [key for key in KEYS if partition_of(key, 4) != partition_of(key, 6)]


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture
async def topic(topics, unique):
    await topics.create(dlq_topic(unique), 1, **{"cleanup.policy": "delete"})
    return await topics.create(unique, 4)


@pytest.fixture
def growth(caplog):
    """Lines that name the growth."""
    caplog.set_level(logging.WARNING, "prom_faust")
    return lambda: [line for record in caplog.records if "has grown" in (line := record.getMessage())]


async def send(topics, topic, partitions, states):
    """The producer's part of jump routing."""
    for key, value in states.items():
        await topics.send(topic, key, value, partition=partition_of(key, partitions))


async def settled(projection, topics):
    ends = await topics.ends(projection.options.topic)
    await eventually(lambda: applied(projection, ends), seconds=30.0)


async def stored_counts(projection):
    positions = await projection.collection.positions.load_positions(projection.options.topic)
    return {number: position.partitions for number, position in positions.items()}


def step(number):
    """One round of updates and tombstones; every round deletes other keys, and brings others back."""
    return {
        key: None if (index + number) % 3 == 0 else {"round": number, "key": key}
        for index, key in enumerate(KEYS)
        if (index + number) % 4
    }


def jump(topic, **given):
    return ChangelogOptions(topic=topic, collection="c", routing="jump", **given)


async def test_the_sink_goes_on_and_every_document_is_the_newest(app, topics, topic, database, growth):
    states = {key: {"round": 0, "key": key} for key in KEYS}
    expected = dict(states)
    async with projecting(app, database, jump(topic)) as projection:
        await send(topics, topic, 4, states)
        await settled(projection, topics)
        await topics.grow(topic, 6)
        for number in (1, 2):
            expected |= (states := step(number))
            await send(topics, topic, 6, states)
        await settled(projection, topics)
        assert projection.lane.crash_reason is None
        await same(projection, expected)
        assert (await verify(projection)).clean
    assert len(growth()) == 1
    assert f"topic {topic} has grown from 4 to 6 partitions" in growth()[0]
    expected |= (states := step(3))
    await send(topics, topic, 6, states)
    async with projecting(app, database, jump(topic)) as projection:
        await settled(projection, topics)
        expected |= (states := step(4))
        await send(topics, topic, 6, states)
        await settled(projection, topics)
        assert projection.lane.crash_reason is None
        await same(projection, expected)
        assert set((await stored_counts(projection)).values()) == {6}
        assert (await verify(projection)).clean
    assert len(growth()) == 1


async def same(projection, expected):
    found = {
        key: document["round"] for key, document in (await live(projection.collection.documents)).items()
    }
    assert found == {key: value["round"] for key, value in expected.items() if value is not None}


async def test_growth_while_the_sink_is_stopped(app, topics, topic, database, growth):
    await send(topics, topic, 4, {key: {"round": 0} for key in KEYS})
    async with projecting(app, database, jump(topic)) as projection:
        await settled(projection, topics)
    await topics.grow(topic, 6)
    await send(topics, topic, 6, {key: {"round": 1} for key in KEYS[:60]})
    async with projecting(app, database, jump(topic)) as projection:
        await settled(projection, topics)
        await eventually(lambda: counts_are(projection, dict.fromkeys(range(6), 6)))
        await same(projection, {key: {"round": int(index < 60)} for index, key in enumerate(KEYS)})
    assert len(growth()) == 1


async def counts_are(projection, expected):
    return await stored_counts(projection) == expected


async def test_a_second_growth_and_two_members(app, kafka, topics, topic, database, tmp_path, unique, growth):
    other = make_app(unique, kafka.url, tmp_path / "other")
    expected = {}
    async with (
        projecting(app, database, jump(topic)) as one,
        started(make_projection(other, database, jump(topic))) as two,
    ):
        for number, partitions in enumerate((4, 6, 9)):
            if partitions > 4:
                await topics.grow(topic, partitions)
            expected |= (states := {key: {"round": number} for key in KEYS} | step(number))
            await send(topics, topic, partitions, states)
            await settled(one, topics)
            await eventually(lambda count=partitions: shared(one, two, count), seconds=30.0)
        assert one.lane.crash_reason is None
        assert two.lane.crash_reason is None
        await same(one, expected)
        assert (await verify(one)).clean


async def shared(one, two, partitions):
    mine, theirs = set(one.lane.partitions), set(two.lane.partitions)
    return mine and theirs and not mine & theirs and len(mine | theirs) == partitions


@with_both_drivers
async def test_old_copies_are_named_until_the_keys_are_re_homed(app, topics, topic, database):
    await send(topics, topic, 4, {key: {"round": 0} for key in KEYS})
    await topics.grow(topic, 6)
    async with projecting(app, database, jump(topic)) as projection:
        await settled(projection, topics)
        report = await verify(projection)
        assert (report.clean, report.leftover) == (True, len(MOVED))
        leftover = [found for found in report.differences if found.kind is Kind.LEFTOVER]
        assert {found.key for found in leftover} <= set(MOVED)
        assert len(leftover) == 20
        assert "stays until it is re-homed" in leftover[0].reason
        for key in MOVED:
            await topics.send(topic, key, {"round": 1}, partition=partition_of(key, 6))
            await topics.send(topic, key, None, partition=partition_of(key, 4))
        await settled(projection, topics)
        report = await verify(projection)
        assert (report.clean, report.leftover, report.documents) == (True, 0, len(KEYS))


async def test_a_collection_that_is_built_again_after_growth_is_the_same(app, topics, topic, database):
    expected = {key: {"round": 0} for key in KEYS}
    await send(topics, topic, 4, expected)
    await topics.grow(topic, 6)
    expected |= (states := step(1))
    await send(topics, topic, 6, states)
    async with projecting(app, database, jump(topic)) as projection:
        await settled(projection, topics)
        await same(projection, expected)
    await rebuild(make_projection(app, database, jump(topic)))
    async with projecting(app, database, jump(topic)) as projection:
        await settled(projection, topics)
        await same(projection, expected)


async def test_an_old_copy_whose_tombstone_was_cleaned_away_is_named_with_what_to_do(
    app, topics, topic, database
):
    key = MOVED[0]
    await send(topics, topic, 4, {key: {"round": 0}})
    await topics.grow(topic, 6)
    async with projecting(app, database, jump(topic)) as projection:
        await settled(projection, topics)
        await database.c.delete_one(
            {"_key": key}
        )  # as the sink does, once the tombstone and its marker are gone
        report = await verify(projection)
        (difference,) = [found for found in report.differences if found.kind is Kind.MISSING]
        assert "delete this old copy too" in difference.reason
        await topics.send(topic, key, None, partition=partition_of(key, 4))
        await settled(projection, topics)
        assert (await verify(projection)).clean


@pytest.mark.parametrize("given", [{"routing": "kafka"}, {"routing": "jump", "version_of": "round"}])
async def test_any_other_topic_stops_at_growth(app, topics, topic, database, given):
    await send(topics, topic, 4, {key: {"round": 1} for key in KEYS})
    options = ChangelogOptions(topic=topic, collection="c", **given)
    async with projecting(app, database, options) as projection:
        await settled(projection, topics)
        await topics.grow(topic, 6)

        async def reason():
            return projection.lane.crash_reason

        error = await eventually(reason, seconds=25.0)
    assert isinstance(error, PartitionCountError)
    assert "had 4 partitions and has 6 now" in str(error)
    assert "sink rebuild c" in str(error)


async def test_a_member_that_has_not_seen_the_growth_looks_again_before_it_stops(
    app, topics, topic, database
):
    async with projecting(app, database, jump(topic), history_interval=300.0) as projection:
        await send(topics, topic, 4, {key: {"round": 0} for key in KEYS})
        await settled(projection, topics)
        await topics.grow(topic, 6)
        positions = await projection.collection.positions.load_positions(topic)
        another = {number: replace(position, partitions=6) for number, position in positions.items()}
        await projection.collection.positions.store_positions(topic, another, now=0)
        assert len(projection.lane.consumer.partitions_for_topic(topic)) == 4
        await projection.lane.check_history()
        assert projection.lane.crash_reason is None
