"""A batch in flight, with an agent that raises over some records, and no servers."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from prom_faust.exceptions import DeadLetterError, RecordError
from prom_faust.lane.agent import Delivery
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.failure.policy import FOREVER, Policy
from prom_faust.lane.failure.tasks import Flight, FlightPlan
from prom_faust.lane.partition import Partition
from prom_faust.lane.parts import in_turn
from prom_faust.lane.record import PlainRecord, TopicPartition


class Setting:
    """Partitions of some records, and an agent that raises over the bad ones."""

    def __init__(self, sizes, *, bad=(), policy="dead_letter", error=ValueError, attempts=1, letters_fail=0):
        self.bad, self.error, self.letters_fail = set(bad), error, letters_fail
        self.given, self.buried, self.troubles = [], [], []
        self.landing = False
        self.partitions, self.shares = {}, {}
        for number, size in enumerate(sizes):
            name = TopicPartition("t", number)
            partition = Partition(Token(name), hold_limit=100)
            partition.push(PlainRecord("t", number, offset) for offset in range(size))
            self.partitions[name] = partition
            if size:
                self.shares[name] = Share(partition.token, partition.take(100, 1_000_000))
        self.plan = FlightPlan(
            Policy(policy, attempts),
            self.bury,
            trouble=lambda shares, error: self.troubles.append(str(error)),
            landing=lambda: self.landing,
            label="lane",
        )

    async def bury(self, record, error):
        if self.letters_fail:
            self.letters_fail -= 1
            return DeadLetterError("Kafka is away")
        self.buried.append((record.partition, record.offset))
        return None

    async def give(self, shares):
        delivery = Delivery(Batch(shares, held_since={}, clock=lambda: 0.0))
        places = [(record.partition, record.offset) for record in delivery.batch]
        self.given.append(places)
        self.work(delivery.batch)
        if self.bad & set(places):
            delivery.fail(self.error("bad"))
        else:
            delivery.finish()
        return delivery

    def work(self, batch):
        """What the agent says before it raises."""

    async def fly(self):
        return await Flight(self.plan, self.give).complete(self.shares)

    def settled(self):
        return {
            name.partition: self.partitions[name].settle(share, now=0.0, retry_after=0.5)
            for name, share in self.shares.items()
        }


SIZES = st.lists(st.integers(0, 8), min_size=1, max_size=4).filter(any)


@settings(max_examples=80, deadline=None)
@given(SIZES, st.data())
def test_exactly_the_bad_records_are_dead_lettered_and_every_partition_keeps_its_order(sizes, data):
    places = [(number, offset) for number, size in enumerate(sizes) for offset in range(size)]
    bad = data.draw(st.sets(st.sampled_from(places)))
    setting = Setting(sizes, bad=bad)
    assert asyncio.run(setting.fly())
    assert sorted(setting.buried) == sorted(bad)
    done = [place for given in setting.given if not bad & set(given) for place in given]
    assert sorted(done) == sorted(set(places) - bad)
    for number in range(len(sizes)):
        offsets = [offset for partition, offset in done if partition == number]
        assert offsets == sorted(offsets)
    assert setting.settled() == {number: size for number, size in enumerate(sizes) if size}


@settings(max_examples=60, deadline=None)
@given(SIZES, st.data())
def test_stop_commits_what_is_before_the_first_bad_record_of_each_partition(sizes, data):
    places = [(number, offset) for number, size in enumerate(sizes) for offset in range(size)]
    bad = data.draw(st.sets(st.sampled_from(places)))
    setting = Setting(sizes, bad=bad, policy="stop")
    assert asyncio.run(setting.fly())
    firsts = {number: min(o for p, o in bad if p == number) for number in {p for p, _ in bad}}
    assert setting.settled() == {n: firsts.get(n, size) for n, size in enumerate(sizes) if size}
    assert setting.buried == []
    for name, partition in setting.partitions.items():
        assert partition.stopped is (name.partition in firsts)
        if partition.stopped:
            partition.push([PlainRecord("t", name.partition, 50)])
            assert partition.ready_at(1e9) == FOREVER


async def test_a_record_error_needs_no_further_attempts_whatever_the_policy():
    setting = Setting([4], bad={(0, 2)}, policy="retry", error=RecordError, attempts=50)
    assert await setting.fly()
    assert setting.buried == [(0, 2)]
    assert setting.settled() == {0: 4}


async def test_rejected_records_are_dead_lettered_when_the_batch_is_done():
    setting = Setting([4, 2], policy="retry")
    setting.work = lambda batch: [batch.reject(record, "no") for record in batch if record.offset == 1]
    assert await setting.fly()
    assert setting.buried == [(0, 1), (1, 1)]
    assert setting.settled() == {0: 4, 1: 2}


async def test_a_letter_that_cannot_be_published_is_waited_for_and_the_reason_is_told():
    setting = Setting([1], bad={(0, 0)}, letters_fail=2)
    assert await setting.fly()
    assert setting.buried == [(0, 0)]
    assert setting.troubles == ["Kafka is away"] * 2


async def test_what_waits_to_be_sent_again_says_why():
    setting = Setting([1], bad={(0, 0)}, attempts=2)
    assert await setting.fly()
    assert setting.troubles == ["it comes again: ValueError: bad"]


async def test_when_partitions_are_given_back_no_further_part_begins_and_what_is_done_is_committed():
    setting = Setting([8], bad={(0, 1)})

    def land(batch):
        setting.landing = bool(setting.buried)

    setting.work = land
    assert await setting.fly()
    assert setting.buried == [(0, 1)]
    assert setting.settled() == {0: 4}


async def test_of_a_revoked_batch_nothing_is_said():
    setting = Setting([2], bad={(0, 1)})

    def revoke(batch):
        if len(batch) == 1:
            setting.partitions[TopicPartition("t", 0)].token.valid = False

    setting.work = revoke
    assert not await setting.fly()
    assert setting.buried == []


async def test_behind_a_held_record_the_later_parts_of_its_partition_wait():
    setting = Setting([6, 2])
    setting.work = lambda batch: [
        batch.hold(r, "not yet") for r in batch if (r.partition, r.offset) == (0, 1)
    ]
    assert await Flight(setting.plan, setting.give).complete_parts(
        setting.shares, in_turn(setting.shares, 2), part=False
    )
    assert setting.given == [[(0, 0), (0, 1)], [(1, 0), (1, 1)]]
    assert setting.settled() == {0: 1, 1: 2}
    (partition, _) = setting.partitions.values()
    assert [record.offset for record in partition.take(10, 1_000)] == [1, 2, 3, 4, 5]
