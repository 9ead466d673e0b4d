from itertools import product

import pytest

from prom_faust.lane.history import Position
from prom_faust.sink.sweep import Observation, removable_before


def applied(**offsets):
    return {int(name[1:]): Position(offset, offset) for name, offset in offsets.items()}


def test_the_worked_example():
    seen = Observation(100_000, {0: (0, 70)})
    assert removable_before(seen, applied(p0=69), now=500_000, keep=60) is None
    assert removable_before(seen, applied(p0=70), now=500_000, keep=60) == 100_000


def test_a_marker_stands_as_long_as_it_must_be_kept():
    seen = Observation(100_000, {})
    assert removable_before(seen, {}, now=120_000, keep=60) == 60_000
    assert removable_before(seen, {}, now=120_500, keep=0.25) == 100_000
    assert removable_before(seen, {}, now=100_000, keep=0.25) == 99_750


def test_a_lower_partition_that_nobody_has_applied_keeps_every_marker():
    assert removable_before(Observation(9, {0: (0, 1)}), {}, now=9, keep=0) is None


@pytest.mark.parametrize("span", [(0, 0), (7, 7)])
def test_an_empty_lower_partition_holds_nothing_back(span):
    assert removable_before(Observation(9, {0: span}), {}, now=9, keep=0) == 9


def test_removal_waits_for_every_single_lower_partition():
    seen = Observation(1_000, {0: (0, 2), 1: (1, 2), 2: (2, 2)})
    for first, second, third in product((None, 0, 1, 2, 3), repeat=3):
        offsets = {0: first, 1: second, 2: third}
        positions = {
            number: Position(offset, offset) for number, offset in offsets.items() if offset is not None
        }
        done = all(offset is not None and offset >= 2 for offset in (first, second))
        expected = 1_000 if done else None
        assert removable_before(seen, positions, now=5_000, keep=1) == expected
