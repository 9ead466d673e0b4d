"""The gaps as a table, as targets, and as a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.rebalance.session import CONTENDERS, STEPS, RebalanceResults
from benchmarks.verdict import Verdict

__all__ = ["EXPLANATION", "draw", "rebalance_json", "rebalance_tables", "rebalance_verdicts"]

OURS, THEIRS = CONTENDERS
MOST_SECONDS = 0.5
MOST_RATIO = 0.25
TARGETS = ("join", "leave")
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
EXPLANATION = (
    "Seconds of a worker that stays, from its revocation to its next record: median, and the longest, of all such "
    "gaps. 3 workers, 64 partitions, two copartitioned topics, a table of 100,000 keys in memory, one standby, "
    "heartbeats every 0.3 s, sessions of 6 s for all. kill -9 is counted from the revocation, not from the kill."
)

Gaps = Mapping[str, Sequence[float]]


def rebalance_tables(results: RebalanceResults) -> list[Table]:
    """One table, or none where nothing was measured."""
    if not results.gaps:
        return []
    table = Table(title="rebalances: seconds without a record", title_justify="left")
    table.add_column("")
    for step in STEPS:
        table.add_column(step, justify="right", no_wrap=True)
    for contender, gaps in results.gaps.items():
        table.add_row(contender, *(_cell(gaps.get(step, ())) for step in STEPS))
    return [table]


def _cell(gaps: Sequence[float]) -> str:
    return f"{median(gaps):.2f}, {max(gaps):.2f} ({len(gaps)})" if gaps else "-"


def rebalance_verdicts(results: RebalanceResults) -> list[Verdict]:
    """The targets of which something was measured."""
    found: list[Verdict] = []
    for step in TARGETS:
        ours, theirs = (results.gaps.get(name, {}).get(step, []) for name in (OURS, THEIRS))
        if ours:
            title = f"rebalances: seconds on {step}"
            found.append(Verdict(title, f"<= {MOST_SECONDS:g}", ours, median(ours) <= MOST_SECONDS))
        if ours and theirs:
            ratio = median(ours) / median(theirs)
            title = f"rebalances: {step} / Faust"
            found.append(Verdict(title, f"<= {MOST_RATIO:g}", [ratio], ratio <= MOST_RATIO))
    return found


def rebalance_json(results: RebalanceResults) -> dict[str, Any]:
    """Every gap."""
    return results.gaps


def draw(results: RebalanceResults, path: Path) -> None:
    """Draw every gap, as SVG or what else the file's name says."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra of the benchmark that nothing else needs

    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    colours = {OURS: "#0b6e4f", THEIRS: "#b3541e"}
    for number, (contender, gaps) in enumerate(results.gaps.items()):
        for place, step in enumerate(STEPS):
            values = gaps.get(step, ())
            height = place * 3 + number
            axes.plot(values, [height] * len(values), "o", color=colours[contender], alpha=0.45, markersize=5)
            if values:
                axes.plot(
                    [median(values)] * 2, [height - 0.35, height + 0.35], color=colours[contender], lw=3
                )
    axes.set_yticks([place * 3 + 0.5 for place in range(len(STEPS))], STEPS)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.set_xlabel("seconds without a record (each dot is a worker in a rebalance; the bar is the median)")
    handles = [plt.Line2D([], [], marker="o", lw=0, color=colours[name], label=name) for name in results.gaps]
    axes.legend(handles=handles, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    plt.close(figure)
