from prom_faust.exceptions import UnreachableError
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import PlainRecord, TopicPartition

NAME = TopicPartition("t", 0)
ERROR = UnreachableError("away")


def partition():
    found = Partition(Token(NAME), hold_limit=100)
    found.push(PlainRecord("t", 0, offset) for offset in range(10))
    return found


def batch_of(found, count):
    share = Share(found.token, found.take(count, 1_000_000))
    return Batch({NAME: share}, held_since={}, clock=lambda: 0.0), share


def test_what_is_before_the_offset_is_done_and_the_rest_comes_again_in_order():
    found = partition()
    batch, share = batch_of(found, 6)
    batch.put_back(NAME, ERROR, since=3)
    assert found.settle(share, now=0.0, retry_after=0.5) == 3
    assert found.ready_at(0.1) == 0.5
    assert [record.offset for record in found.take(100, 1_000_000)] == [3, 4, 5, 6, 7, 8, 9]


def test_a_pause_of_its_own_is_waited_out_even_if_there_is_more_to_take():
    found = partition()
    batch, share = batch_of(found, 6)
    batch.put_back(NAME, ERROR, since=0, pause=7.0)
    assert found.settle(share, now=1.0, retry_after=0.5) == 0
    assert found.ready_at(2.0) == 8.0
    assert found.ready_at(8.0) == 8.0


def test_a_record_that_is_held_beside_it_comes_again_too():
    found = partition()
    batch, share = batch_of(found, 6)
    batch.hold(PlainRecord("t", 0, 1), "waits")
    batch.put_back(NAME, ERROR, since=4)
    assert found.settle(share, now=0.0, retry_after=0.5) == 1
    assert [record.offset for record in found.take(3, 1_000_000)] == [1, 4, 5]


def test_to_be_given_a_share_again_is_to_start_afresh():
    found = partition()
    batch, share = batch_of(found, 6)
    batch.hold(PlainRecord("t", 0, 1), "waits")
    batch.put_back(NAME, ERROR, since=4, pause=9.0)
    share.done_to = 4
    share.clear()
    assert share == Share(share.token, share.records)
