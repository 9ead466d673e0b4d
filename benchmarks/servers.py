"""The servers of the benchmark: Kafka of the local stack, and a fast MongoDB-wire server.

``secantusd-rs`` is built once with cargo and kept in the user's cache. It acknowledges writes before they are
durable, which is what makes it fast, and why it never serves a fault test.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
from platformdirs import user_cache_path

from prom_faust.local.kafka import KafkaServer
from prom_faust.local.mongo import MongoServer
from prom_faust.local.ports import HOST, free_port

__all__ = ["CRATE", "VERSION", "MissingError", "Stack", "binary", "cache", "stack"]

CRATE = "secantus-mdb"
VERSION = "0.5.3-beta.193"
PROGRAM = "secantusd-rs"
# The crate asks for a newer rustc than it needs; the flag lets an older one build it.
BUILD = ("cargo", "install", "--ignore-rust-version", CRATE, "--version", VERSION)
POLL_SECONDS = 1.0

Progress = Callable[[str], None]


class MissingError(Exception):
    """Something that the benchmark needs is not on this machine; the message is one line."""


def cache() -> Path:
    """Where the programs that are fetched or built for the benchmark are kept."""
    return user_cache_path("prom-faust") / "bench"


class BenchMongo(MongoServer):
    """``secantusd-rs`` without ``--sync-on-commit``."""

    name: ClassVar[str] = "secantusd-rs"

    def _command(self) -> Sequence[str]:
        return [
            str(cache() / "bin" / PROGRAM),
            f"--config={self._configuration}",
            f"--host={HOST}",
            f"--port={self.port}",
            f"--storage-path={self.directory / 'data'}",
            "--cache-size=512M",
        ]


def binary(progress: Progress) -> Path:
    """The server's program, built where it is missing.

    Raises:
        MissingError: it can neither be found nor built.
    """
    root = cache()
    program = root / "bin" / PROGRAM
    installed = root / ".crates.toml"
    if program.exists() and installed.exists() and f'"{CRATE} {VERSION} ' in installed.read_text():
        return program
    if shutil.which("cargo") is None:
        raise MissingError(
            f"{program} is missing, and so is cargo, which builds it: install Rust from https://rustup.rs"
        )
    root.mkdir(parents=True, exist_ok=True)
    log = root / "build.log"
    command = [*BUILD, "--root", str(root)]
    started = time.monotonic()
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as build:
        try:
            while build.poll() is None:
                minutes = (time.monotonic() - started) / 60
                progress(f"building {PROGRAM}, once, about 9 minutes; {minutes:.0f} passed; log: {log}")
                time.sleep(POLL_SECONDS)
        finally:
            build.terminate()
    if build.returncode != 0 or not program.exists():
        raise MissingError(f"{PROGRAM} is missing, and building it failed: {' '.join(command)}; log: {log}")
    return program


@dataclass(frozen=True, slots=True)
class Stack:
    """The running servers, and a folder that goes when they stop.

    Attributes:
        kafka: the broker.
        mongo: the MongoDB-wire server.
        folder: for logs and reports.
    """

    kafka: KafkaServer
    mongo: BenchMongo
    folder: Path


@contextmanager
def stack(progress: Progress) -> Iterator[Stack]:
    """Start both servers on free ports with fresh data; stop them and remove everything at the end."""
    binary(progress)
    root = cache()
    _sweep(root)
    with tempfile.TemporaryDirectory(prefix=f"run-{psutil.Process().pid}-", dir=root) as name:
        folder = Path(name)
        with (
            KafkaServer(folder / "kafka", free_port(), progress=progress) as kafka,
            BenchMongo(folder / "mongo", free_port(), progress=progress) as mongo,
        ):
            yield Stack(kafka, mongo, folder)


def _sweep(root: Path) -> None:
    """Remove what a run that was killed has left."""
    for folder in root.glob("run-*-*"):
        if not psutil.pid_exists(int(folder.name.split("-")[1])):
            shutil.rmtree(folder, ignore_errors=True)
