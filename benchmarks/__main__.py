"""``python -m benchmarks [WHAT]``, or ``make bench ARGS="speed --records 20000 --rounds 1"``."""

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from benchmarks.assignment.session import measure_assignment
from benchmarks.codec.path import WrongResultError
from benchmarks.codec.session import measure_codec
from benchmarks.contenders import CONTENDERS
from benchmarks.rebalance.report import draw
from benchmarks.rebalance.session import measure_rebalance
from benchmarks.report import machine, show, write_json
from benchmarks.runs import RunError
from benchmarks.servers import MissingError, Progress, stack
from benchmarks.session import Results, measure_memory, measure_speed
from benchmarks.workload import WORKLOADS, Workload
from prom_faust.exceptions import LocalStackError

PLAIN_WIDTH = 130
NAMES = [contender.name for contender in CONTENDERS]


@click.command()
@click.argument(
    "what", type=click.Choice(["all", "speed", "memory", "codec", "assignment", "rebalance"]), default="all"
)
@click.option(
    "--records", type=click.IntRange(1_000), default=100_000, show_default=True, help="Per workload."
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--backlog", type=click.IntRange(1_000), default=1_000_000, show_default=True, help="For memory."
)
@click.option(
    "--workload", "workloads", type=click.Choice(WORKLOADS), multiple=True, help="Only this one; repeatable."
)
@click.option("--path", "paths", type=click.Choice(NAMES), multiple=True, help="Only this path; repeatable.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of the assignors' member ids and orders."
)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the rebalances here.")
@click.option("--json", "json", type=click.Path(path_type=Path, dir_okay=False), help="Write all runs here.")
def main(  # noqa: C901 - one branch per benchmark
    what: Literal["all", "speed", "memory", "codec", "assignment", "rebalance"],
    records: int,
    rounds: int,
    backlog: int,
    workloads: Sequence[Workload],
    paths: Sequence[str],
    seed: int,
    plot: Path | None,
    json: Path | None,
) -> None:
    """Print records/s of the sink beside plain Faust agents, its memory, the codec's costs, moves and rebalances.

    Exits with 0 whatever was measured; 1 when a path failed, 2 when something is missing.
    """
    # The servers stop and their data goes in any case but a kill.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    # It retries while a new topic finds its leaders, and tells.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    facts = machine()
    results = Results(seed=seed)
    try:
        with console.status("starting") as status:
            progress = _progress(console, status.update)
            if what in {"all", "codec"}:  # first: short, and it needs no server
                measure_codec(results.codec, rounds=rounds, progress=progress)
            if what in {"all", "assignment"}:
                measure_assignment(results.assignment, seed=seed, progress=progress)
            if what in {"all", "rebalance"}:
                measure_rebalance(results.rebalance, rounds=rounds, progress=progress)
            if what in {"all", "speed"}:
                with stack(progress) as servers:
                    measure_speed(
                        servers,
                        results,
                        records=records,
                        rounds=rounds,
                        workloads=workloads or WORKLOADS,
                        contenders=[found for found in CONTENDERS if not paths or found.name in paths],
                        progress=progress,
                    )
            if what in {"all", "memory"}:
                with stack(progress) as servers:
                    measure_memory(servers, results, backlog=backlog, progress=progress)
    except MissingError as error:
        console.print(str(error), soft_wrap=True, highlight=False)
        sys.exit(2)
    except (RunError, WrongResultError, LocalStackError) as error:
        console.print(str(error), soft_wrap=True, highlight=False)
        sys.exit(1)
    show(console, results, facts)
    if plot is not None:
        draw(results.rebalance, plot)
    if json is not None:
        write_json(json, results, facts)


def _progress(console: Console, update: Progress) -> Progress:
    """One line that changes on a terminal; elsewhere a line per step, and no line twice."""
    if console.is_terminal:
        return update
    told: set[str] = set()

    def tell(step: str) -> None:
        if step not in told:
            told.add(step)
            console.print(step, highlight=False, soft_wrap=True)

    return tell


if __name__ == "__main__":
    main()
