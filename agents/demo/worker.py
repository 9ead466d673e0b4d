"""The worker of the demo: `faust -A agents worker` as a process, and commands of the same app."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

from agents.demo.servers import Servers

__all__ = ["Worker"]

ROOT = Path(__file__).resolve().parents[2]
FAUST = (sys.executable, "-m", "faust", "-A", "agents")
TAIL_LINES = 20
STOP_SECONDS = 20.0


class Worker:
    """One worker of the event hub.

    Args:
        servers: what it talks to.
        port: its web port on 127.0.0.1.
    """

    def __init__(self, servers: Servers, port: int) -> None:
        self.log = servers.home / "worker.log"
        self._port = port
        self._environment: Mapping[str, str] = {
            # A worker of a killed demo must not hold its partitions for a minute.
            "EVENT_HUB_SESSION_TIMEOUT": "10",
            **os.environ,
            "KAFKA_URL": servers.kafka,
            "MONGO_URL": servers.mongo,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its log begins anew."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - fixed arguments
                [*FAUST, "worker", "--web-port", str(self._port), "--loglevel", "info"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal is for the demo, which ends the worker in its own order.
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it is alive."""
        return self._process is not None and self._process.poll() is None

    async def stop_collecting(self) -> None:
        """Ask it to send no more heartbeats, and go on with everything else."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.put(f"http://127.0.0.1:{self._port}/collector/", json={"running": False}) as response,
        ):
            response.raise_for_status()

    async def stop(self) -> None:
        """End it, and kill it when it does not end."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run a command of the app; its exit code and what it printed."""
        done = await asyncio.to_thread(self._run, arguments)
        return done.returncode, done.stdout.strip()

    def _run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - fixed arguments
            [*FAUST, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
