"""Workers of one group, and who of them owns what."""

import asyncio
import json
import os
import subprocess
import sys
import time

import pytest

from tests.support.worker import ROOT, FaustWorker


class Group:
    """The workers of one group; each has a name, and what it owns is in a file of its own."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, env
        self.workers = {}

    def worker(self, name, **env):
        self.out(name).write_text("")
        given = {"OUT": str(self.out(name)), "PROM_FAUST_WORKER_NAME": name, **self.env, **env}
        return FaustWorker("tests.integration.membership.app", self.folder / f"{name}.log", given)

    def start(self, name, **env):
        self.workers[name] = self.worker(name, **env).start()
        return self.workers[name]

    def restart(self, name, **env):
        self.workers[name].stop(30)
        return self.start(name, **env)

    def out(self, name):
        return self.folder / f"{name}.jsonl"

    def owned(self, name):
        lines = self.out(name).read_text().splitlines()
        return json.loads(lines[-1]) if lines else None

    def owners(self):
        """Partition to its owner, or None while that is not settled."""
        owned = {name: self.owned(name) for name in self.workers}
        if None in owned.values():
            return None
        found = {partition: name for name, partitions in owned.items() for partition in partitions}
        complete = sum(map(len, owned.values())) == len(found) == 8
        return found if complete else None

    async def assigned(self, name, seconds=40.0):
        """Wait until a worker that was started has its first assignment."""
        deadline = time.monotonic() + seconds
        while self.owned(name) is None:
            assert time.monotonic() < deadline, self.workers[name].tail()
            await asyncio.sleep(0.05)

    async def settled(self, seconds=40.0):
        """Wait until every partition has one owner for a while; who it is."""
        deadline, since, last = time.monotonic() + seconds, 0.0, None
        while True:
            now, found = time.monotonic(), self.owners()
            if found is None or found != last:
                since, last = now, found
            elif now - since > 1.0:
                return found
            for name, worker in self.workers.items():
                assert worker.process.poll() is None, f"{name} has ended:\n{worker.tail()}"
            assert now < deadline, {name: self.owned(name) for name in self.workers}
            await asyncio.sleep(0.05)

    def command(self, *arguments):
        """A command of the app; what it prints, and its exit code."""
        env = {**os.environ, "OUT": str(self.folder / "command"), **self.env}
        command = [sys.executable, "-m", "faust", "-A", "tests.integration.membership.app", *arguments]
        return subprocess.run(
            command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        )

    def close(self):
        for worker in self.workers.values():
            worker.kill()


@pytest.fixture
def group(kafka, unique, tmp_path):
    found = Group(tmp_path, {"KAFKA_URL": kafka.url, "TOPIC": unique, "GROUP": f"g-{unique}"})
    yield found
    found.close()
