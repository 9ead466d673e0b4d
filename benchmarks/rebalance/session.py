"""Rounds of joins, leaves, kills and restarts, one contender after the other."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rebalance.workers import Group, feed, fill
from benchmarks.servers import Progress
from prom_faust.local.kafka import KafkaServer
from prom_faust.local.ports import free_port

__all__ = ["CONTENDERS", "STEPS", "RebalanceResults", "measure_rebalance"]

CONTENDERS = {"prom_faust": "yes", "Faust": "no"}
STEPS = ("leave", "join", "kill -9", "restart")
BLOCK = 5
"""Rounds of one contender in a row: its workers need half a minute to fill their tables."""
LAST = 2


@dataclass(slots=True)
class RebalanceResults:
    """Contender to step to the gaps of the workers that stayed, in seconds."""

    gaps: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, contender: str, step: str, seconds: list[float]) -> None:
        """Take in what one step gave."""
        self.gaps.setdefault(contender, {}).setdefault(step, []).extend(seconds)


def measure_rebalance(results: RebalanceResults, *, rounds: int, progress: Progress) -> None:
    """Measure on a broker of its own.

    Raises:
        RunError: a worker did not do what it should.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with KafkaServer(path / "kafka", free_port()) as kafka:
            broker = f"127.0.0.1:{kafka.port}"
            done = 0
            while done < rounds:
                block = min(BLOCK, rounds - done)
                for contender in CONTENDERS:
                    asyncio.run(_block(results, contender, f"{done}", block, broker, path, progress))
                done += block


async def _block(
    results: RebalanceResults,
    contender: str,
    label: str,
    rounds: int,
    broker: str,
    folder: Path,
    progress: Progress,
) -> None:
    name = f"bench-{CONTENDERS[contender]}-{label}"
    progress(f"{contender}: filling a table")
    await fill(broker, name)
    load = asyncio.create_task(feed(broker, name))
    group = Group(name, "yes" if contender == "prom_faust" else "no", broker, folder)
    try:
        for number in range(LAST + 1):
            group.start(number)
            await group.settle(time.time())
        for number in range(rounds):
            progress(f"{contender}: round {int(label) + number + 1}")
            await _round(results, contender, group)
    finally:
        group.stop()
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load


async def _round(results: RebalanceResults, contender: str, group: Group) -> None:
    def restart() -> None:
        group.signal(LAST, signal.SIGTERM)
        group.start(LAST)

    steps: list[tuple[str, Callable[[], None]]] = [
        ("leave", lambda: group.signal(LAST, signal.SIGTERM)),
        ("join", lambda: group.start(LAST)),
        ("kill -9", lambda: group.signal(LAST, signal.SIGKILL)),
        ("join", lambda: group.start(LAST)),
        ("restart", restart),
    ]
    for step, act in steps:
        since = time.time()
        await asyncio.to_thread(act)
        await group.settle(since)
        results.add(contender, step, [gap.seconds for gap in group.gaps(since)])
