"""Batches that are divided by key, and what is said of them when they are whole again."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from prom_faust.exceptions import PromFaustError
from prom_faust.lane.agent import Delivery
from prom_faust.lane.batch import Share, Token
from prom_faust.lane.failure.policy import FOREVER, Policy
from prom_faust.lane.partition import Partition
from prom_faust.lane.parts import by_key, in_turn, put_together
from prom_faust.lane.record import PlainRecord, TopicPartition
from prom_faust.lane.tasks import Flights

KEYS = st.lists(st.sampled_from([None, b"a", b"b", b"c", b"d"]), max_size=12)


def shares_of(*partitions):
    shares = {}
    for number, keys in enumerate(partitions):
        name = TopicPartition("t", number)
        records = [PlainRecord("t", number, offset, key=key) for offset, key in enumerate(keys)]
        if records:
            shares[name] = Share(Token(name), records)
    return shares


def places(shares):
    return [(record.partition, record.offset) for share in shares.values() for record in share.records]


@given(st.lists(KEYS, max_size=3), st.integers(1, 5))
def test_every_record_is_in_one_part_and_a_key_in_one_only(partitions, count):
    shares = shares_of(*partitions)
    parts = by_key(shares, count)
    assert len(parts) <= count
    assert sorted(place for part in parts for place in places(part)) == sorted(places(shares))
    homes = {}
    for number, part in enumerate(parts):
        for share in part.values():
            offsets = [record.offset for record in share.records]
            assert offsets == sorted(offsets)
            for record in share.records:
                strand = record.key if record.key is not None else record.partition
                assert homes.setdefault(strand, number) == number


@given(st.lists(KEYS, max_size=3), st.integers(1, 5))
def test_pieces_are_full_and_in_order(partitions, size):
    shares = shares_of(*partitions)
    pieces = list(in_turn(shares, size))
    assert [place for piece in pieces for place in places(piece)] == places(shares)
    assert all(len(places(piece)) == size for piece in pieces[:-1])
    assert all(places(piece) for piece in pieces)


@settings(max_examples=200)
@given(KEYS.filter(bool), st.integers(1, 4), st.data())
def test_of_a_part_that_is_put_back_only_its_own_records_come_again(keys, count, data):
    name = TopicPartition("t", 0)
    partition = Partition(Token(name), hold_limit=100)
    partition.push(PlainRecord("t", 0, offset, key=key) for offset, key in enumerate(keys))
    whole = {name: Share(partition.token, partition.take(100, 1_000_000))}
    parts = by_key(whole, count)
    again = set()
    for part in parts:
        share = part[name]
        if data.draw(st.booleans()):
            since = data.draw(st.sampled_from([None, *(record.offset for record in share.records)]))
            share.put_back = PromFaustError("no")
            share.put_back_from = since
            share.pause = data.draw(st.sampled_from([None, 1.0, FOREVER]))
            again |= {record.offset for record in share.records if since is None or record.offset >= since}
    pauses = [part[name].pause for part in parts if part[name].put_back is not None]
    put_together(whole, parts)
    assert partition.settle(whole[name], now=0.0, retry_after=0.5) == min(again, default=len(keys))
    assert partition.stopped is (FOREVER in pauses)
    if again and FOREVER not in pauses:
        assert partition.ready_at(10.0) == 10.0
        assert {record.offset for record in partition.take(100, 1_000_000)} == again


class Agent:
    """Gets batches, and is done with them when the test says so."""

    concurrency = 4

    def __init__(self):
        self.deliveries = []

    async def deliver(self, delivery: Delivery):
        self.deliveries.append(delivery)

    def at_work(self):
        return [delivery for delivery in self.deliveries if not delivery.done.done()]


async def flying(records, *, size, parts, policy=None):
    """Flights over one partition; the agent, the partition, what was committed, and the task."""
    name = TopicPartition("t", 0)
    partition = Partition(Token(name), hold_limit=100)
    partition.push(records)
    agent, committed = Agent(), []
    flights = Flights(
        agent,
        {name: partition},
        slots=1,
        parts=parts,
        batch=size,
        max_bytes=1_000_000,
        retry_after=0.0,
        done=lambda _, offset: committed.append(offset),
        leased=lambda: True,
        policy=policy or Policy(),
        bury=None,
        label="test",
    )
    task = asyncio.create_task(flights.work(0, lambda: partition.idle and not partition.in_flight))
    await asyncio.sleep(0.01)
    return agent, partition, committed, flights, task


def records(count, keys):
    return [PlainRecord("t", 0, offset, key=b"%d" % (offset % keys)) for offset in range(count)]


async def test_parts_of_a_partition_are_worked_on_at_once_and_committed_together():
    agent, _, committed, _, task = await flying(records(40, 16), size=5, parts=4)
    while not task.done():
        at_work = agent.at_work()
        keys = [{record.key for record in delivery.batch} for delivery in at_work]
        assert sum(map(len, keys)) == len(set().union(*keys))
        assert all(len(delivery.batch) <= 5 for delivery in at_work)
        if at_work:
            at_work[-1].finish()
        await asyncio.sleep(0.001)
    assert max(len(list(delivery.batch)) for delivery in agent.deliveries) <= 5
    assert committed == [20, 40]


async def test_a_part_that_crashes_is_sent_again_while_the_others_go_on():
    agent, _, committed, _, task = await flying(records(12, 12), size=3, parts=4)
    first, *others = agent.at_work()
    assert others
    first.fail(ValueError("no"))
    await asyncio.sleep(0.01)
    for delivery in others:
        delivery.finish()
    for _ in range(400):
        await asyncio.sleep(0.01)
        for delivery in agent.at_work():
            delivery.finish()
        if task.done():
            break
    assert committed == [12]
    again = [delivery for delivery in agent.deliveries if delivery is not first]
    assert list(first.batch) in [list(delivery.batch) for delivery in again]
    assert sum(len(delivery.batch) for delivery in again) == 12


async def test_landing_waits_for_no_part_that_waits_for_a_server_and_cancels_what_does_not_end():
    agent, partition, committed, flights, task = await flying(records(12, 12), size=3, parts=4)
    for delivery in agent.at_work():
        delivery.batch.waiting = True
    began = asyncio.get_running_loop().time()
    await flights.land(finish=5.0, cancel=5.0)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert all(delivery.done.cancelled() for delivery in agent.deliveries)
    assert not partition.token.valid
    assert committed == []
    task.cancel()
