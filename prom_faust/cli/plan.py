"""A plan of moves as tables for people."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from prom_faust.assignment.kafka import PROTOCOL
from prom_faust.assignment.plan import Plan

__all__ = ["show"]

PIPE_WIDTH = 200
"""Columns where the output goes into a file or a pipe: rich would take 80 and cut."""
MANY = 40
"""Moves that are listed one by one; of more, only their number from one member to another."""


def show(found: Plan, group: str, protocol: str) -> None:
    """Print a plan for people.

    Args:
        found: the plan.
        group: the group of which it is.
        protocol: what the group assigns by now; empty where it does not run.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(Text.assemble("group ", (group, "bold")))
    if protocol not in {"", PROTOCOL}:
        console.print(
            f"[yellow]The group's protocol is {protocol}[/]: this is what {PROTOCOL} would do from its own homes."
        )
    for topic in found.unread:
        console.print(Text(f"Nobody would read {topic} any more.", style="bold red"))
    console.print(_figures(found))
    console.print(_loads(found))
    if found.movement.moves:
        console.print(_moves(found))


def _figures(found: Plan) -> Table:
    movement = found.movement
    table = Table(show_header=False, box=None)
    table.add_column(justify="right", style="bold")
    table.add_column()
    table.add_row(
        f"{len(movement.moves):,}", f"partitions move; {movement.warm:,} of them to a standby, warm"
    )
    table.add_row(f"{movement.lower_bound:,}", "have to move with any assignor that shares evenly")
    if movement.added:
        table.add_row(f"{movement.added:,}", "partitions are new")
    table.add_row(
        f"{movement.after.most:,}/{movement.after.fewest:,}",
        f"partitions of the member with the most and with the fewest; now {movement.before.most:,}/"
        f"{movement.before.fewest:,}",
    )
    for topic, share in found.keys.items():
        table.add_row(
            f"{share:.1%}", f"of the keys of {topic} go to another partition, if it is routed by jump hash"
        )
    return table


def _loads(found: Plan) -> Table:
    before, after = found.before.loads, found.after.loads
    sources = Counter(move.source for move in found.movement.moves)
    targets = Counter(move.target for move in found.movement.moves)
    table = Table("member", *_right("now", "then", "loses", "gains"))
    for name in sorted({*before, *after}):
        style = "red" if name not in after else "green" if name not in before else ""
        figures = (before.get(name), after.get(name), sources[name] or None, targets[name] or None)
        table.add_row(Text(name, style=style), *("" if each is None else f"{each:,}" for each in figures))
    return table


def _moves(found: Plan) -> Table:
    moves = found.movement.moves
    if len(moves) > MANY:
        table = Table("from", "to", *_right("partitions", "warm"))
        pairs: dict[tuple[str, str], list[bool]] = {}
        for move in moves:
            pairs.setdefault((move.source, move.target), []).append(move.warm)
        for (source, target), warm in sorted(pairs.items()):
            table.add_row(Text(source), Text(target), f"{len(warm):,}", f"{sum(warm):,}")
        return table
    table = Table("partition", "from", "to", "")
    for move in moves:
        name = Text(f"{move.topic}-{move.partition}")
        table.add_row(name, Text(move.source), Text(move.target), "warm" if move.warm else "")
    return table


def _right(*titles: str) -> Iterable[Column]:
    return [Column(title, justify="right") for title in titles]
