"""A worker process: ``faust -A APP worker``, started, signalled, and looked at through its log."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]


class FaustWorker:
    """One ``faust worker`` in a process of its own; leaving the context kills it.

    Without a port it serves nothing.
    """

    def __init__(
        self,
        app: str,
        log: Path,
        env: Mapping[str, str],
        *,
        folder: Path = ROOT,
        web_port: int | None = None,
    ) -> None:
        self.log = log
        self.folder = folder
        self.web_port = web_port
        web = ["--without-web"] if web_port is None else ["--web-port", str(web_port)]
        self._command = [sys.executable, "-m", "faust", "-A", app, "worker", "-l", "info", *web]
        self._env = {**os.environ, **env}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self._env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, seconds: float) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self, seconds: float = 10.0) -> float:
        """SIGTERM; returns the seconds it took, and fails if it takes longer or exits other than 0."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            code = self.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {seconds} s after SIGTERM:\n{self.tail()}") from None
        assert code == 0, f"exit code {code}:\n{self.tail()}"
        return time.monotonic() - began

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)

    def until(self, text: str, seconds: float = 30.0) -> None:
        """Wait until the log says it."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text(errors="replace"):
            assert self.process is not None
            assert self.process.poll() is None, f"exited with {self.process.returncode}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"no {text!r} within {seconds} s:\n{self.tail()}"
            time.sleep(0.05)

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.kill()
