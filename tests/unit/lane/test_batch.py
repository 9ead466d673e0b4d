import pytest

from prom_faust.exceptions import DeadLetterError, RevokedError
from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.record import PlainRecord, TopicPartition

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)


def records(partition, *offsets):
    return [PlainRecord("t", partition, offset) for offset in offsets]


def batch(held_since=None, clock=lambda: 100.0):
    shares = {
        ONE: Share(Token(ONE), records(1, 5, 6)),
        TWO: Share(Token(TWO), records(2, 0)),
    }
    return Batch(shares, held_since=held_since or {}, clock=clock)


def test_a_batch_gives_its_records_partition_by_partition():
    whole = batch()
    assert [(record.partition, record.offset) for record in whole] == [(1, 5), (1, 6), (2, 0)]
    assert whole.records == list(whole)
    assert len(whole) == 3


def test_a_batch_of_owned_partitions_passes_the_check():
    batch().check()


@pytest.mark.parametrize("revoked", [ONE, TWO])
def test_a_batch_with_any_revoked_partition_fails_the_check(revoked):
    whole = batch()
    whole.shares[revoked].token.valid = False
    with pytest.raises(RevokedError, match=rf"t\[{revoked.partition}\]"):
        whole.check()


def test_a_held_record_is_noted_in_its_own_partition():
    whole = batch()
    whole.hold(whole.records[1], "waits")
    assert whole.shares[ONE].held == {6: "waits"}
    assert whole.shares[TWO].held == {}


def test_a_record_that_was_never_held_is_held_for_no_time():
    whole = batch(held_since={(ONE, 6): 10.0})
    assert whole.held_for(whole.records[0]) == 0.0
    assert whole.held_for(PlainRecord("t", 2, 6)) == 0.0


def test_the_time_of_a_hold_counts_from_the_first():
    now = [100.0]
    whole = batch(held_since={(ONE, 6): 70.0}, clock=lambda: now[0])
    assert whole.held_for(whole.records[1]) == 30.0
    now[0] = 101.0
    assert whole.held_for(whole.records[1]) == 31.0


def test_one_partition_can_be_put_back_alone():
    whole, error = batch(), DeadLetterError("no broker")
    whole.put_back(TWO, error)
    assert whole.shares[TWO].put_back is error
    assert whole.shares[ONE].put_back is None


def test_a_batch_is_not_waiting_until_it_says_so():
    assert batch().waiting is False


def test_tokens_are_told_apart_by_identity():
    assert Token(ONE) != Token(ONE)
