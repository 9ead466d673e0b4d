"""Workers of ``ops_app`` with their pages: started under a name, and asked over HTTP."""

import json
import time
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prom_faust.local import KafkaServer, MongoServer, free_port
from tests.support.worker import FaustWorker


class Answer(NamedTuple):
    """What a page answered.

    Attributes:
        status: the status code.
        body: its JSON, or its text.
        headers: its headers.
        seconds: how long it took.
    """

    status: int
    body: Any
    headers: Message
    seconds: float


class ShopWorker(FaustWorker):
    """One worker and its pages."""

    def __init__(self, name: str, log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.port = free_port()
        super().__init__("tests.support.ops_app", log, env, web_port=self.port)

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}/ops"

    def get(self, path: str, *, seconds: float = 10.0, **headers: str) -> Answer:
        """Ask for a page."""
        request = Request(f"{self.url}{path}", headers=headers)
        began = time.monotonic()
        try:
            with urlopen(request, timeout=seconds) as response:
                status, found, text = response.status, response.headers, response.read().decode()
        except HTTPError as error:
            status, found, text = error.code, error.headers, error.read().decode()
        took = time.monotonic() - began
        kind = found.get_content_type()
        return Answer(status, json.loads(text) if kind == "application/json" else text, found, took)

    def await_page(self, path: str, accept: Callable[[Answer], Any], seconds: float = 40.0) -> Answer:
        """Ask again and again until the answer is accepted."""
        deadline = time.monotonic() + seconds
        last: Any = None
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, f"exited with {self.process.returncode}:\n{self.tail()}"
            try:
                last = self.get(path)
            except OSError as error:
                last = error
            else:
                if accept(last):
                    return last
            time.sleep(0.1)
        raise AssertionError(f"{path} is still {last!r}\n{self.tail()}")

    def await_ready(self) -> Self:
        """Wait until it says so."""
        self.await_page("/ready", lambda answer: answer.status == 200)
        return self


class Shop:
    """The workers of one app.

    Args:
        name: the app's id, and how its topics begin.
        kafka: the broker.
        mongo: the MongoDB-wire server.
        folder: for logs and data.
    """

    def __init__(self, name: str, kafka: KafkaServer, mongo: MongoServer, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.workers: list[ShopWorker] = []
        self._env = {"NAME": name, "KAFKA_URL": kafka.url, "MONGO_URL": f"{mongo.url}/{name}"}

    def start(self, worker: str, **env: str) -> ShopWorker:
        """Start a worker under a name; one of that name that was killed keeps its log."""
        env = {
            **self._env,
            "PROM_FAUST_WORKER_NAME": worker,
            "DATADIR": str(self.folder / worker),
            **env,
        }
        started = ShopWorker(worker, self.folder / f"{worker}.log", env)
        started.start()
        self.workers.append(started)
        return started

    def close(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            worker.kill()


def owners(assignments: Mapping[str, Any], group: str, topic: str) -> dict[int, str | None]:
    """Partition to its owner, as ``/ops/assignments`` says it."""
    return {
        each["partition"]: each["owner"]
        for found in assignments["groups"]
        if found["group"] == group
        for each in found["partitions"]
        if each["topic"] == topic
    }
