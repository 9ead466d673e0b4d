"""The results for people and for programs: medians, spreads, targets, and the machine."""

import os
import platform
from collections.abc import Iterable
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
from benchmarks.connector import CONNECTOR_VERSION
from benchmarks.measurement import Measurement
from benchmarks.quix import QUIX_VERSION
from benchmarks.rebalance.report import EXPLANATION as REBALANCE_EXPLANATION
from benchmarks.rebalance.report import rebalance_json, rebalance_tables, rebalance_verdicts
from benchmarks.servers import CRATE, VERSION
from benchmarks.session import Results
from benchmarks.speed_report import EXPLANATION as SPEED_EXPLANATION
from benchmarks.speed_report import MEGABYTE, speed_json, speed_tables, speed_verdicts
from benchmarks.verdict import Verdict
from prom_faust.local.jars import KAFKA_VERSION

__all__ = ["machine", "show", "write_json"]

MEMORY_TARGET = 300.0
DISTRIBUTIONS = (
    *("prom-faust", "faust-streaming", "aiokafka", "pymongo", "motor", "orjson", "pydantic", "jsonschema-rs"),
    PACKAGE,
)


def verdicts(results: Results) -> list[Verdict]:
    """Every target of which something was measured."""
    return [
        *speed_verdicts(results.speed),
        *memory_verdicts(results),
        *codec_verdicts(results.codec),
        *assignment_verdicts(results.assignment),
        *rebalance_verdicts(results.rebalance),
    ]


def memory_verdicts(results: Results) -> list[Verdict]:
    """The sink's memory over a backlog."""
    if results.memory is None:
        return []
    peak = results.memory.peak_rss / MEGABYTE
    title = f"resident memory, backlog of {results.backlog:,} records, MB"
    return [Verdict(title, f"< {MEMORY_TARGET:g}", [peak], peak < MEMORY_TARGET)]


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
        "kafka": KAFKA_VERSION,
        "mongo-kafka-connect": CONNECTOR_VERSION,
        "quixstreams": QUIX_VERSION,
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
    for table in speed_tables(results.speed):
        console.print(table)
    if results.memory is not None:
        _show_memory(console, results.memory, results.backlog)
    for table in (
        *codec_tables(results.codec),
        *assignment_tables(results.assignment),
        *rebalance_tables(results.rebalance),
    ):
        console.print(table)
    if found := verdicts(results):
        console.print(_target_table(found))
    if results.speed or results.memory is not None:
        console.print(SPEED_EXPLANATION, style="dim", highlight=False)
    if results.codec:
        _explain_codec(console)
    if results.assignment:
        console.print(f"{EXPLANATION} Seed {results.seed}.", style="dim", highlight=False)
    if results.rebalance.gaps:
        console.print(REBALANCE_EXPLANATION, style="dim", highlight=False)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), style="dim", highlight=False)


def _explain_codec(console: Console) -> None:
    console.print(
        "microseconds: CPU time of the thread per message of nine fields. / orjson, / no orjson: times as long as "
        "Faust's own JSON codec on a dict, median of the rounds' ratios.",
        style="dim",
    )


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
        "speed": speed_json(results.speed),
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
