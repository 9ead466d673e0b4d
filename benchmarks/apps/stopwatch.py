"""The stopwatch of a Faust worker: its monitor, which counts messages anyway, looked at from time to time.

Nothing is added to the path of a record. What the look costs is 50 times a second the reading of two numbers.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import faust
from faust.sensors.monitor import Monitor
from mode import Service

from benchmarks.measurement import Measurement, Meter
from benchmarks.settings import RunSettings

__all__ = ["Stopwatch", "measured_app"]

LOOK_SECONDS = 0.02
PROGRESS_SECONDS = 5.0


class Stopwatch(Monitor):
    """Measures the worker and writes the report when the last effect is acknowledged.

    Attributes:
        done: how many records' effects are acknowledged.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.done = 0
        self._run = RunSettings()
        self._meter = Meter(self._run.mongo_pid)
        self._received: Callable[[], bool] = lambda: self.messages_received_total > 0
        self._handled: Callable[[], int] = lambda: self.done

    def follow(self, *, received: Callable[[], bool], handled: Callable[[], int]) -> None:
        """Look elsewhere than at the monitor's and the agent's counts.

        Args:
            received: whether a record has been read.
            handled: how many records' effects are acknowledged.
        """
        self._received = received
        self._handled = handled

    @Service.task
    async def _watch(self) -> None:
        while not self._received():
            await self.sleep(LOOK_SECONDS)
        self._meter.start()
        while self._handled() < self._run.records and self._meter.elapsed < self._run.limit:
            self._meter.sample()
            await self.sleep(LOOK_SECONDS)
        _write(self._run.report, self._meter.stop(self._handled()))


def _write(path: Path, measurement: Measurement) -> None:
    """Write the whole file at once: another process waits for its name to appear."""
    unfinished = path.with_suffix(f".{time.monotonic_ns()}")
    unfinished.write_text(measurement.model_dump_json())
    unfinished.rename(path)


def measured_app() -> tuple[faust.App, Stopwatch, RunSettings]:
    """A Faust app of the run, with the stopwatch as its monitor."""
    run = RunSettings()
    app = faust.App(run.name, broker=run.broker, datadir=run.report.parent / "faust", Monitor=Stopwatch)
    return app, cast("Stopwatch", app.monitor), run
