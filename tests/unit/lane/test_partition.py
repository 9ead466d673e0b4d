import pytest

from prom_faust.exceptions import DeadLetterError
from prom_faust.lane.batch import Share, Token
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import RECORD_OVERHEAD, PlainRecord, TopicPartition

NAME = TopicPartition("t", 0)
PLENTY = 1_000_000
ERROR = DeadLetterError("no broker")


def records(*offsets, size=0):
    return [PlainRecord("t", 0, offset, value=b"x" * size) for offset in offsets]


def partition(*offsets, hold_limit=10):
    fresh = Partition(Token(NAME), hold_limit=hold_limit)
    fresh.push(records(*offsets))
    return fresh


def take(one, max_records=PLENTY, max_bytes=PLENTY):
    return [record.offset for record in one.take(max_records, max_bytes)]


def work(one, *, held=(), put_back=None, max_records=PLENTY, now=0.0, retry_after=1.0):
    taken = one.take(max_records, PLENTY)
    share = Share(one.token, taken, dict.fromkeys(held, "waits"), put_back)
    return [record.offset for record in taken], one.settle(share, now=now, retry_after=retry_after)


def test_the_worked_example():
    one = partition(*range(5, 10))
    assert work(one, held=[7]) == ([5, 6, 7, 8, 9], 7)
    one.push(records(10))
    assert work(one) == ([7, 10], 11)


def test_done_is_everything_before_the_first_record_that_is_not():
    one = Partition(Token(NAME), hold_limit=10, start=4)
    assert one.done == 4
    one.push(records(5, 6, 7, 8))
    assert one.done == 5
    taken = one.take(3, PLENTY)
    assert one.done == 5
    one.settle(Share(one.token, taken, {6: "waits"}), now=0.0, retry_after=1.0)
    assert one.done == 6
    work(one)
    assert one.done == 9


def test_the_oldest_record_is_the_first_that_is_read_and_not_done():
    one = partition()
    assert one.oldest is None
    one.push([PlainRecord("t", 0, offset, timestamp=100 + offset) for offset in (1, 2, 3)])
    assert one.oldest == 101
    taken = one.take(2, PLENTY)
    assert one.oldest == 101
    one.settle(Share(one.token, taken, {2: "waits"}), now=0.0, retry_after=1.0)
    assert one.oldest == 102
    taken = one.take(PLENTY, PLENTY)
    one.settle(Share(one.token, taken, put_back=ERROR, put_back_from=3), now=0.0, retry_after=1.0)
    assert one.oldest == 103
    work(one)
    assert one.oldest is None


def test_records_come_in_the_order_they_were_pushed():
    one = partition(1, 2)
    one.push(records(3))
    assert take(one) == [1, 2, 3]


def test_what_is_buffered_is_counted_in_records_and_bytes():
    one = Partition(Token(NAME), hold_limit=1)
    one.push(records(1, 2, size=100))
    assert (one.buffered, one.buffered_bytes) == (2, 2 * (RECORD_OVERHEAD + 100))
    one.take(1, PLENTY)
    assert (one.buffered, one.buffered_bytes) == (1, RECORD_OVERHEAD + 100)
    assert one.in_flight_bytes == RECORD_OVERHEAD + 100


def test_no_more_records_are_taken_than_asked_for():
    assert take(partition(1, 2, 3), max_records=2) == [1, 2]


def test_no_more_bytes_are_taken_than_asked_for():
    one = Partition(Token(NAME), hold_limit=1)
    one.push(records(1, 2, 3, size=100))
    each = RECORD_OVERHEAD + 100
    assert take(one, max_bytes=2 * each) == [1, 2]


def test_one_record_is_taken_however_large_it_is():
    one = Partition(Token(NAME), hold_limit=1)
    one.push(records(1, 2, size=5000))
    assert take(one, max_bytes=1) == [1]


def test_held_records_come_first_and_count_into_the_bounds():
    one = partition(1, 2, 3)
    work(one, held=[1, 2])
    one.push(records(4, 5, 6))
    assert take(one, max_records=3) == [1, 2, 4]
    other = partition(1, 2, 3)
    work(other, held=[1])
    other.push(records(4))
    assert take(other, max_bytes=RECORD_OVERHEAD) == [1]


def test_at_the_hold_limit_no_new_records_are_taken():
    one = partition(1, 2, 3, hold_limit=2)
    work(one, held=[1, 3])
    one.push(records(4))
    assert one.held == 2
    assert work(one, held=[3]) == ([1, 3], 3)
    assert work(one) == ([3, 4], 5)


def test_nothing_is_taken_from_an_empty_partition():
    one = partition()
    assert take(one) == []
    assert not one.in_flight


def test_a_commit_passes_what_is_done():
    one = partition(3, 4, 9)
    assert work(one) == ([3, 4, 9], 10)


def test_a_commit_stops_at_the_first_held_record_and_goes_on_after_it():
    one = partition(3, 4, 5)
    assert work(one, held=[4]) == ([3, 4, 5], 4)
    assert work(one, held=[4]) == ([4], 4)
    assert work(one) == ([4], 6)


def test_a_partition_that_is_put_back_comes_again_whole():
    one = partition(3, 4, 5)
    work(one, held=[4])
    one.push(records(6))
    assert work(one, put_back=ERROR, held=[6]) == ([4, 6], 4)
    assert one.error is ERROR
    assert work(one) == ([4, 6], 7)
    assert one.error is None


def test_a_hold_keeps_the_time_at_which_it_began():
    one = partition(1, 2)
    work(one, held=[1], now=10.0)
    work(one, held=[1], now=20.0)
    assert one.held_since == {1: 10.0}
    work(one, now=30.0)
    assert one.held_since == {}


def test_to_be_put_back_is_not_to_be_held():
    one = partition(1, 2, 3)
    work(one, held=[1], now=10.0)
    one.push(records(4))
    work(one, put_back=ERROR, held=[4], now=20.0)
    assert one.held_since == {1: 10.0, 4: 20.0}
    fresh = partition(1, 2)
    work(fresh, put_back=ERROR, now=10.0)
    assert fresh.held_since == {}


def test_a_partition_with_records_is_ready():
    assert partition(1).ready_at(5.0) == 5.0
    assert partition().ready_at(5.0) is None


def test_a_partition_in_flight_or_revoked_is_never_ready():
    one = partition(1, 2)
    one.take(1, PLENTY)
    assert one.ready_at(5.0) is None
    revoked = partition(1)
    revoked.token.valid = False
    assert revoked.ready_at(5.0) is None


def test_held_records_wait_out_their_pause_unless_new_ones_come():
    one = partition(1)
    work(one, held=[1], now=10.0, retry_after=2.0)
    assert one.ready_at(11.0) == 12.0
    assert one.ready_at(12.0) == 12.0
    assert one.ready_at(13.0) == 13.0
    one.push(records(2))
    assert one.ready_at(11.0) == 11.0


def test_a_partition_that_was_put_back_waits_out_its_pause_whatever_comes():
    one = partition(1)
    work(one, put_back=ERROR, now=10.0, retry_after=2.0)
    one.push(records(2))
    assert one.ready_at(11.0) == 12.0
    assert one.ready_at(12.5) == 12.5


def test_at_the_hold_limit_new_records_do_not_shorten_the_pause():
    one = partition(1, hold_limit=1)
    work(one, held=[1], now=10.0, retry_after=2.0)
    one.push(records(2))
    assert one.ready_at(11.0) == 12.0


@pytest.mark.parametrize("put_back", [None, ERROR])
def test_settling_ends_the_flight(put_back):
    one = partition(1, 2)
    one.take(1, PLENTY)
    assert one.in_flight
    one.settle(Share(one.token, records(1), {}, put_back), now=0.0, retry_after=0.0)
    assert not one.in_flight
