"""``@prom.event_agent`` on the real broker, inside of a running app."""

import asyncio
from collections import Counter

import pytest
from pydantic import BaseModel

from prom_faust import PayloadInvalidError, RecordError
from prom_faust.dlq.envelope import decode
from prom_faust.exceptions import ConfigurationError, SendRefusedError
from prom_faust.lane.record import TopicPartition
from prom_faust.ops.faust import Observer
from tests.support.projection import eventually
from tests.support.running_app import Seen

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Person(BaseModel):
    name: str


def group_of(prom, agent):
    return f"{prom.app.conf.id}.event:{agent.name}"


async def committed(prom, topics, agent, topic, ends):
    async def reached():
        return await topics.committed(group_of(prom, agent), topic) == ends

    await eventually(reached, seconds=40.0)


async def test_an_agent_gets_models_with_key_headers_and_position_from_the_earliest_on(
    prom, topic, topics, registry, event_agent
):
    registry.register(topic, Person, version=1)
    sent = await topics.send(topic, "k", {"name": "a"}, partition=2, headers={"h": b"1"})
    seen = Seen()
    agent = event_agent(topic, seen)
    (event,) = await seen.wait(1)
    assert (event.key, event.value, event.headers) == ("k", Person(name="a"), {"h": b"1"})
    assert (event.source, event.offset) == (TopicPartition(topic, 2), sent.offset)
    assert event.timestamp == sent.timestamp
    await committed(prom, topics, agent, topic, {0: 0, 1: 0, 2: 1, 3: 0})


async def test_bad_records_are_dead_lettered_under_the_agent_s_group_and_the_others_are_handled(
    prom, topic, topics, registry, event_agent
):
    registry.register(topic, Person, version=1)
    seen = Seen()

    async def handle(event):
        if event.value.name == "nobody":
            raise RecordError("nobody is here")
        if event.value.name == "bug":
            raise KeyError(event.value.name)
        await seen(event)

    for value in ({"name": "a"}, b"[", {"name": "nobody"}, {"name": "bug"}, None, {"name": "b"}):
        await topics.send(topic, "k", value, partition=1)
    agent = event_agent(topic, handle, on_error="dead_letter", attempts=2)
    await seen.wait(2)
    assert [event.value.name for event in seen.events] == ["a", "b"]
    await committed(prom, topics, agent, topic, {0: 0, 1: 6, 2: 0, 3: 0})
    letters = [decode(record) for record in await topics.read(f"{topic}.dlq")]
    assert [letter.record.offset for letter in letters] == [1, 2, 3]
    assert {letter.consumer for letter in letters} == {group_of(prom, agent)}
    assert [letter.error_class for letter in letters][1:] == [
        "prom_faust.exceptions.RecordError",
        "builtins.KeyError",
    ]


@pytest.mark.parametrize("allow_empty", [False, True])
async def test_tombstones_are_skipped_unless_they_are_asked_for(
    prom, unique, topics, event_agent, allow_empty
):
    topic = await topics.create(unique, 1)
    prom.topic(topic, partitions=1, compacted=True)
    seen = Seen()
    for value in (None, {"_deleted": True}, b"null", 5):
        await topics.send(topic, "k", value)
    event_agent(topic, seen, allow_empty=allow_empty)
    await seen.wait(1 + 3 * allow_empty)
    assert seen.values == [None] * (3 * allow_empty) + [5]


async def test_keys_are_worked_on_at_once_each_in_its_order(prom, topic, topics, event_agent):
    at_work, most, seen = Counter(), 0, Seen()

    async def handle(event):
        nonlocal most
        at_work[event.key] += 1
        assert at_work[event.key] == 1
        most = max(most, sum(at_work.values()))
        await asyncio.sleep(0.002)
        at_work[event.key] -= 1
        await seen(event)

    await topics.send_all(topic, [(f"k{number % 20}", number) for number in range(300)], partition=0)
    agent = event_agent(topic, handle, concurrency=8)
    await seen.wait(300)
    assert 2 < most <= 8
    for key in {event.key for event in seen.events}:
        numbers = [event.value for event in seen.events if event.key == key]
        assert numbers == sorted(numbers)
    await committed(prom, topics, agent, topic, {0: 300, 1: 0, 2: 0, 3: 0})


async def test_nothing_beyond_a_record_that_is_not_done_is_committed(prom, topic, topics, event_agent):
    seen, gate = Seen(), asyncio.Event()

    async def handle(event):
        if event.value == 3:
            await gate.wait()
        await seen(event)

    await topics.send_all(topic, [(f"k{number}", number) for number in range(40)], partition=0)
    agent = event_agent(topic, handle, concurrency=8)
    await seen.wait(25)
    await committed(prom, topics, agent, topic, {0: 3, 1: 0, 2: 0, 3: 0})
    gate.set()
    await seen.wait(40)
    await committed(prom, topics, agent, topic, {0: 40, 1: 0, 2: 0, 3: 0})
    assert sorted(seen.values) == list(range(40))


async def test_what_a_handler_sends_passes_the_gate_and_is_on_its_topic_when_send_returns(
    prom, unique, topic, topics, registry, event_agent
):
    out = await topics.create(f"{unique}.out", 4)
    registry.register(out, Person, version=1)
    told = []

    async def handle(event):
        with pytest.raises(PayloadInvalidError):
            await event.send(out, key=event.key, value={"name": 5})
        with pytest.raises(SendRefusedError):
            await event.send(5, value=1)
        await event.send(out, key=event.key, value=Person(name="a"))
        told.append(len(await topics.read(out)))

    await topics.send(topic, "k", 1)
    event_agent(topic, handle)
    await eventually(lambda: has(told, 1), seconds=40.0)
    assert told == [1]
    (record,) = await topics.read(out)
    assert (record.key, record.value) == (b"k", b'{"name":"a"}')
    assert dict(record.headers)["x-schema-version"] == b"1"


async def has(found, count):
    return len(found) >= count


async def test_it_is_listed_like_the_others_and_a_stopped_partition_is_shown_as_stopped(
    prom, topic, topics, event_agent
):
    async def handle(event):
        raise ValueError("no")

    await topics.send(topic, "k", 1, partition=3)
    agent = event_agent(topic, handle, on_error="stop", attempts=1)
    assert prom.app.agents[agent.name] is agent
    observer = Observer(prom, interval=3.0, progress_within=60.0)

    async def stopped():
        sinks = {sink.name: sink for sink in observer.status().sinks}
        return sinks[agent.name] if sinks[agent.name].stopped else None

    sink = await eventually(stopped, seconds=40.0)
    assert (sink.what, sink.topic, sink.group, sink.lag) == ("events", topic, group_of(prom, agent), 1)
    assert sink.stopped == f"{topic}[3]: it has stopped at offset 0: ValueError('no')"
    assert any(sink.stopped in reason for reason in observer.status().not_ready)


@pytest.mark.parametrize(
    "options", [{"concurrency": 0}, {"on_error": "ignore"}, {"attempts": 0}, {"reset": "x"}]
)
async def test_options_that_cannot_be_are_refused(prom, topic, options):
    with pytest.raises(ConfigurationError):
        prom.event_agent(topic, name="refused", **options)(Seen())
