import doctest

import pytest

from prom_faust.exceptions import ConfigurationError, DecodeError, RecordError, RevokedError, UnreachableError
from prom_faust.lane.batch import Share, Token
from prom_faust.lane.failure import policy
from prom_faust.lane.failure.policy import Policy, Verdict, dead, halves
from prom_faust.lane.record import PlainRecord, TopicPartition

BUG = ValueError("bug")


def test_retry_is_for_ever():
    for records in (1, 500):
        assert Policy("retry", 1).verdict(BUG, failures=1_000, records=records) is Verdict.AGAIN


def test_a_batch_is_tried_as_often_as_asked_and_then_taken_apart():
    verdicts = [Policy("dead_letter", 3).verdict(BUG, failures=n, records=8) for n in (1, 2, 3)]
    assert verdicts == [Verdict.AGAIN, Verdict.AGAIN, Verdict.APART]


def test_a_part_of_several_records_is_tried_once():
    assert Policy("dead_letter", 3).verdict(BUG, failures=1, records=2, part=True) is Verdict.APART


@pytest.mark.parametrize(("on_error", "end"), [("dead_letter", Verdict.BURY), ("stop", Verdict.STOP)])
def test_a_record_alone_is_tried_as_often_as_asked(on_error, end):
    verdicts = [
        Policy(on_error, 3).verdict(BUG, failures=n, records=1, part=part)
        for part in (False, True)
        for n in (1, 2, 3)
    ]
    assert verdicts == [Verdict.AGAIN, Verdict.AGAIN, end] * 2


@pytest.mark.parametrize("on_error", ["retry", "dead_letter", "stop"])
def test_a_record_error_is_a_record_s_own_fault_under_every_policy(on_error):
    for error in (RecordError("bad"), DecodeError("bad")):
        assert Policy(on_error).verdict(error, failures=1, records=2) is Verdict.APART
        assert Policy(on_error).verdict(error, failures=1, records=1, part=True) is Verdict.BURY


class PaymentsAwayError(Exception):
    retryable = True


@pytest.mark.parametrize(
    "error", [UnreachableError("away"), PaymentsAwayError(), RevokedError("gone"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("on_error", ["retry", "dead_letter", "stop"])
def test_what_says_nothing_of_the_records_is_tried_again_under_every_policy(on_error, error):
    assert Policy(on_error, 1).verdict(error, failures=1_000, records=1) is Verdict.AGAIN


@pytest.mark.parametrize("options", [("ignore",), ("stop", 0), ("stop", True), ("stop", 1.5)])
def test_a_policy_that_cannot_be_is_refused(options):
    with pytest.raises(ConfigurationError):
        Policy(*options)


def test_the_letter_of_a_record_names_what_was_raised_and_how_often():
    error = dead(BUG, 5)
    assert str(error) == "the agent raised ValueError('bug') over it, 5 times"
    assert error.__cause__ is BUG
    assert dead(own := DecodeError("no"), 1) is own


def shares_of(*sizes):
    return {
        TopicPartition("t", number): Share(
            Token(TopicPartition("t", number)), [PlainRecord("t", number, offset) for offset in range(size)]
        )
        for number, size in enumerate(sizes)
    }


@pytest.mark.parametrize("sizes", [(2,), (3,), (1, 1), (5, 1, 4), (1, 9), (1, 1, 1)])
def test_halves_are_the_whole_in_its_order_and_neither_is_empty(sizes):
    whole = shares_of(*sizes)
    first, second = (
        [record for share in half.values() for record in share.records] for half in halves(whole)
    )
    assert first + second == [record for share in whole.values() for record in share.records]
    assert len(first) == sum(sizes) // 2


def test_the_examples_are_right():
    assert doctest.testmod(policy).failed == 0
    assert doctest.testmod(policy).attempted > 0
