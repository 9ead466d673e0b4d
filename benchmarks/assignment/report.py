"""The assignors' results: moves on every step, and the targets."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.assignment.contenders import OURS
from benchmarks.assignment.session import Row
from benchmarks.verdict import Verdict

__all__ = ["EXPLANATION", "assignment_json", "assignment_tables", "assignment_verdicts"]

MOST_RATIO = 1.1
MOST_MILLIS = 100.0
LARGEST = (50, 4096)
EXPLANATION = (
    "max/min: partitions per member. join: partitions that moved / those of the new member. leave: moved, median and "
    "maximum over the leavers (how many, where not all), and what they had, median. return: partitions elsewhere "
    "after leave and return under the same name, median and maximum. restart: moved when all members restart under "
    "their names, with new member ids in another order, median and maximum of 5. warm: partitions of leavers that "
    "went to a holder of the standby. ms: CPU time of one call with one more member, median of 5."
)


def assignment_tables(rows: Sequence[Row]) -> list[Table]:
    """One table per size and number of standbys."""
    keys = dict.fromkeys((row.members, row.partitions, row.standbys) for row in rows)
    return [
        _table([row for row in rows if (row.members, row.partitions, row.standbys) == key]) for key in keys
    ]


def _table(rows: Sequence[Row]) -> Table:
    first = rows[0]
    title = f"{first.members} members x {first.partitions} partitions, standbys {first.standbys}"
    table = Table(title=title, title_justify="left")
    table.add_column("assignor", no_wrap=True)
    for heading in ("max/min", "join", "leave", "had", "return", "restart", "warm", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.title, *(_cells(row) if row.measured else ["-"] * 8))
    return table


def _cells(row: Row) -> Iterable[str]:
    yield f"{row.most}/{row.fewest}"
    yield f"{row.join} / {row.joined}"
    found = row.departures
    yield _middle_and_most([each.moved for each in found]) + (
        "" if len(found) == row.members else f" ({len(found)} of them)"
    )
    yield f"{median(each.owned for each in found):g}"
    yield _middle_and_most([each.net for each in found])
    yield _middle_and_most(row.restarts)
    owned = sum(each.owned for each in found)
    yield f"{sum(each.warm for each in found) / owned:.0%}" if row.standbys and owned else "-"
    yield f"{median(row.millis):,.1f}"


def _middle_and_most(numbers: Sequence[int]) -> str:
    return f"{median(numbers):g}, {max(numbers)}"


def assignment_verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Every target, over all sizes, of which something was measured."""
    ours = [row for row in rows if row.contender == OURS.name]
    if not ours:
        return []
    restarts = [float(max(row.restarts)) for row in ours]
    ratios = [row.ratio for row in ours]
    worst = [max(each.moved / each.owned for each in row.departures) for row in ours]
    slowest = [median(row.millis) for row in ours if (row.members, row.partitions) == LARGEST]
    return [
        Verdict("homes: moved by a full restart", "0", restarts, max(restarts) == 0),
        Verdict(
            "homes: moved by a leave / had, median of leavers",
            f"<= {MOST_RATIO:g}",
            ratios,
            max(ratios) <= MOST_RATIO,
        ),
        Verdict("homes: the same, the worst leaver (no target)", "", worst, met=True),
        Verdict(
            "homes: ms per call, 50 x 4096",
            f"<= {MOST_MILLIS:g}",
            slowest,
            max(slowest, default=0.0) <= MOST_MILLIS,
        ),
    ]


def assignment_json(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Everything that was measured."""
    return {"seed": seed, "rows": [asdict(row) for row in rows]}
