"""The sink's results: a table per workload, and the targets beside the ceiling and the connector."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.contenders import CONTENDERS
from benchmarks.measurement import Measurement
from benchmarks.verdict import Verdict
from benchmarks.workload import HOT_KEYS, TOMBSTONE_EVERY, WORKLOADS, Workload

__all__ = ["EXPLANATION", "MEGABYTE", "Speed", "speed_json", "speed_tables", "speed_verdicts"]

MEGABYTE = 1_000_000
TITLES: dict[Workload, str] = {
    "unique": "unique keys",
    "hot": f"{HOT_KEYS:,} hot keys",
    "large": "unique keys, 2 KB documents",
    "tombstones": f"unique keys, {100 // TOMBSTONE_EVERY} % tombstones",
}
EXPLANATION = (
    "records/s: from the first record in hand to the acknowledgement of the last one's effect; process start is not "
    "in it. The connector and Quix Streams are measured from outside, from the first documents, which do not count, "
    "to the complete collection. / ceiling, / conn.: median of the rounds' ratios. CPU s: of the process, and of the "
    "MongoDB server, per million records, meanwhile. MB: resident at the end, and at most from the process's start "
    "on. Client, server and broker share the cores. All but the ceiling commit to Kafka. Guarded are the writes of "
    "the sink and of the ceiling. The sink checks every record against its topic's schema, unless it says no schema; "
    "the others do not: the connector has no check for JSON without a schema. Quix Streams deletes nothing, so it is "
    "not measured with tombstones."
)

Speed = Mapping[tuple[Workload, str], Sequence[Measurement]]
"""Workload and contender to its runs, one per round."""


@dataclass(frozen=True, slots=True)
class Target:
    """The sink beside another contender: at least so many times as fast, in the same round."""

    workload: Workload
    beside: str
    least: float

    @property
    def title(self) -> str:
        """For people."""
        return f"{TITLES[self.workload]}: sink / {BESIDE.get(self.beside, self.beside)}"


BESIDE = {"defaults": "connector at defaults", "connector": "connector, tuned"}
TARGETS = (
    Target("unique", "ceiling", 0.95),
    Target("unique", "connector", 1.0),
    Target("hot", "defaults", 5.0),
    Target("hot", "connector", 5.0),
    Target("hot", "ceiling", 5.0),
    Target("unique", "update_one", 5.0),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A path's line in a workload's table: medians of its rounds.

    Attributes:
        title: the path.
        records: of one run.
        rate: records per second.
        lowest: the slowest round's rate.
        highest: the fastest round's.
        to_ceiling: times the ceiling's rate, or None where that was not measured.
        to_connector: times the connector's, likewise.
        cpu: CPU seconds per million records.
        server_cpu: those of the MongoDB server.
        megabytes: resident at the end.
        peak_megabytes: resident at most, from the process's start on.
    """

    title: str
    records: int
    rate: float
    lowest: float
    highest: float
    to_ceiling: float | None
    to_connector: float | None
    cpu: float
    server_cpu: float
    megabytes: float
    peak_megabytes: float

    def cells(self) -> Iterator[str]:
        """As the table shows them."""
        yield from (
            self.title,
            f"{self.records:,}",
            f"{self.rate:,.0f}",
            f"{self.lowest:,.0f}..{self.highest:,.0f}",
        )
        yield from ("" if ratio is None else f"{ratio:.2f}" for ratio in (self.to_ceiling, self.to_connector))
        yield from (
            f"{number:,.0f}" for number in (self.cpu, self.server_cpu, self.megabytes, self.peak_megabytes)
        )


HEADINGS = ("records", "records/s", "min..max", "/ ceiling", "/ conn.", "CPU s", "server", "MB", "peak")


def ratios(speed: Speed, workload: Workload, name: str, beside: str) -> list[float]:
    """How many times as fast as another path one is, round by round: only runs of one round saw the same machine."""
    runs, others = speed.get((workload, name), ()), speed.get((workload, beside), ())
    return [run.rate / other.rate for run, other in zip(runs, others, strict=False)]


def speed_verdicts(speed: Speed) -> list[Verdict]:
    """Every target of which something was measured."""
    measured = [(target, ratios(speed, target.workload, "sink", target.beside)) for target in TARGETS]
    return [
        Verdict(target.title, f">= {target.least:g}", found, median(found) >= target.least)
        for target, found in measured
        if found
    ]


def speed_tables(speed: Speed) -> Iterator[Table]:
    """A table for every workload that was measured."""
    for workload in WORKLOADS:
        lines = _lines(speed, workload)
        if lines:
            rounds = max(len(runs) for (measured, _), runs in speed.items() if measured == workload)
            table = Table(title=f"{TITLES[workload]}: medians, rounds: {rounds}", title_justify="left")
            table.add_column("path", no_wrap=True)
            for heading in HEADINGS:
                table.add_column(heading, justify="right", no_wrap=True)
            for line in lines.values():
                table.add_row(*line.cells())
            yield table


def speed_json(speed: Speed) -> dict[str, Any]:
    """Workload and path to its line and its runs."""
    return {
        workload: {
            name: {
                **asdict(line),
                "runs": [{"rate": run.rate, **run.model_dump()} for run in speed[workload, name]],
            }
            for name, line in _lines(speed, workload).items()
        }
        for workload in WORKLOADS
    }


def _lines(speed: Speed, workload: Workload) -> dict[str, Line]:
    names = [contender.name for contender in CONTENDERS if speed.get((workload, contender.name))]
    return {name: _line(speed, workload, name) for name in names}


def _line(speed: Speed, workload: Workload, name: str) -> Line:
    runs = speed[workload, name]
    rates = [run.rate for run in runs]
    title = next(contender.title for contender in CONTENDERS if contender.name == name)
    return Line(
        title=title,
        records=runs[0].records,
        rate=median(rates),
        lowest=min(rates),
        highest=max(rates),
        to_ceiling=_median(ratios(speed, workload, name, "ceiling")),
        to_connector=_median(ratios(speed, workload, name, "connector")),
        cpu=median(run.cpu_per_million for run in runs),
        server_cpu=median(run.server_cpu_per_million for run in runs),
        megabytes=median(run.rss for run in runs) / MEGABYTE,
        peak_megabytes=median(run.peak_rss for run in runs) / MEGABYTE,
    )


def _median(found: Sequence[float]) -> float | None:
    return median(found) if found else None
