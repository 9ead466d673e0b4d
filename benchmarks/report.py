"""The results for people and for programs: medians, spreads, targets, and the machine."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.assignment.report import EXPLANATION, assignment_json, assignment_tables, assignment_verdicts
from benchmarks.codec.peer import PACKAGE
from benchmarks.codec.report import codec_tables, codec_verdicts
from benchmarks.contenders import CONTENDERS
from benchmarks.measurement import Measurement
from benchmarks.rebalance.report import EXPLANATION as REBALANCE_EXPLANATION
from benchmarks.rebalance.report import rebalance_json, rebalance_tables, rebalance_verdicts
from benchmarks.servers import CRATE, VERSION
from benchmarks.session import Results
from benchmarks.verdict import Verdict
from benchmarks.workload import HOT_KEYS, TOMBSTONE_EVERY, WORKLOADS, Workload

__all__ = ["machine", "show", "write_json"]

MEGABYTE = 1_000_000
MEMORY_TARGET = 300.0
TITLES: dict[Workload, str] = {
    "unique": "unique keys",
    "hot": f"{HOT_KEYS:,} hot keys",
    "large": "unique keys, 2 KB documents",
    "tombstones": f"unique keys, {100 // TOMBSTONE_EVERY} % tombstones",
}
DISTRIBUTIONS = (
    *("prom-faust", "faust-streaming", "aiokafka", "pymongo", "motor", "orjson", "pydantic", "jsonschema-rs"),
    PACKAGE,
)


@dataclass(frozen=True, slots=True)
class Target:
    """The sink beside another contender: at least so many times as fast, in the same round."""

    workload: Workload
    beside: str
    least: float

    @property
    def title(self) -> str:
        """For people."""
        return f"{TITLES[self.workload]}: sink / {self.beside}"


TARGETS = (
    Target("unique", "ceiling", 0.9),
    Target("hot", "ceiling", 5.0),
    Target("unique", "update_one", 5.0),
)


def verdicts(results: Results) -> list[Verdict]:
    """Every target of which something was measured."""
    found: list[Verdict] = []
    for target in TARGETS:
        sink = results.speed.get((target.workload, "sink"), [])
        other = results.speed.get((target.workload, target.beside), [])
        # Only runs of one round saw the same machine.
        ratios = [ours.rate / theirs.rate for ours, theirs in zip(sink, other, strict=False)]
        if ratios:
            met = median(ratios) >= target.least
            found.append(Verdict(target.title, f">= {target.least:g}", ratios, met))
    if results.memory is not None:
        peak = results.memory.peak_rss / MEGABYTE
        found.append(
            Verdict(
                f"resident memory, backlog of {results.backlog:,} records, MB",
                f"< {MEMORY_TARGET:g}",
                [peak],
                peak < MEMORY_TARGET,
            )
        )
    return [
        *found,
        *codec_verdicts(results.codec),
        *assignment_verdicts(results.assignment),
        *rebalance_verdicts(results.rebalance),
    ]


def machine() -> dict[str, Any]:
    """The facts without which the numbers mean nothing."""
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(terse=True),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **dict(_versions(DISTRIBUTIONS)),
        CRATE: VERSION,
    }


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "missing"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def show(console: Console, results: Results, facts: dict[str, Any]) -> None:
    """Print everything."""
    for workload in WORKLOADS:
        if any(measured == workload for measured, _ in results.speed):
            console.print(_speed_table(workload, results))
    if results.memory is not None:
        _show_memory(console, results.memory, results.backlog)
    for table in (
        *codec_tables(results.codec),
        *assignment_tables(results.assignment),
        *rebalance_tables(results.rebalance),
    ):
        console.print(table)
    console.print(_target_table(verdicts(results)))
    if results.speed or results.memory is not None:
        _explain_speed(console)
    if results.codec:
        _explain_codec(console)
    if results.assignment:
        console.print(f"{EXPLANATION} Seed {results.seed}.", style="dim", highlight=False)
    if results.rebalance.gaps:
        console.print(REBALANCE_EXPLANATION, style="dim", highlight=False)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), style="dim", highlight=False)


def _explain_speed(console: Console) -> None:
    console.print(
        "records/s: from the first record in hand to the acknowledgement of the last one's effect; "
        "process start and Kafka commits are not in it. CPU s: per million records, meanwhile. "
        "Client, server and broker share the cores.",
        style="dim",
    )


def _explain_codec(console: Console) -> None:
    console.print(
        "microseconds: CPU time of the thread per message of nine fields. / orjson, / no orjson: times as long as "
        "Faust's own JSON codec on a dict, median of the rounds' ratios.",
        style="dim",
    )


def _speed_table(workload: Workload, results: Results) -> Table:
    rounds = max(len(runs) for (measured, _), runs in results.speed.items() if measured == workload)
    table = Table(title=f"{TITLES[workload]}: records/s, rounds: {rounds}", title_justify="left")
    table.add_column("path", no_wrap=True)
    for heading in ("records", "median", "min..max", "CPU s", "server CPU s", "peak MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for contender in CONTENDERS:
        runs = results.speed.get((workload, contender.name))
        if runs:
            rates = [run.rate for run in runs]
            table.add_row(
                contender.title,
                f"{runs[0].records:,}",
                f"{median(rates):,.0f}",
                f"{min(rates):,.0f}..{max(rates):,.0f}",
                _middle(runs, lambda run: run.cpu_per_million),
                _middle(runs, lambda run: run.server_cpu_per_million),
                _middle(runs, lambda run: run.peak_rss / MEGABYTE),
            )
    return table


def _middle(runs: Sequence[Measurement], of: Callable[[Measurement], float]) -> str:
    return f"{median(map(of, runs)):,.0f}"


def _show_memory(console: Console, run: Measurement, backlog: int) -> None:
    console.print(
        f"backlog of {backlog:,} records: {run.records:,} in {run.seconds:.0f} s ({run.rate:,.0f}/s), "
        f"peak resident memory of the worker {run.peak_rss / MEGABYTE:.0f} MB",
        highlight=False,
    )


def _target_table(found: list[Verdict]) -> Table:
    table = Table(title="targets", title_justify="left")
    table.add_column("target", no_wrap=True)
    for heading in ("wanted", "median", "min..max", ""):
        table.add_column(heading, justify="right")
    for verdict in found:
        table.add_row(
            verdict.title,
            verdict.wanted,
            f"{median(verdict.ratios):.3g}",
            f"{min(verdict.ratios):.3g}..{max(verdict.ratios):.3g}",
            verdict.word,
            style="" if verdict.met else "bold",
        )
    return table


def write_json(path: Path, results: Results, facts: dict[str, Any]) -> None:
    """Everything that was measured, run by run."""
    content = {
        "machine": facts,
        "speed": {
            f"{workload} {name}": [{"rate": run.rate, **run.model_dump()} for run in runs]
            for (workload, name), runs in results.speed.items()
        },
        "memory": results.memory and {"backlog": results.backlog, **results.memory.model_dump()},
        "codec": {
            f"{direction} {name}": {"title": row.title, "microseconds": row.micros}
            for (direction, name), row in results.codec.items()
        },
        "assignment": assignment_json(results.assignment, results.seed),
        "rebalance": rebalance_json(results.rebalance),
        "targets": [
            {"title": found.title, "wanted": found.wanted, "rounds": found.ratios, "met": found.met}
            for found in verdicts(results)
        ],
    }
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
