"""The sink through every crash point of every history; through two of them with short ones.

Two faults in histories of any length: ``make exhaustive``.
"""

import logging
from itertools import product

import pytest

from prom_faust.testing import fold
from tests.exhaustive.flight import BASE, KEYS, OPTIONS, REFUSE, outcomes, record_of
from tests.exhaustive.machine import KINDS, Machine, standing_after
from tests.exhaustive.steps import steps

HISTORIES = sum(len(KINDS) ** length for length in range(7))


@pytest.fixture(autouse=True)
def _quiet():
    """Each lost answer of each run would be logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def bounds(*those):
    """The longest history and the most faults."""
    return [pytest.param(*bound, id=f"{bound[0]}-{bound[1]}") for bound in those]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("length", "faults"), bounds((2, 2), (3, 2)))
def test_every_run_of_every_history_ends_as_its_fold(length, faults):
    machine = Machine(faults, length)
    machine.explore()
    print(f"{machine.summary()}, {machine.runs(length):,} runs")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("faults", "states"), [(0, 15), (1, 28_503)])
def test_every_run_of_a_history_of_any_length_ends_as_its_fold(faults, states):
    machine = Machine(faults)
    machine.explore()
    print(f"{machine.summary()}, {machine.runs(6):,} runs of the {HISTORIES:,} histories of up to 6 records")
    assert machine.states == states


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("length", "faults"), bounds((3, 0), (2, 1), (2, 2)))
def test_the_package_itself_takes_every_flight_as_the_steps_do(length, faults):
    def both(start):
        found = outcomes(start)
        assert found == steps(start), start
        return found

    machine = Machine(faults, length, both)
    machine.explore()
    print(machine.summary())
    assert machine.flights > 100


def test_what_must_stand_is_what_the_package_folds():
    cases = 0
    for history in (history for length in range(5) for history in product(KINDS, repeat=length)):
        records = [record_of(event, BASE + place) for place, event in enumerate(history)]
        good = [record for record, event in zip(records, history, strict=True) if event.kind != REFUSE]
        expected = dict(zip(KEYS, standing_after((None, None), history, BASE), strict=True))
        found = {key: document["v"] for key, document in fold(good, OPTIONS).items()}
        assert found == {key: n for key, n in expected.items() if n is not None}, history
        cases += 1
    print(f"{cases} histories")
    assert cases == 1 + 7 + 7**2 + 7**3 + 7**4
