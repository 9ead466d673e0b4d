"""How the demo looks: a table in a terminal, lines elsewhere. Pure: readings in, text out."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.demo.probe import Reading

__all__ = ["line", "rate", "screen"]


def rate(before: Reading, now: Reading) -> float:
    """Records per second that the projection finished between two readings."""
    if now.at <= before.at:
        return 0.0
    return (now.applied - before.applied) / (now.at - before.at)


def line(seconds: float, reading: Reading, records_per_second: float) -> str:
    """Everything but the rows, as one line.

    Args:
        seconds: since the demo began.
        reading: what was read.
        records_per_second: what the projection does.
    """
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(reading.statuses.items()))
    return (
        f"{seconds:5.1f} s  {reading.documents} processes ({statuses or 'none yet'})  "
        f"{records_per_second:.0f} records/s  lag {reading.lag}  dead letters {reading.dead_letters}"
    )


def screen(seconds: float, reading: Reading, records_per_second: float) -> RenderableType:
    """The line, and the processes that use most CPU.

    Args:
        seconds: since the demo began.
        reading: what was read.
        records_per_second: what the projection does.
    """
    table = Table(
        title="MongoDB collection `processes`, by CPU",
        title_justify="left",
        header_style="bold",
        expand=False,
    )
    for name in ("pid", "sid", "cpu %", "MiB"):
        table.add_column(name, justify="right")
    table.add_column("status")
    table.add_column("name", max_width=32, no_wrap=True)
    for row in reading.top:
        table.add_row(
            str(row["pid"]),
            str(row.get("sid", "")),
            f"{row['cpu_pct']:.1f}",
            f"{row['mem_mb']:.1f}",
            Text(row["status"], style="green" if row["status"] == "alive" else "yellow"),
            Text(row["name"]),
        )
    return Group(
        Text(line(seconds, reading, records_per_second), style="bold"),
        table,
        Text("Ctrl-C ends", style="dim"),
    )
