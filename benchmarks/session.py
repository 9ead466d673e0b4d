"""A whole benchmark: topics filled, rounds interleaved, the backlog worked through."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.assignment.session import Row
from benchmarks.codec.session import Rows
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.measurement import Measurement
from benchmarks.rebalance.session import RebalanceResults
from benchmarks.runs import run_contender
from benchmarks.servers import Progress, Stack
from benchmarks.topics import fill
from benchmarks.workload import Workload, length_of

__all__ = ["Results", "measure_memory", "measure_speed"]

SPEED_LIMIT_SECONDS = 300.0
MEMORY_LIMIT_SECONDS = 90.0


@dataclass
class Results:
    """What was measured.

    Attributes:
        speed: workload and contender to its runs, one per round.
        memory: the sink's run over the backlog, or None.
        backlog: how many records that held.
        codec: what was measured of the codecs.
        assignment: what was measured of the assignors.
        rebalance: how long workers processed nothing.
        seed: of the assignors' member ids and orders.
    """

    speed: dict[tuple[Workload, str], list[Measurement]] = field(default_factory=dict)
    memory: Measurement | None = None
    backlog: int = 0
    codec: Rows = field(default_factory=dict)
    assignment: list[Row] = field(default_factory=list)
    rebalance: RebalanceResults = field(default_factory=RebalanceResults)
    seed: int = 0


def measure_speed(
    stack: Stack,
    results: Results,
    *,
    records: int,
    rounds: int,
    workloads: Sequence[Workload],
    contenders: Sequence[Contender],
    progress: Progress,
) -> None:
    """Run every contender once per round and workload, in an order that turns from round to round.

    Args:
        stack: the servers.
        results: taken up run by run.
        records: of each workload.
        rounds: how many.
        workloads: which.
        contenders: which.
        progress: told what is running.
    """
    for contender in contenders:
        contender.prepare(progress)
    for workload in workloads:
        progress(f"writing {length_of(workload, records):,} records to Kafka: {workload}")
        asyncio.run(fill(stack.kafka.url, workload, length_of(workload, records)))
    for number in range(rounds):
        turned = [*contenders[number % len(contenders) :], *contenders[: number % len(contenders)]]
        for workload in workloads:
            for contender in turned:
                if workload not in contender.workloads:
                    continue
                progress(f"round {number + 1} of {rounds}, {workload}: {contender.title}")
                measurement = run_contender(
                    contender,
                    stack,
                    workload,
                    records,
                    name=f"{workload}-{contender.name}-{number + 1}",
                    limit=SPEED_LIMIT_SECONDS,
                )
                results.speed.setdefault((workload, contender.name), []).append(measurement)


def measure_memory(stack: Stack, results: Results, *, backlog: int, progress: Progress) -> None:
    """Let the sink work through a backlog, for a while or to its end, and look at its memory.

    Args:
        stack: fresh servers.
        results: takes up the run.
        backlog: how many records wait when the worker starts.
        progress: told what is running.
    """
    progress(f"writing a backlog of {backlog:,} records to Kafka")
    asyncio.run(fill(stack.kafka.url, "unique", backlog))
    progress(f"the sink works through the backlog, for at most {MEMORY_LIMIT_SECONDS:g} s")
    sink = next(contender for contender in CONTENDERS if contender.name == "sink")
    results.backlog = backlog
    results.memory = run_contender(
        sink, stack, "unique", backlog, name="memory-sink", limit=MEMORY_LIMIT_SECONDS
    )
