"""Histories of any length and two faults, on two cores: ``make exhaustive``.

One process explores, the other compares the fast steps with the package itself on every flight of a smaller bound.
"""

import logging
import sys
import time
from multiprocessing import get_context

from tests.exhaustive.flight import outcomes
from tests.exhaustive.machine import Machine
from tests.exhaustive.steps import steps

COUNTED = 6
"""The longest history whose runs are counted."""


def explore(what, faults, length, fly):
    """Explore, with a line for every ten thousand states."""
    logging.disable(logging.CRITICAL)
    began = time.monotonic()

    def line(machine):
        seconds = time.monotonic() - began
        print(f"{what}: {machine.states:,} states, {machine.flights:,} flights, {seconds:.0f} s", flush=True)

    machine = Machine(faults, length, fly, line)
    machine.explore()
    line(machine)
    counted = COUNTED if length is None else length
    print(
        f"{what}: {machine.summary()}\n"
        f"{what}: {machine.runs(counted):,} runs of the {sum(7**n for n in range(counted + 1)):,} histories of up to "
        f"{counted} records, {time.monotonic() - began:.0f} s",
        flush=True,
    )


def checked(start):
    """The outcomes of a flight, taken by the package and by the steps."""
    found = outcomes(start)
    assert found == steps(start), start
    return found


def main(faults=2, length=None):
    """Run both; the exit code."""
    context = get_context("fork")
    longest = None if length is None else int(length)
    processes = [
        context.Process(target=explore, args=("explored", int(faults), longest, steps)),
        context.Process(target=explore, args=("compared", 1, 3, checked)),
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return int(any(process.exitcode for process in processes))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
