"""One partition's records through handlers that fail here and there, and no servers."""

import asyncio
import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prom_faust.exceptions import DeadLetterError, DecodeError, RecordError, RevokedError, UnreachableError
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.failure.policy import FOREVER, Policy
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import PlainRecord, TopicPartition
from prom_faust.lane.records.tasks import Attempts, ShareWork, Steps, Workers

NAME = TopicPartition("t", 0)


class Output:
    """An outlet that remembers what was committed."""

    def __init__(self, fail=()):
        self.commits, self.fail = [], list(fail)

    async def commit(self, sent, offset):
        await asyncio.sleep(0)
        if self.fail and self.fail.pop(0):
            raise UnreachableError("aborted")
        self.commits.append((list(sent), offset))


class Setting:
    """One owned partition; ``fails`` says of a value how often, or with what, the handler raises over it."""

    def __init__(self, keys, *, workers=None, policy=None, fails=None, outlet=None, hold_limit=1_000):
        self.fails = defaultdict(list, {offset: list(errors) for offset, errors in (fails or {}).items()})
        self.handled, self.buried, self.at_work, self.most = [], [], 0, 0
        self.seed = random.Random(len(keys))
        self.token = Token(NAME)
        self.partition = Partition(self.token, hold_limit=hold_limit)
        self.partition.push(PlainRecord("t", 0, offset, key=key) for offset, key in enumerate(keys))
        self.attempts = Attempts(self.token)
        self.workers = Workers(workers)
        self.policy = policy or Policy()
        self.outlet = outlet
        self.committed = 0
        self.during = lambda record: None

    async def call(self, record):
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            for _ in range(self.seed.randrange(4)):
                await asyncio.sleep(0)
            self.during(record)
            if self.fails[record.offset]:
                raise self.fails[record.offset].pop(0)
            self.handled.append((record.key, record.offset))
            return [record.offset]
        finally:
            self.at_work -= 1

    async def bury(self, record, error):
        self.buried.append((record.offset, str(error)))
        return [f"letter {record.offset}"]

    async def share(self, records=1_000):
        share = Share(self.token, self.partition.take(records, 1_000_000))
        batch = Batch({NAME: share}, held_since={}, clock=lambda: 0.0)
        await ShareWork(
            batch,
            NAME,
            Steps(lambda record: record, self.call, self.bury),
            attempts=self.attempts,
            workers=self.workers,
            policy=self.policy,
            outlet=self.outlet,
            label="agent",
        ).run()
        self.committed = self.partition.settle(share, now=0.0, retry_after=0.5)
        return share

    async def all(self, records=1_000):
        while self.partition.held or self.partition.buffered:
            await self.share(records)


KEYS = st.lists(st.sampled_from([b"a", b"b", b"c", b"d", None]), min_size=1, max_size=30)


@settings(max_examples=80, deadline=None)
@given(KEYS, st.integers(1, 6), st.integers(1, 12), st.data())
def test_each_key_is_in_order_and_nothing_is_handled_twice_however_handlers_fail(keys, workers, size, data):
    fails = data.draw(st.dictionaries(st.integers(0, len(keys) - 1), st.integers(1, 3)))

    async def run():
        setting = Setting(
            keys, workers=workers, fails={at: [ValueError("no")] * times for at, times in fails.items()}
        )

        def check(record):
            assert setting.committed <= record.offset

        setting.during = check
        while setting.partition.held or setting.partition.buffered:
            await setting.share(size)
            done = {offset for _, offset in setting.handled}
            assert setting.committed == min(set(range(len(keys))) - done, default=len(keys))
        assert setting.most <= workers
        return setting.handled

    handled = asyncio.run(run())
    assert sorted(offset for _, offset in handled) == list(range(len(keys)))
    for key in set(keys):
        offsets = [offset for of, offset in handled if of == key]
        assert offsets == sorted(offsets)


@settings(max_examples=80, deadline=None)
@given(KEYS, st.integers(1, 6), st.integers(1, 12), st.data())
def test_what_is_sent_is_committed_once_in_the_records_order_however_handlers_and_commits_fail(
    keys, workers, size, data
):
    fails = data.draw(st.dictionaries(st.integers(0, len(keys) - 1), st.integers(1, 3)))
    aborts = data.draw(st.lists(st.booleans(), max_size=6))

    async def run():
        outlet = Output(fail=aborts)
        setting = Setting(
            keys,
            workers=workers,
            outlet=outlet,
            fails={at: [ValueError("no")] * times for at, times in fails.items()},
        )
        await setting.all(size)
        return outlet.commits

    commits = asyncio.run(run())
    assert [offset for sent, _ in commits for offset in sent] == list(range(len(keys)))
    reached = 0
    for sent, offset in commits:
        reached += len(sent)
        assert offset == reached


async def test_one_after_the_other_a_failing_record_holds_up_what_is_behind_it():
    setting = Setting([b"a", b"b", b"c"], fails={1: [ValueError("no")]})
    share = await setting.share()
    assert setting.handled == [(b"a", 0)]
    assert (setting.committed, share.put_back_from) == (1, 1)
    assert str(share.put_back) == "the handler raised ValueError('no')"
    assert 0 <= share.pause <= 0.5


async def test_with_workers_a_failing_record_holds_up_its_own_worker_only_and_no_new_share_is_begun_twice():
    setting = Setting([b"a", b"b"] * 5, workers=8, fails={0: [ValueError("no")] * 2})
    await setting.share()
    assert setting.handled == [(b"b", offset) for offset in range(1, 10, 2)]
    assert setting.committed == 0
    await setting.share()
    assert len(setting.handled) == 5
    await setting.share()
    assert setting.handled[5:] == [(b"a", offset) for offset in range(0, 10, 2)]
    assert setting.committed == 10


async def test_how_far_a_partition_is_worked_ahead_of_a_failing_record_is_bounded_by_one_batch():
    setting = Setting([b"a"] + [b"b"] * 50, workers=8, fails={0: [ValueError("no")] * 1_000})
    for _ in range(20):
        await setting.share(10)
    assert [offset for _, offset in setting.handled] == list(range(1, 10))


async def test_after_its_attempts_a_record_is_dead_lettered_and_the_partition_goes_on():
    setting = Setting([b"a"] * 4, policy=Policy("dead_letter", 3), fails={1: [ValueError("no")] * 9})
    await setting.all()
    assert [offset for _, offset in setting.handled] == [0, 2, 3]
    assert setting.buried == [(1, "the agent raised ValueError('no') over it, 3 times")]
    assert setting.committed == 4


async def test_errors_that_a_retry_helps_do_not_count_as_attempts():
    away = [UnreachableError("away")] * 10
    setting = Setting([b"a"] * 2, policy=Policy("dead_letter", 1), fails={0: away})
    await setting.all()
    assert [offset for _, offset in setting.handled] == [0, 1]
    assert setting.buried == []


@pytest.mark.parametrize("on_error", ["retry", "dead_letter", "stop"])
async def test_a_record_error_dead_letters_its_record_at_once(on_error):
    setting = Setting([b"a"] * 3, policy=Policy(on_error), fails={1: [RecordError("not one of ours")]})
    await setting.share()
    assert setting.buried == [(1, "not one of ours")]
    assert setting.committed == 3


async def test_stop_stops_the_partition_at_the_record():
    setting = Setting([b"a"] * 3, policy=Policy("stop", 1), fails={1: [ValueError("no")]})
    share = await setting.share()
    assert (share.pause, setting.committed) == (FOREVER, 1)
    assert setting.partition.stopped
    assert str(share.put_back) == "it has stopped at offset 1: ValueError('no')"


async def test_a_letter_that_cannot_be_published_keeps_its_record():
    setting = Setting([b"a"] * 3, fails={1: [DecodeError("no")]})
    publish = setting.bury

    async def fails_once(record, error):
        setting.bury = publish
        raise DeadLetterError("Kafka is away")

    setting.bury = fails_once
    await setting.share()
    assert setting.committed == 1
    await setting.all()
    assert [offset for _, offset in setting.handled] == [0, 1, 2]


async def test_when_the_partition_is_given_back_no_further_record_is_begun():
    setting = Setting([b"a"] * 3)

    def revoke(record):
        setting.token.valid = record.offset != 1

    setting.during = revoke
    share = await setting.share()
    assert [offset for _, offset in setting.handled] == [0, 1]
    assert isinstance(share.put_back, RevokedError)
    assert share.put_back_from == 2
    assert share.done_to == 2
