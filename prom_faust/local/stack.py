"""Both servers as one thing that outlives its starter: `up`, `down` and `status`.

Each home is a stack of its own: data, logs, a state file, and a lock that lets one `up` or `down`
work at a time. Nothing but what the state file records is ever ended.
"""

import contextlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict, computed_field

from prom_faust.exceptions import LocalStackError
from prom_faust.local.kafka import KafkaServer
from prom_faust.local.lock import exclusive
from prom_faust.local.mongo import MongoServer
from prom_faust.local.ports import choose_port, is_free
from prom_faust.local.process import Server
from prom_faust.local.progress import Progress, silent
from prom_faust.local.settings import read_settings
from prom_faust.local.state import ServerRecord, find_process, load_records, save_records

__all__ = ["DEFAULT_PORTS", "ServerStatus", "Stack", "StackStatus"]

DEFAULT_PORTS = {"kafka": 9092, "mongo": 27017}
"""The ports asked for first, by server name: the ones that every client tries by default."""

_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05


class ServerStatus(BaseModel):
    """What is known of one server. Its address is None when it was never started."""

    model_config = ConfigDict(frozen=True)

    running: bool = False
    pid: int | None = None
    url: str | None = None
    log: Path | None = None

    @classmethod
    def of(cls, record: ServerRecord | None) -> Self:
        """Look at the recorded process."""
        if record is None:
            return cls()
        running = find_process(record) is not None
        return cls(running=running, pid=record.pid if running else None, url=record.url, log=record.log)


class StackStatus(BaseModel):
    """What is known of both servers of a home."""

    model_config = ConfigDict(frozen=True)

    home: Path
    kafka: ServerStatus
    mongo: ServerStatus

    @computed_field  # type: ignore[prop-decorator]
    @property
    def running(self) -> bool:
        """Whether both servers run."""
        return self.kafka.running and self.mongo.running


class Stack:
    """The Kafka broker and the MongoDB-wire server of one home.

    Args:
        home: the folder of everything; from the environment, else the user's cache folder, when None.
        jars: the cache of Kafka's jars; likewise.
    """

    def __init__(self, home: Path | None = None, jars: Path | None = None) -> None:
        settings = read_settings()
        self.home = (home or settings.home).absolute()
        self._jars = jars or settings.jars
        # While this object lives it is the parent that must reap them.
        self._children: dict[str, Server] = {}

    @property
    def _state(self) -> Path:
        return self.home / "stack.json"

    def status(self) -> StackStatus:
        """Look at both servers without touching them."""
        records = load_records(self._state)
        servers = {name: ServerStatus.of(records.get(name)) for name in DEFAULT_PORTS}
        return StackStatus(home=self.home, kafka=servers["kafka"], mongo=servers["mongo"])

    def up(
        self,
        progress: Progress = silent,
        *,
        kafka_port: int | None = None,
        mongo_port: int | None = None,
        reset: bool = False,
    ) -> StackStatus:
        """Start what does not run, wait until it answers, and leave it running.

        Without a port a server takes its default, or, where that is taken, a free one, and says so. One that died
        beside the other comes back on the port it had.

        Args:
            progress: told what it is busy with.
            kafka_port: the broker's port when it must be this one and the broker does not run.
            mongo_port: the same for the MongoDB-wire server.
            reset: end both and empty their data first.

        Raises:
            LocalStackError: a server did not come up, or a port that must be the one is taken.
        """
        wishes = {"kafka": kafka_port, "mongo": mongo_port}
        with exclusive(self.home / "stack.lock", purpose="the local stack", progress=progress):
            records = load_records(self._state)
            if reset:
                self._end(records, progress)
                self._empty(progress)
            alive = any(find_process(record) is not None for record in records.values())
            started: list[Server] = []
            for name, wish in wishes.items():
                record = records.get(name)
                if record is not None and find_process(record) is not None:
                    continue
                preferred = record.port if record is not None and alive else DEFAULT_PORTS[name]
                server = self._server(name, _port(name, wish, preferred, progress), progress)
                server.spawn()
                started.append(server)
                # Written down before it answers: whatever happens to us now, `down` finds it.
                records[name] = self._record(server)
                save_records(self._state, list(records.values()))
            for server in started:
                server.wait_until_answering()
        return self.status()

    def down(self, progress: Progress = silent, *, reset: bool = False) -> StackStatus:
        """End both servers; their data stays unless `reset` is set."""
        with exclusive(self.home / "stack.lock", purpose="the local stack", progress=progress):
            self._end(load_records(self._state), progress)
            if reset:
                self._empty(progress)
        return self.status()

    def _server(self, name: str, port: int, progress: Progress) -> Server:
        directory = self.home / name
        if name == "kafka":
            return KafkaServer(directory, port, jars=self._jars, detached=True, progress=progress)
        return MongoServer(directory, port, detached=True, progress=progress)

    def _record(self, server: Server) -> ServerRecord:
        self._children[server.name] = server
        process = server.process
        if process is None:
            raise LocalStackError(f"{server.name} ended at once, see {server.log}")
        return ServerRecord(
            name=server.name,
            pid=process.pid,
            created=process.create_time(),
            port=server.port,
            url=server.url,
            log=server.log,
        )

    def _end(self, records: Mapping[str, ServerRecord], progress: Progress) -> None:
        """Ask all to end at once, then wait for them; what has not ended by then is killed."""
        for record in records.values():
            process = find_process(record)
            if process is not None:
                progress(f"stopping {record.name}")
                with contextlib.suppress(psutil.NoSuchProcess):  # it may end by itself right now
                    process.terminate()
        for process in _wait_for(records, _STOP_SECONDS):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        _wait_for(records, _STOP_SECONDS)
        while self._children:
            self._children.popitem()[1].kill()

    def _empty(self, progress: Progress) -> None:
        progress("emptying the data")
        for name in DEFAULT_PORTS:
            shutil.rmtree(self.home / name, ignore_errors=True)


def _wait_for(records: Mapping[str, ServerRecord], timeout: float) -> list[psutil.Process]:
    """Return what still lives after `timeout` seconds; a zombie, for which psutil would wait, does not."""
    deadline = time.monotonic() + timeout
    while True:
        alive = [process for record in records.values() if (process := find_process(record)) is not None]
        if not alive or time.monotonic() >= deadline:
            return alive
        time.sleep(_POLL_SECONDS)


def _port(name: str, wish: int | None, preferred: int, progress: Progress) -> int:
    if wish is None:
        port = choose_port(preferred)
        if port != preferred:
            progress(
                f"port {preferred} is taken by another process: {name} gets {port}, so the URLs below differ"
            )
        return port
    if not is_free(wish):
        raise LocalStackError(f"port {wish}, asked for {name}, is taken by another process")
    return wish
