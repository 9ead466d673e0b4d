"""``exactly_once=True`` on the real broker: what is in a transaction, and who is shut out of it."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from prom_faust import partition_of
from prom_faust.dlq.envelope import decode
from prom_faust.events.event import Message
from prom_faust.events.kafka import Transactions
from prom_faust.exceptions import ProducerFencedError, TransactionAbortedError
from prom_faust.lane.agent import BatchAgent
from prom_faust.lane.faust import add_lane
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.record import TopicPartition as Place
from prom_faust.lane.service import Lane
from tests.support.projection import eventually
from tests.support.running_app import Seen

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def read_committed(topics, topic, count, *, seconds=40.0):
    """The first records of a topic that are to be seen by who reads committed, and what comes in a moment after."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=topics.bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in await topics.ends(topic)])
        found = []
        async with asyncio.timeout(seconds):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        for records in (await consumer.getmany(timeout_ms=200)).values():
            found += records
        return found
    finally:
        await consumer.stop()


def group_of(prom, agent):
    return f"{prom.app.conf.id}.event:{agent.name}"


async def test_what_is_sent_is_routed_like_any_send_and_visible_with_the_offset(
    prom, unique, topic, topics, event_agent
):
    out = await topics.create(f"{unique}.out", 4)
    prom.topic(out, partitions=4, compacted=True, key="id")

    async def handle(event):
        await event.send(out, value={"id": event.key, "n": event.value})

    await topics.send_all(topic, [(f"k{number}", number) for number in range(40)])
    agent = event_agent(topic, handle, exactly_once=True, concurrency=4)
    records = await read_committed(topics, out, 40)
    assert len(records) == 40
    assert all(record.partition == partition_of(record.key, 4) for record in records)
    ends = await topics.ends(topic)
    assert await topics.committed(group_of(prom, agent), topic) == ends


async def test_of_an_event_whose_handler_raises_nothing_is_sent(prom, unique, topic, topics, event_agent):
    out = await topics.create(f"{unique}.out", 1, **{"cleanup.policy": "delete"})
    tries = []

    async def handle(event):
        await event.send(out, value=event.value)
        tries.append(event.value)
        if event.value == 2 and tries.count(2) < 2:
            raise ValueError("not yet")
        if event.value == 3:
            raise ValueError("never")

    await topics.send_all(topic, [("k", number) for number in range(5)])
    agent = event_agent(topic, handle, exactly_once=True, on_error="dead_letter", attempts=2)
    assert [record.value for record in await read_committed(topics, out, 4)] == [b"0", b"1", b"2", b"4"]
    (letter,) = await read_committed(topics, f"{topic}.dlq", 1)
    assert (decode(letter).record.value, decode(letter).consumer) == (b"3", group_of(prom, agent))
    assert letter.partition == partition_of("k", 4) % len(await topics.ends(f"{topic}.dlq"))


async def test_an_agent_that_was_fenced_begins_anew_where_the_last_transaction_ended(
    prom, topic, topics, event_agent, caplog
):
    seen = Seen()
    agent = event_agent(topic, seen, exactly_once=True)
    await topics.send(topic, "k", 1, partition=2)
    await seen.wait(1)
    other = AIOKafkaProducer(
        bootstrap_servers=topics.bootstrap, transactional_id=f"{group_of(prom, agent)}-{topic}-2"
    )
    await other.start()
    await other.begin_transaction()
    await other.send_offsets_to_transaction({TopicPartition(topic, 2): 3}, group_of(prom, agent))
    await other.commit_transaction()
    for number in (2, 3, 4):  # the other one has done 2 and 3
        await topics.send(topic, "k", number, partition=2)

    async def caught_up():
        return (await topics.committed(group_of(prom, agent), topic))[2] == 4

    await eventually(caught_up, seconds=30.0)
    await other.stop()
    assert seen.values[-1] == 4
    assert "is fenced" in caplog.text


@pytest.fixture
def transactions(prom, unique):
    """Makes the transactions of one owner after the other."""
    told = []

    def make():
        return Transactions(prom.app.producer.transactional, f"{unique}.group", fenced=told.append)

    make.told = told
    return make


async def test_a_successor_shuts_the_former_owner_out_for_good(transactions, unique, topic, topics):
    out = await topics.create(f"{unique}.out", 1)
    name = Place(topic, 0)
    former, successor = transactions(), transactions()
    await former.open([name])
    producer = former.of(name)
    await producer.commit([Message(out, b"k", b"1")], 1)
    await successor.open([name])
    with pytest.raises(ProducerFencedError):
        await producer.commit([Message(out, b"k", b"2")], 2)
    assert len(transactions.told) == 1
    with pytest.raises(ProducerFencedError):
        former.of(name)
    await successor.of(name).commit([Message(out, b"k", b"3")], 2)
    await former.close()
    await successor.close()
    assert [record.value for record in await read_committed(topics, out, 2)] == [b"1", b"3"]
    assert (await topics.committed(f"{unique}.group", topic))[0] == 2


async def test_a_transaction_that_cannot_be_written_is_aborted_whole_and_the_next_one_is_not(
    transactions, unique, topic, topics
):
    out = await topics.create(f"{unique}.out", 1)
    name = Place(topic, 0)
    mine = transactions()
    await mine.open([name])
    too_large = Message(out, b"k", b"x" * 2_000_000)
    with pytest.raises(TransactionAbortedError):
        await mine.of(name).commit([Message(out, b"k", b"1"), too_large], 1)
    await mine.of(name).commit([Message(out, b"k", b"2")], 1)
    await mine.close()
    assert [record.value for record in await read_committed(topics, out, 1)] == [b"2"]
    assert transactions.told == []


class LastBreath:
    """A fence that the former owner's last transaction, with an offset, comes just before."""

    def __init__(self, former, transactions, name, offset):
        self.former, self.transactions, self.name, self.offset = former, transactions, name, offset

    async def open(self, names):
        await self.former.open([self.name])
        await self.former.of(self.name).commit([], self.offset)
        await self.transactions.open(names)

    async def close(self):
        await self.transactions.close()
        await self.former.close()


async def test_the_committed_offset_is_read_when_nobody_else_can_commit_any_more(
    prom, unique, topic, topics, transactions
):
    name = Place(topic, 1)
    await topics.send_all(topic, [("k", number) for number in range(5)], partition=1)
    seen = []

    async def work(batches):
        async for batch in batches:
            seen.extend(record.offset for record in batch)

    agent = BatchAgent(work, app=prom.app, name=unique)
    options = LaneOptions(topic=topic, group=f"{unique}.group")
    lane = Lane(prom.clients, agent, options, fence=LastBreath(transactions(), transactions(), name, 3))
    add_lane(prom, lane)
    await eventually(lambda: is_in(4, seen), seconds=40.0)
    assert seen == [3, 4]
    await lane.stop()
    await agent.stop()
    del prom.lanes[unique], prom.app.agents[unique]


async def is_in(offset, seen):
    return offset in seen
