"""Three workers of one group under a steady load, and what they tell of their gaps."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.rebalance import PARTITIONS
from benchmarks.runs import RunError
from prom_faust.local.ports import free_port

__all__ = ["Gap", "Group", "feed", "fill"]

KEYS = 100_000
LOAD_PAUSE = 0.1
"""Seconds between two records of a partition."""
SETTLE_SECONDS = 2.0
PATIENCE_SECONDS = 120.0

Plugin = Literal["yes", "no"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A worker that processed nothing: from its revocation to its next record, in seconds."""

    worker: int
    at: float
    seconds: float


@dataclass(slots=True)
class Group:
    """The workers of one contender."""

    name: str
    plugin: Plugin
    broker: str
    folder: Path
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)

    def start(self, number: int) -> None:
        """Start a worker; it has the same name every time."""
        log = (self.folder / f"{self.name}-{number}.log").open("ab")
        self.started[number] = time.time()
        self.workers[number] = subprocess.Popen(
            [
                *(sys.executable, "-m", "faust", "-A", "benchmarks.rebalance.app", "worker"),
                *("-l", "warn", "--without-web"),
            ],
            env={
                **os.environ,
                "BENCH_GROUP": self.name,
                "BENCH_BROKER": f"kafka://{self.broker}",
                "BENCH_PLUGIN": self.plugin,
                "BENCH_PORT": str(free_port()),
                "BENCH_FOLDER": str(self.folder / f"{self.name}-{number}"),
                "BENCH_LOG": str(self._events(number)),
                "PROM_FAUST_WORKER_NAME": f"w{number}",
            },
            stdout=log,
            stderr=log,
        )

    def _events(self, number: int) -> Path:
        return self.folder / f"{self.name}-{number}.jsonl"

    def signal(self, number: int, what: signal.Signals) -> None:
        """Send a signal to a worker, and wait for its end."""
        worker = self.workers.pop(number)
        worker.send_signal(what)
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait(10)

    def stop(self) -> None:
        """End all workers."""
        for number in list(self.workers):
            self.signal(number, signal.SIGKILL)

    def events(self, number: int) -> list[tuple[float, str]]:
        """What a worker has told, in order."""
        with suppress(FileNotFoundError):
            lines = self._events(number).read_text().splitlines()
            return [(found["at"], found["event"]) for found in map(json.loads, lines)]
        return []

    def gaps(self, since: float) -> Iterator[Gap]:
        """The gaps that began since a time, of workers that ran before it.

        Revocations in one gap count as one, which began with the first.
        """
        for number in self.workers:
            if self.started[number] >= since:
                continue
            began: float | None = None
            for at, event in self.events(number):
                if event == "revoked":
                    began = at if began is None else began
                elif began is not None:
                    if began >= since:
                        yield Gap(number, began, at - began)
                    began = None

    async def settle(self, since: float) -> None:
        """Wait until every worker processes, and has done so for a while.

        Raises:
            RunError: that does not happen, or a worker has ended.
        """
        deadline = time.time() + PATIENCE_SECONDS
        while True:
            await asyncio.sleep(0.1)
            last = [self.events(number)[-1:] for number in self.workers]
            fresh = [
                bool(found) and found[0][1] == "processed" and found[0][0] >= self.started[number]
                for number, found in zip(self.workers, last, strict=True)
            ]
            latest = max((found[0][0] for found in last if found), default=0.0)
            if all(fresh) and latest >= since and time.time() - latest > SETTLE_SECONDS:
                return
            if time.time() > deadline or any(worker.poll() is not None for worker in self.workers.values()):
                raise RunError(f"{self.name}: the workers did not settle; see {self.folder}")


async def fill(broker: str, group: str) -> None:
    """Make a group's topics, and a changelog of 100,000 keys."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    changelog = f"{group}-seen-changelog"
    try:
        await admin.create_topics(
            [
                NewTopic(f"{group}.first", PARTITIONS, 1),
                NewTopic(f"{group}.second", PARTITIONS, 1),
                NewTopic(changelog, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"}),
            ]
        )
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=broker, linger_ms=50) as producer:
        for number in range(KEYS):
            await producer.send(changelog, b"1", key=b'"k%d"' % number, partition=number % PARTITIONS)
        await producer.flush()


async def feed(broker: str, group: str) -> None:
    """Send to every partition of both topics, steadily, until cancelled."""
    async with AIOKafkaProducer(bootstrap_servers=broker, linger_ms=5) as producer:
        number = 0
        while True:
            for partition in range(PARTITIONS):
                key = f"k{partition + PARTITIONS * (number % 100)}".encode()
                for topic in (f"{group}.first", f"{group}.second"):
                    await producer.send(topic, b"1", key=key, partition=partition)
            number += 1
            await asyncio.sleep(LOAD_PAUSE)
