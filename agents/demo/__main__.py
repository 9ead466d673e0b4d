"""The demo from start to end: servers, worker, view, and then everything in reverse."""

import argparse
import asyncio
import signal
import socket
import sys
import time
from collections import deque
from contextlib import nullcontext

import aiohttp
from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.live import Live

from agents.demo.probe import Probe, Reading
from agents.demo.servers import Servers, local_servers
from agents.demo.view import line, rate, screen
from agents.demo.worker import Worker
from prom_faust.exceptions import PromFaustError

__all__ = ["main"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_LOOK_SECONDS = 0.2
LOOK_SECONDS = 1.0
LINE_SECONDS = 3.0
RATE_SECONDS = 6.0
QUIET_SECONDS = 10.0


class Demo:
    """One run of the demo.

    Args:
        console: where it is shown.
        duration: seconds after which it ends by itself, counted from the first document.
    """

    def __init__(self, console: Console, duration: float | None) -> None:
        self._console = console
        self._duration = duration
        self._began = time.monotonic()
        self._first: float | None = None
        self._ended = asyncio.Event()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """A line of progress."""
        self._console.print(f"{self.seconds:5.1f} s  {text}", markup=False, highlight=False, soft_wrap=True)

    async def run(self, servers: Servers, port: int) -> int:
        """Run a worker on the servers and show what comes of it.

        Args:
            servers: the servers.
            port: the worker's web port.

        Returns:
            The exit code.
        """
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._ended.set)
        worker = Worker(servers, port)
        async with Probe(servers) as probe:
            begin = await probe.read()
            try:
                self.say(f"starting `faust -A agents worker`, its log is {worker.log}")
                worker.start()
                await self._until_first_document(probe, worker, servers)
                if worker.running and self._first is not None:
                    await self._show_refusals(worker)
                await self._show(probe, worker)
                if worker.running:
                    await self._settle(probe, worker)
            finally:
                died = not worker.running
                await worker.stop()
            if died:
                self.say(f"the worker ended by itself; the end of {worker.log}:")
                self._console.print(worker.tail(), markup=False, highlight=False, soft_wrap=True)
                return 1
            self._sum_up(begin, await probe.read())
        return await self._verify(worker) if self._first is not None else 0

    async def _until_first_document(self, probe: Probe, worker: Worker, servers: Servers) -> None:
        while worker.running and not (await probe.read()).fresh:
            if await self._wait(FIRST_LOOK_SECONDS):
                return
        if worker.running:
            self._first = self.seconds
            self.say(
                f"the first document is there, {self._first:.1f} s after the start, "
                f"{servers.seconds:.1f} s of them for the servers"
            )

    async def _show_refusals(self, worker: Worker) -> None:
        """Let somebody send what is no heartbeat."""
        code, output = await worker.command("refused")
        self.say("faust -A agents refused" if code == 0 else f"faust -A agents refused: exit code {code}")
        self._console.print(output, markup=False, highlight=False, soft_wrap=True)

    async def _show(self, probe: Probe, worker: Worker) -> None:
        """Show readings until the duration is over, a signal comes, or the worker ends."""
        until = None if self._duration is None else self.seconds + self._duration
        terminal = self._console.is_terminal
        pause = LOOK_SECONDS if terminal else LINE_SECONDS
        # Heartbeats come in rounds: a rate over less than two of them would jump.
        recent: deque[Reading] = deque(maxlen=1 + round(RATE_SECONDS / pause))
        with Live(console=self._console, auto_refresh=False) if terminal else nullcontext() as live:
            while worker.running and not self._ended.is_set() and (until is None or self.seconds < until):
                now = await probe.read()
                recent.append(now)
                records_per_second = rate(recent[0], now)
                if live is None:
                    self._console.print(line(self.seconds, now, records_per_second), highlight=False)
                else:
                    live.update(screen(self.seconds, now, records_per_second), refresh=True)
                await self._wait(pause if until is None else min(pause, until - self.seconds))

    async def _settle(self, probe: Probe, worker: Worker) -> None:
        """Stop the input and wait until the projection has caught up: then both can be compared."""
        self.say("stopping the collector, waiting for the projection")
        try:
            await worker.stop_collecting()
        except (aiohttp.ClientError, TimeoutError):
            return  # it has not come up yet
        deadline = self.seconds + QUIET_SECONDS
        quiet = False
        while not quiet and worker.running and self.seconds < deadline:
            first = await probe.read()
            await asyncio.sleep(LOOK_SECONDS)
            second = await probe.read()
            quiet = first.lag == second.lag == 0 and first.applied == second.applied

    async def _wait(self, seconds: float) -> bool:
        """Wait, but not longer than the demo; whether it has been told to end."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def _sum_up(self, begin: Reading, end: Reading) -> None:
        first = "never" if self._first is None else f"after {self._first:.1f} s"
        self.say(
            f"first document {first}; {end.applied - begin.applied} records projected; "
            f"{end.documents} documents; {end.dead_letters} dead letters; lag {end.lag}"
        )

    async def _verify(self, worker: Worker) -> int:
        """Compare the whole collection with the whole topic; 0 when they are equal."""
        code, output = await worker.command("sink", "verify", "processes")
        self.say("faust -A agents sink verify processes")
        self._console.print(output, markup=False, highlight=False, soft_wrap=True)
        return 0 if code == 0 else 1


def main() -> int:
    """Parse the command line, run the demo, stop what it started."""
    parser = argparse.ArgumentParser(prog="python -m agents.demo", description=__doc__)
    parser.add_argument(
        "--duration", type=float, metavar="SECONDS", help="end by itself so long after the first document"
    )
    duration: float | None = parser.parse_args().duration
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    console = Console()
    demo = Demo(console, duration)
    try:
        with local_servers(demo.say) as servers:
            try:
                return asyncio.run(demo.run(servers, free_web_port()))
            finally:
                # What was started is stopped, however often Ctrl-C is pressed meanwhile.
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:
        return 0
    except (PromFaustError, KafkaError, PyMongoError) as error:
        demo.say(f"{type(error).__name__}: {error}")
        return 1
    finally:
        demo.say("done")


def free_web_port() -> int:
    """A port for the worker's web server, so that it never meets another worker's."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
