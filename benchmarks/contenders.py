"""The measured paths, each a process of its own."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.connector import connector_command, prepare_connector
from benchmarks.quix import prepare_quix, quix_command
from benchmarks.servers import Progress
from benchmarks.settings import RunSettings
from benchmarks.workload import WORKLOADS, Workload, length_of

__all__ = ["CONTENDERS", "Contender"]

TAKE_SIZE = 500
BY_HAND: tuple[Workload, ...] = ("unique", "hot")
NEW: tuple[Workload, ...] = ("unique", "large")
"""Where no record meets a document."""


def _nothing(_: Progress) -> None:
    """What is there with the benchmark itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One path.

    Attributes:
        name: short, for options and files.
        title: for people.
        command: makes the command of a run.
        records: how many of a run's records it handles: a slow path is measured on fewer.
        exact: whether it handles no record beyond these, so that the collection can be checked.
        workloads: those it takes part in.
        key: the field of the unique index that its documents are found by.
        outside: whether it has no stopwatch within.
        prepare: fetches what it needs.
    """

    name: str
    title: str
    command: Callable[[RunSettings], Sequence[str]]
    records: Callable[[Workload, int], int]
    exact: bool = True
    workloads: tuple[Workload, ...] = WORKLOADS
    key: str = "_key"
    outside: bool = False
    prepare: Callable[[Progress], object] = _nothing


def _python(*arguments: str) -> Callable[[RunSettings], Sequence[str]]:
    return lambda _: [sys.executable, *arguments]


def _worker(app: str) -> Callable[[RunSettings], Sequence[str]]:
    # With "warn", the default, Faust draws a spinner, and for that leaves every library's debug messages on.
    return _python(
        "-m",
        "faust",
        "-A",
        f"benchmarks.apps.{app}:app",
        "worker",
        "--without-web",
        "--loglevel=info",
    )


CONTENDERS = (
    Contender(
        name="ceiling",
        title="ceiling: bulk from memory",
        command=_python("-m", "benchmarks.ceiling"),
        records=lambda _, count: count,
    ),
    Contender(
        name="inserts",
        title="ceiling: inserts from memory",
        command=_python("-m", "benchmarks.ceiling", "--insert"),
        records=lambda _, count: count,
        workloads=NEW,
    ),
    Contender(name="sink", title="prom_faust sink", command=_worker("sink"), records=length_of),
    Contender(
        name="plain",
        title="prom_faust sink, no schema",
        command=_worker("plain_sink"),
        records=length_of,
    ),
    Contender(
        name="connector",
        title="mongo-kafka connector",
        command=connector_command,
        # From outside only the end of the topic can be seen.
        records=length_of,
        key="id",
        outside=True,
        prepare=prepare_connector,
    ),
    Contender(
        name="defaults",
        title="mongo-kafka connector, defaults",
        command=partial(connector_command, tuned=False),
        records=length_of,
        workloads=BY_HAND,
        key="id",
        outside=True,
        prepare=prepare_connector,
    ),
    Contender(
        name="quix",
        title="Quix Streams sink",
        command=quix_command,
        records=length_of,
        # It deletes nothing.
        workloads=("unique", "hot", "large"),
        key="id",
        outside=True,
        prepare=prepare_quix,
    ),
    Contender(
        name="take",
        title=f"Faust agent, take({TAKE_SIZE}) + bulk",
        command=_worker("take"),
        # A last batch that is not full would wait for its time to run out.
        records=lambda _, count: max(count * 3 // 10 // TAKE_SIZE, 1) * TAKE_SIZE,
        exact=False,
        workloads=BY_HAND,
    ),
    Contender(
        name="update_one",
        title="Faust agent, motor update_one",
        command=_worker("update_one"),
        records=lambda _, count: max(count // 20, 1),
        exact=False,
        workloads=BY_HAND,
    ),
)
