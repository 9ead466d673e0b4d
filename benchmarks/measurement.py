"""What one run of one path is measured by; the same definition and the same code for every path.

The clock starts when the first record is in the process's hands (read from Kafka, or, for the ceiling, about
to be handed to the driver) and stops when MongoDB has acknowledged the effect of the last one. Process start,
connections and the joining of the consumer group lie before it, the last commit to Kafka behind it.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import BaseModel

__all__ = ["Measurement", "Meter"]

STATUS = Path("/proc/self/status")


class Measurement(BaseModel, frozen=True):
    """One run.

    Attributes:
        records: how many were handled.
        seconds: from the first in hand to the last effect.
        cpu_seconds: that this process took meanwhile.
        server_cpu_seconds: that the MongoDB server took meanwhile.
        peak_rss: the process's largest resident memory from its start on, in bytes.
    """

    records: int
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_rss: int

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds of this process per million records."""
        return self.cpu_seconds / self.records * 1e6

    @property
    def server_cpu_per_million(self) -> float:
        """CPU seconds of the MongoDB server per million records."""
        return self.server_cpu_seconds / self.records * 1e6


@dataclass
class Meter:
    """Measures the process that it lives in.

    Args:
        server_pid: process id of the MongoDB server.
    """

    server_pid: int
    started: float | None = None
    _own: psutil.Process = field(default_factory=psutil.Process)
    _cpu: float = 0.0
    _server_cpu: float = 0.0
    _sampled: int = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the start; 0.0 before it."""
        return 0.0 if self.started is None else time.perf_counter() - self.started

    def start(self) -> None:
        """The first record is in hand."""
        self._server_cpu = _cpu(psutil.Process(self.server_pid))
        self._cpu = time.process_time()
        self.started = time.perf_counter()

    def stop(self, records: int) -> Measurement:
        """The last effect is acknowledged."""
        seconds = self.elapsed
        return Measurement(
            records=records,
            seconds=seconds,
            cpu_seconds=time.process_time() - self._cpu,
            server_cpu_seconds=_cpu(psutil.Process(self.server_pid)) - self._server_cpu,
            peak_rss=self._peak(),
        )

    def sample(self) -> None:
        """Look at the memory, where the system does not keep its peak itself."""
        if not STATUS.exists():
            self._sampled = max(self._sampled, self._own.memory_info().rss)

    def _peak(self) -> int:
        # Linux's ru_maxrss is no use here: it counts the parent's memory from before exec.
        if STATUS.exists():
            for line in STATUS.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        self.sample()
        return max(self._sampled, self._own.memory_info().rss)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
