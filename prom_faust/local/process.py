"""A server as a process of its own: started, waited for, stopped, killed, started again.

`Server` holds what Kafka and MongoDB share. It leads its own session, so Ctrl-C in a terminal does
not reach it, and it sees a fixed environment, so no variable of the user's shell changes how it runs.
Unless it is detached it ends with the process that started it.
"""

import atexit
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil

from prom_faust.exceptions import LocalStackError
from prom_faust.local.ports import HOST, wait_until_free
from prom_faust.local.progress import Progress, silent

__all__ = ["Server", "log_tail"]

_POLL_SECONDS = 0.1
_PORT_TIMEOUT_SECONDS = 3.0
_TAIL_LINES = 15
_TAIL_BYTES = 16_384
_LARGEST_LOG_BYTES = 20_000_000
# JAVA_TOOL_OPTIONS, PYTHONPATH and their like must not matter.
_ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def log_tail(log: Path) -> str:
    """Return the last lines of a log and where it is, as the end of an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        lines = ["(no log was written)"]
    return "\n".join([*lines[-_TAIL_LINES:], f"log: {log}"])


class Server(ABC):
    """One server on 127.0.0.1 with its data in a folder.

    Start it, stop or kill it, and start it again: port and data stay. As a context manager it is
    started on entry and stopped on exit.

    Args:
        directory: everything the server writes goes here; created when missing.
        port: the TCP port it listens on.
        detached: let it live on when the process that started it ends.
        progress: told what a start is busy with.
    """

    name: ClassVar[str]
    """The server's name in messages and file names."""

    scheme: ClassVar[str]
    """The scheme of its URL."""

    def __init__(
        self, directory: Path, port: int, *, detached: bool = False, progress: Progress = silent
    ) -> None:
        self.directory = directory.absolute()
        self.port = port
        self.detached = detached
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url} pid={self.pid} {self.directory}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The address as `host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL."""
        return f"{self.scheme}://{self.bootstrap}"

    @property
    def log(self) -> Path:
        """What the server prints; starts append to it."""
        return self.directory / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process id; None while this object runs no server."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def process(self) -> psutil.Process | None:
        """The running process, to look at its begin or its memory; None while there is none."""
        return psutil.Process(self._process.pid) if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process that this object started is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 60.0) -> None:
        """Start the server and block until it answers; does nothing while it runs.

        Args:
            timeout: seconds from the process's start to its first answer. A download of jars and
                the formatting of storage at a first start come on top.

        Raises:
            LocalStackError: a port is taken, or the server ended or did not answer in time. It is
                not left running, and the message ends with the end of its log.
        """
        if self.running:
            return
        self.spawn()
        self.wait_until_answering(timeout)

    def spawn(self) -> None:
        """Start the process and return at once; `wait_until_answering` is the other half of a start.

        Raises:
            LocalStackError: a port is taken, or storage could not be prepared.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        for port in self._ports():
            wait_until_free(port, _PORT_TIMEOUT_SECONDS)
        self._prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not self.detached:
            atexit.register(self._end_with_owner, os.getpid())

    def wait_until_answering(self, timeout: float = 60.0) -> None:
        """Block until the spawned server answers in its own protocol, for at most `timeout` seconds.

        Raises:
            LocalStackError: it ended, or did not answer in time and was killed.
        """
        self._progress(f"starting {self.name} on {self.bootstrap}")
        deadline = time.monotonic() + timeout
        try:
            while not (self._listens() and self._answers()):
                self._check_start(deadline)
                time.sleep(_POLL_SECONDS)
        except BaseException:
            self.kill()
            raise

    def _check_start(self, deadline: float) -> None:
        if not self.running:
            raise LocalStackError(f"{self.name} ended while it started\n{log_tail(self.log)}")
        if time.monotonic() >= deadline:
            raise LocalStackError(f"{self.name} did not answer in time\n{log_tail(self.log)}")

    def stop(self, timeout: float = 20.0) -> None:
        """Ask the server to end, and kill it when it has not ended after `timeout` seconds."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._progress(f"{self.name} did not end within {timeout:g} s and is killed")
        self.kill()

    def kill(self) -> None:
        """End the server at once, as a power cut would, and reap its process."""
        atexit.unregister(self._end_with_owner)
        if self._process is None:
            return
        if self._process.poll() is None:
            # Its session's process group has the process's id; alive and unreaped, it is still ours.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _end_with_owner(self, owner: int) -> None:
        # A forked child inherits this callback, but not the server.
        if os.getpid() == owner:
            self.kill()

    def _listens(self) -> bool:
        """Whether it is this very process that has the port: another's answer proves nothing."""
        try:
            process = self.process
            connections = process.net_connections(kind="tcp") if process is not None else []
        except psutil.Error:
            return False
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
            for connection in connections
        )

    def _ports(self) -> Sequence[int]:
        return (self.port,)

    @abstractmethod
    def _prepare(self) -> None:
        """Write configuration, and format storage at the first start."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Return the command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether the server answers in its own protocol now."""
