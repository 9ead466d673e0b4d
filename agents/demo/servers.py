"""The servers of the demo: a local stack that runs already, or one of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Servers", "local_servers"]


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are.

    Attributes:
        kafka: Kafka's URL.
        mongo: MongoDB's URL.
        home: a folder for logs.
        seconds: how long it took until they answered.
    """

    kafka: str
    mongo: str
    home: Path
    seconds: float


@contextmanager
def local_servers(progress: Callable[[str], None]) -> Iterator[Servers]:
    """Both servers, for the length of the block. What runs already is used and left running.

    The demo's own stack begins empty, with data, logs and, where the usual ones are taken, ports of its own.

    Raises:
        prom_faust.exceptions.LocalStackError: a server does not start, or the `local` extra is missing.
    """
    # A worker imports all of this package to find agents, and must not need the servers' packages.
    from prom_faust.local import Stack  # noqa: PLC0415
    from prom_faust.local.lock import exclusive  # noqa: PLC0415

    began = time.monotonic()
    shared = Stack()
    home = shared.home / "demo"
    with exclusive(home / "demo.lock", purpose="the demo", progress=progress):
        found = shared.status()
        own = None if found.running else Stack(home)
        if own is None:
            progress("using the local stack that runs already")
        try:
            if own is not None:
                # Of a demo that was killed servers may be left; we hold its lock, so they are nobody's.
                found = own.up(progress, reset=True)
            if found.kafka.url is None or found.mongo.url is None:
                raise RuntimeError("a stack that is up has addresses")
            yield Servers(
                kafka=found.kafka.url,
                mongo=f"{found.mongo.url}/prom",
                home=home,
                seconds=time.monotonic() - began,
            )
        finally:
            if own is not None:
                own.down(progress)
