"""How one path is run once: on a fresh database, as a process of its own, checked by what it leaves."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient, MongoClient
from pymongo.collection import Collection

from benchmarks.contenders import Contender
from benchmarks.measurement import Measurement
from benchmarks.onlooker import Onlooker
from benchmarks.servers import Stack
from benchmarks.settings import RunSettings
from benchmarks.workload import COLLECTION, Workload, final, topic_of
from prom_faust.sink.mongo.collection import Collection as SinkCollection
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.options import ChangelogOptions

__all__ = ["RunError", "run_contender"]

ROOT = Path(__file__).parents[1]
START_SECONDS = 90.0
POLL_SECONDS = 0.05
INDEX_SECONDS = 20.0
TAIL_LINES = 20
KEY = "_key"


class RunError(Exception):
    """A path failed or left a wrong collection, so there is nothing to measure."""


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
        collection = client[run.database][COLLECTION]
        _make_indexes(contender, run, collection)
        try:
            measurement = _measure(contender, run, collection)
            # From outside, a run ends when the collection is complete; another may end at its limit.
            if contender.exact and (contender.outside or measurement.records == run.records):
                _check(contender, run, collection)
        finally:
            client.drop_database(run.database)
    return measurement


def _make_indexes(contender: Contender, run: RunSettings, collection: Collection[dict[str, Any]]) -> None:
    if contender.key == KEY:
        asyncio.run(_make_own_indexes(run))
    else:
        collection.create_index(contender.key, unique=True)


async def _make_own_indexes(run: RunSettings) -> None:
    """The sink's, for every path whose documents have its key."""
    async with AsyncMongoClient[dict[str, Any]](run.mongo) as client:
        options = ChangelogOptions(topic=topic_of(run.workload), collection=COLLECTION)
        await SinkCollection(Server(client[run.database], deadline=INDEX_SECONDS), options).prepare()


def _measure(contender: Contender, run: RunSettings, collection: Collection[dict[str, Any]]) -> Measurement:
    log = run.report.with_suffix(".log")
    look = Onlooker(run, collection).look if contender.outside else _report_of(run)
    with _process(contender, run, log) as process:
        deadline = time.monotonic() + START_SECONDS + run.limit
        while (measurement := look(process.pid)) is None:
            if process.poll() is not None:
                raise RunError(f"{contender.title} ended with exit code {process.returncode}\n{_tail(log)}")
            if time.monotonic() > deadline:
                raise RunError(f"{contender.title} was not done in time\n{_tail(log)}")
            time.sleep(POLL_SECONDS)
        return measurement


def _report_of(run: RunSettings) -> Callable[[int], Measurement | None]:
    """Looks for what a process with a stopwatch writes down at its end."""

    def look(_: int) -> Measurement | None:
        return Measurement.model_validate_json(run.report.read_bytes()) if run.report.exists() else None

    return look


@contextmanager
def _process(contender: Contender, run: RunSettings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | run.environment()
    with log.open("wb") as output:
        process = subprocess.Popen(
            contender.command(run),
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
