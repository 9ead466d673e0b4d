"""The measured paths, each a process of its own, and how one of them is run."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient, MongoClient
from pymongo.collection import Collection

from benchmarks.measurement import Measurement
from benchmarks.servers import Stack
from benchmarks.settings import RunSettings
from benchmarks.workload import COLLECTION, WORKLOADS, Workload, final, length_of, topic_of
from prom_faust.sink.mongo import Collection as SinkCollection
from prom_faust.sink.options import ChangelogOptions

__all__ = ["CONTENDERS", "Contender", "RunError", "run_contender"]

ROOT = Path(__file__).parents[1]
START_SECONDS = 90.0
POLL_SECONDS = 0.1
INDEX_SECONDS = 20.0
TAKE_SIZE = 500
TAIL_LINES = 20
BY_HAND: tuple[Workload, ...] = ("unique", "hot")


class RunError(Exception):
    """A path failed or left a wrong collection, so there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One path.

    Attributes:
        name: short, for options and files.
        title: for people.
        arguments: of the Python that runs it.
        records: how many of a run's records it handles: a slow path is measured on fewer.
        exact: whether it handles no record beyond these, so that the collection can be checked.
        workloads: those it takes part in.
    """

    name: str
    title: str
    arguments: tuple[str, ...]
    records: Callable[[Workload, int], int]
    exact: bool
    workloads: tuple[Workload, ...] = WORKLOADS


def _worker(app: str) -> tuple[str, ...]:
    # With "warn", the default, Faust draws a spinner, and for that leaves every library's debug messages on.
    return (
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
        "ceiling", "ceiling: bulk from memory", ("-m", "benchmarks.ceiling"), lambda _, count: count, True
    ),
    Contender("sink", "prom_faust sink", _worker("sink"), length_of, True),
    Contender(
        "take",
        f"Faust agent, take({TAKE_SIZE}) + bulk",
        _worker("take"),
        # A last batch that is not full would wait for its time to run out.
        lambda _, count: max(count * 3 // 10 // TAKE_SIZE, 1) * TAKE_SIZE,
        False,
        BY_HAND,
    ),
    Contender(
        "update_one",
        "Faust agent, motor update_one",
        _worker("update_one"),
        lambda _, count: max(count // 20, 1),
        False,
        BY_HAND,
    ),
)


def run_contender(
    contender: Contender, stack: Stack, workload: Workload, count: int, *, name: str, limit: float
) -> Measurement:
    """Run one path on a fresh database and drop that afterwards.

    Args:
        contender: the path.
        stack: the servers; the workload's topic is filled.
        workload: which one.
        count: the workload's records.
        name: a name that no other run has.
        limit: seconds after which the measurement ends with what is handled by then.

    Raises:
        RunError: the path ended, hung, or left a wrong collection.
    """
    run = RunSettings(
        name=name,
        broker=stack.kafka.url,
        mongo=stack.mongo.url,
        mongo_pid=stack.mongo.pid or 0,
        workload=workload,
        records=contender.records(workload, count),
        limit=limit,
        report=stack.folder / f"{name}.json",
    )
    with MongoClient[dict[str, Any]](run.mongo) as client:
        asyncio.run(_make_indexes(run))
        try:
            measurement = _measure(contender, run, stack.folder)
            if contender.exact and measurement.records == run.records:
                _check(contender, run, client[run.database][COLLECTION])
        finally:
            client.drop_database(run.database)
    return measurement


async def _make_indexes(run: RunSettings) -> None:
    """The sink's own indexes, for every path."""
    async with AsyncMongoClient[dict[str, Any]](run.mongo) as client:
        options = ChangelogOptions(topic=topic_of(run.workload), collection=COLLECTION)
        await SinkCollection(client[run.database], options, deadline=INDEX_SECONDS).ensure_indexes()


def _measure(contender: Contender, run: RunSettings, folder: Path) -> Measurement:
    log = folder / f"{run.name}.log"
    with _process(contender, run, log) as process:
        deadline = time.monotonic() + START_SECONDS + run.limit
        while not run.report.exists():
            if process.poll() is not None:
                raise RunError(f"{contender.title} ended with exit code {process.returncode}\n{_tail(log)}")
            if time.monotonic() > deadline:
                raise RunError(f"{contender.title} did not report in time\n{_tail(log)}")
            time.sleep(POLL_SECONDS)
        return Measurement.model_validate_json(run.report.read_bytes())


@contextmanager
def _process(contender: Contender, run: RunSettings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | run.environment()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *contender.arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # It has reported, and its group and database are never used again: a graceful stop gains nothing.
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    """The last lines of a log that is about to be removed."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])


def _check(contender: Contender, run: RunSettings, collection: Collection[dict[str, Any]]) -> None:
    """Every document must be that of its key's last record; a marker of a deleted key is none."""
    documents = collection.find({"_deleted": {"$exists": False}}, {"id": 1, "pid": 1})
    found = [(document["id"], document["pid"]) for document in documents]
    wanted = final(run.workload, run.records)
    if sorted(found) != sorted(wanted.items()):
        right = len(wanted.items() & set(found))
        raise RunError(
            f"{contender.title} left {len(found):,} documents, of which {right:,} are right, not {len(wanted):,}"
        )
