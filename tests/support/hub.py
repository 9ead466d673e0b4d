"""The event hub on two servers, with settings that make it quick."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from pymongo import MongoClient

from prom_faust.local import free_port

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = {
    "EVENT_HUB_COLLECT_INTERVAL": "0.5",
    "EVENT_HUB_CHECK_INTERVAL": "0.5",
    "EVENT_HUB_STALE_AFTER": "3",
    "EVENT_HUB_GONE_AFTER": "6",
    "EVENT_HUB_SESSION_TIMEOUT": "10",
    "EVENT_HUB_ANALYSIS_PROCESSES": "1",
    "PROM_FAUST_WRITE_DEADLINE": "3",
    "PROM_FAUST_SWEEP_INTERVAL": "0.5",
}


class Hub:
    """The event hub on two servers: its workers, its collection and its topics.

    Args:
        kafka: the broker.
        mongo: the MongoDB-wire server.
        logs: the folder of the workers' logs.
    """

    fence_delay = 10 + 3 + 30

    def __init__(self, kafka, mongo, logs):
        self.kafka, self.mongo, self.logs = kafka, mongo, logs
        self.client = MongoClient(mongo.url, directConnection=True)
        self.processes = self.client["prom"]["processes"]
        self._workers = []

    def start_worker(self, **settings):
        """Start ``faust -A agents worker``; its log is named by its number."""
        number = len(self._workers)
        environment = self._environment(settings)
        with (self.logs / f"worker-{number}.log").open("wb") as log:
            worker = subprocess.Popen(
                [
                    *(sys.executable, "-m", "faust", "-A", "agents", "worker"),
                    *("--web-port", str(free_port()), "--loglevel", "info"),
                ],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._workers.append(worker)
        return worker

    @contextmanager
    def quiet_worker(self):
        """A worker that collects nothing, once it projects; it must end well."""
        worker = self.start_worker(EVENT_HUB_COLLECT="false")
        self.until(self.processes.index_information, lambda found: "_key_1" in found)
        yield worker
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0

    def _environment(self, settings):
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("EVENT_HUB_")},
            **SETTINGS,
            "KAFKA_URL": self.kafka.url,
            "MONGO_URL": self.mongo.url,
            **settings,
        }

    def command(self, *arguments):
        """Run ``faust -A agents ...`` and wait for its end."""
        return subprocess.run(
            [sys.executable, "-m", "faust", "-A", "agents", *arguments],
            cwd=ROOT,
            env=self._environment({}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def log(self, worker):
        """What a worker has logged."""
        return (self.logs / f"worker-{self._workers.index(worker)}.log").read_text(errors="replace")

    def until(self, read, accept, seconds=30.0):
        """Read again and again until what is read is accepted; the failure tells how the workers are."""
        deadline = time.monotonic() + seconds
        while not accept(value := read()):
            assert time.monotonic() < deadline, f"still {value!r} after {seconds:g} s\n{self._report()}"
            time.sleep(0.1)
        return value

    def _report(self):
        tails = [
            f"{log.name}:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            for log in sorted(self.logs.iterdir())
        ]
        return "\n".join([f"exit codes: {[worker.poll() for worker in self._workers]}", *tails])

    def close(self):
        """Kill what still runs."""
        for worker in self._workers:
            worker.kill()
            worker.wait()
        self.client.close()
