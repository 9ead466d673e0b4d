"""This machine's processes as heartbeats: what is read, how it becomes a record, and when."""

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
from aiokafka.errors import KafkaError
from faust import web
from faust.exceptions import ProducerSendError

from agents.app import app, heartbeats, settings
from agents.models import Heartbeat, ProcessId

__all__ = ["Collector", "Sample", "Switch", "collect", "collector", "heartbeat_of", "process_id"]

logger = logging.getLogger(__name__)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """What the system says of one process.

    Attributes:
        pid: its id, which another process may have had before it.
        started: when it began, in seconds since the epoch.
        name: its name.
        cpu_pct: percent of one core since the sample before, 0 in the first one.
        rss: resident memory in bytes.
        sid: its session; None where it cannot be read, 0 where it has none.
    """

    pid: int
    started: float
    name: str
    cpu_pct: float
    rss: int
    sid: int | None


def process_id(host: str, sample: Sample) -> ProcessId:
    """The key of a process: `host:pid:start time`."""
    return ProcessId(f"{host}:{sample.pid}:{round(sample.started * 1000)}")


def heartbeat_of(host: str, sample: Sample) -> Heartbeat:
    """The heartbeat of a process."""
    return Heartbeat(
        pid=sample.pid,
        name=sample.name,
        host=host,
        cpu_pct=round(sample.cpu_pct, 1),
        mem_mb=round(sample.rss / MIB, 1),
        sid=sample.sid or None,
    )


class Collector:
    """Samples all processes. CPU use is a difference, so it keeps each process from round to round.

    Args:
        host: this machine's name.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.running = True
        self._known: dict[int, psutil.Process] = {}

    def collect(self) -> list[tuple[ProcessId, Heartbeat]]:
        """One heartbeat of every process that can be read. Blocks: it reads several files per process."""
        return [
            (process_id(self.host, sample), heartbeat_of(self.host, sample)) for sample in self._samples()
        ]

    def _samples(self) -> Iterator[Sample]:
        pids = psutil.pids()
        known, self._known = self._known, {}
        for pid in pids:
            # It may end at any moment, and it may be another user's.
            with suppress(psutil.Error):
                process = known.get(pid)
                if process is None or not process.is_running():
                    process = psutil.Process(pid)
                self._known[pid] = process
                yield _sample(process)


def _sample(process: psutil.Process) -> Sample:
    with process.oneshot():
        return Sample(
            pid=process.pid,
            started=process.create_time(),
            name=process.name(),
            cpu_pct=process.cpu_percent(),
            rss=process.memory_info().rss,
            sid=_session(process.pid),
        )


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


collector = Collector(settings.host)
collector.running = settings.collect


@app.timer(settings.collect_interval)  # type: ignore[untyped-decorator] # Faust gives no type
async def collect() -> None:
    """Send the heartbeats of one round, and wait until Kafka has them: a slow broker slows us down."""
    if not collector.running:
        return
    found = await asyncio.to_thread(collector.collect)
    try:
        sent = [await heartbeats.send(key=key, value=heartbeat) for key, heartbeat in found]
        await asyncio.gather(*sent)
    except (KafkaError, ProducerSendError) as error:
        logger.warning("heartbeats were not sent: %r", error)


@app.page("/collector/")
class Switch(web.View):
    """Whether this worker collects. The demo stops its input here before it compares topic and collection."""

    async def get(self, _request: web.Request, **_: Any) -> web.Response:
        """Tell."""
        return self.json({"running": collector.running})

    async def put(self, request: web.Request, **_: Any) -> web.Response:
        """Set it, with a body like `{"running": false}`."""
        wanted = await request.json()
        if wanted not in ({"running": True}, {"running": False}):
            return self.error(400, 'the body must be {"running": true} or {"running": false}')
        collector.running = wanted["running"]
        return self.json(wanted)
