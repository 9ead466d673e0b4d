"""Any sequence of pushing, taking and settling: nothing is lost, order is kept, no commit runs ahead."""

from hypothesis import given, settings
from hypothesis import strategies as st

from prom_faust.exceptions import DeadLetterError
from prom_faust.lane.batch import Share, Token
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import PlainRecord, TopicPartition, record_size

PUSH = st.tuples(st.just("push"), st.lists(st.integers(1, 5), max_size=6), st.integers(0, 300))
WORK = st.tuples(
    st.just("work"),
    st.integers(1, 6),
    st.integers(1, 2_000),
    st.lists(st.booleans(), max_size=8),
    st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PUSH | WORK, max_size=40), st.integers(1, 4))
def test_nothing_is_lost_or_reordered_and_no_commit_passes_an_undone_record(steps, hold_limit):
    partition = Partition(Token(TopicPartition("t", 0)), hold_limit=hold_limit)
    pushed, first_taken, done = [], [], set()
    end, committed, now = 0, 0, 0.0

    def push(gaps, size):
        nonlocal end
        records = []
        for gap in gaps:
            end += gap
            records.append(PlainRecord("t", 0, end, value=b"x" * size))
        partition.push(records)
        pushed.extend(record.offset for record in records)

    def work(max_records, max_bytes, holds, put_back):
        nonlocal committed, now
        now += 1
        held_before = partition.held
        taken = partition.take(max_records, max_bytes)
        offsets = [record.offset for record in taken]
        if not taken:
            return
        fresh = offsets[held_before:]
        assert len(fresh) <= max(0, max_records - held_before)
        assert not fresh or held_before < hold_limit
        assert len(taken) <= max(1, held_before) or sum(map(record_size, taken)) <= max_bytes
        assert offsets == sorted(set(offsets))
        first_taken.extend(fresh)
        again = {offset for offset, held in zip(offsets, holds, strict=False) if held}
        error = DeadLetterError("no broker") if put_back else None
        share = Share(partition.token, taken, dict.fromkeys(again, "waits"), error)
        commit = partition.settle(share, now=now, retry_after=0.5)
        if put_back:
            again = set(offsets)
        done.update(set(offsets) - again)
        assert partition.held == len(again)
        assert all(offset in done for offset in pushed if offset < commit)
        assert commit >= committed
        committed = commit

    for kind, *arguments in steps:
        (push if kind == "push" else work)(*arguments)
        assert partition.buffered == len(pushed) - len(first_taken)
    while partition.ready_at(now + 1) is not None:
        work(3, 1_000, [], put_back=False)
    assert first_taken == pushed
    assert done == set(pushed)
    assert committed == (pushed[-1] + 1 if pushed else 0)
    assert (partition.buffered, partition.buffered_bytes, partition.held) == (0, 0, 0)
