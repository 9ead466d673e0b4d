import doctest

from hypothesis import given, settings
from hypothesis import strategies as st

from prom_faust.lane.record import PlainRecord
from prom_faust.lane.records import order
from prom_faust.lane.records.order import Ledger, strands, worker_of
from prom_faust.routing.hashing import partition_of


@settings(max_examples=100)
@given(st.sets(st.integers(0, 200), min_size=1), st.data())
def test_in_whatever_order_records_end_nothing_is_done_beyond_the_lowest_that_is_not(found, data):
    offsets = sorted(found)
    ledger, taken, left = Ledger(offsets), [], set(offsets)
    assert ledger.to == offsets[0]
    for offset in data.draw(st.permutations(offsets)):
        ledger.finish(offset, f"of {offset}")
        left.discard(offset)
        assert ledger.to == min(left, default=offsets[-1] + 1)
        assert ledger.complete is (not left)
        if data.draw(st.booleans()):
            taken += ledger.take()
            assert taken == [f"of {each}" for each in offsets if each < ledger.to]
        assert ledger.ahead == {each for each in offsets if each not in left and each >= ledger.to}
    assert taken + ledger.take() == [f"of {each}" for each in offsets]


def test_a_key_has_one_worker_and_its_records_keep_their_order():
    keys = [b"k%d" % number for number in range(40)]
    records = [PlainRecord("t", 0, offset, key=keys[offset % 40]) for offset in range(400)]
    found = strands(records, 8)
    assert set(found) <= set(range(8))
    for key in keys:
        (mine,) = [
            [r for r in each if r.key == key] for each in found.values() if key in {r.key for r in each}
        ]
        assert [record.offset for record in mine] == [r.offset for r in records if r.key == key]
    assert sum(map(len, found.values())) == 400


def test_the_keys_of_one_partition_are_spread_over_the_workers():
    of_one = [key for key in (b"k%d" % number for number in range(4_000)) if partition_of(key, 8) == 3]
    shares = [sum(worker_of(key, 3, 8) == worker for key in of_one) / len(of_one) for worker in range(8)]
    assert min(shares) > 0.08


def test_records_without_a_key_keep_the_order_of_their_partition():
    records = [PlainRecord("t", 6, offset) for offset in range(10)]
    assert strands(records, 4) == {2: records}


def test_without_workers_of_its_own_a_share_has_one():
    records = [PlainRecord("t", 0, offset, key=b"%d" % offset) for offset in range(10)]
    assert strands(records, None) == {0: records}


def test_the_examples_are_right():
    assert doctest.testmod(order).failed == 0
    assert doctest.testmod(order).attempted > 0
