"""What one run of one path is measured by: one definition, which ``onlooker`` comes near to from outside.

The clock starts when the first record is in the process's hands (read from Kafka, or, for the ceiling, about
to be handed to the driver) and stops when MongoDB has acknowledged the effect of the last one. Process start,
connections and the joining of the consumer group lie before it, the last commit to Kafka behind it.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import BaseModel

__all__ = ["Measurement", "Meter"]

PROC = Path("/proc")


class Measurement(BaseModel, frozen=True):
    """One run.

    Attributes:
        records: how many were handled.
        seconds: from the first in hand to the last effect.
        cpu_seconds: that the process took meanwhile.
        server_cpu_seconds: that the MongoDB server took meanwhile.
        rss: the process's resident memory at the end, in bytes.
        peak_rss: the largest from its start on, in bytes.
    """

    records: int
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    rss: int
    peak_rss: int

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds of the process per million records."""
        return self.cpu_seconds / self.records * 1e6

    @property
    def server_cpu_per_million(self) -> float:
        """CPU seconds of the MongoDB server per million records."""
        return self.server_cpu_seconds / self.records * 1e6


@dataclass
class Meter:
    """Measures a process.

    Args:
        server_pid: process id of the MongoDB server.
        pid: of the measured process; by default that which the meter lives in.
    """

    server_pid: int
    pid: int = field(default_factory=os.getpid)
    started: float | None = None
    _cpu: float = 0.0
    _server_cpu: float = 0.0
    _sampled: int = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the start; 0.0 before it."""
        return 0.0 if self.started is None else time.perf_counter() - self.started

    def start(self) -> None:
        """The first record is in hand."""
        self._server_cpu = _cpu(self.server_pid)
        self._cpu = _cpu(self.pid)
        self.started = time.perf_counter()

    def stop(self, records: int) -> Measurement:
        """The last effect is acknowledged."""
        seconds = self.elapsed
        return Measurement(
            records=records,
            seconds=seconds,
            cpu_seconds=_cpu(self.pid) - self._cpu,
            server_cpu_seconds=_cpu(self.server_pid) - self._server_cpu,
            rss=self._rss(),
            peak_rss=self._peak(),
        )

    def sample(self) -> None:
        """Look at the memory, where the system does not keep its peak itself."""
        if not PROC.exists():
            self._sampled = max(self._sampled, self._rss())

    def _rss(self) -> int:
        return int(psutil.Process(self.pid).memory_info().rss)

    def _peak(self) -> int:
        # Linux's ru_maxrss is no use here: it counts the parent's memory from before exec.
        status = PROC / str(self.pid) / "status"
        if status.exists():
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        self.sample()
        return self._sampled


def _cpu(pid: int) -> float:
    """CPU seconds of a process and all its threads, user and system; the system counts in hundredths."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
