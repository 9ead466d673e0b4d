import pytest

from prom_faust.backoff import Backoff

LAST = 2_000


@pytest.mark.parametrize(("base", "cap"), [(0.2, 10.0), (1.0, 2.0), (0.5, 0.1)])
def test_every_pause_is_within_its_bound_however_long_the_outage(base, cap):
    backoff = Backoff(base, cap)
    for attempt in range(LAST):
        assert 0 <= backoff.next() <= min(cap, base * 2 ** min(attempt, 50))


def test_pauses_are_jittered_over_their_whole_range():
    pauses = [Backoff(1.0, 10.0).next() for _ in range(500)]
    assert min(pauses) < 0.1
    assert max(pauses) > 0.9


def test_pauses_grow_up_to_the_cap():
    backoff = Backoff(0.2, 10.0)
    pauses = [backoff.next() for _ in range(500)]
    assert 9 < max(pauses) <= 10


def test_after_a_success_the_pauses_start_again():
    backoff = Backoff(0.2, 10.0)
    for _ in range(100):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 0.2
