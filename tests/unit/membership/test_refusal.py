"""What a broker's refusal is turned into."""

import pytest
from aiokafka import errors

from prom_faust.exceptions import DuplicateMemberError, GroupError
from prom_faust.membership.refusal import REASONS, refusal


@pytest.mark.parametrize("name", [name for name in REASONS if hasattr(errors, name)])
def test_what_every_join_would_give_again_is_named(name):
    found = refusal("g", getattr(errors, name)())
    assert type(found) is GroupError
    assert str(found).startswith("this worker cannot join group g: ")


def test_an_error_that_was_wrapped_is_recognised():
    wrapped = errors.KafkaError(
        f"Unexpected error during coordination {errors.InvalidSessionTimeoutError()!r}"
    )
    assert "6 s" in str(refusal("g", wrapped))


def test_a_fenced_instance_is_a_duplicate():
    assert type(refusal("g", errors.KafkaError("FencedInstanceIdError"))) is DuplicateMemberError


@pytest.mark.parametrize("error", [errors.RequestTimedOutError(), errors.KafkaConnectionError(), OSError()])
def test_what_may_pass_is_no_refusal(error):
    assert refusal("g", error) is None
