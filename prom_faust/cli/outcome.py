"""How commands tell what became of records that were to be replayed."""

import json

import click
from rich.table import Table
from rich.text import Text

from prom_faust.cli.output import console, raw_text
from prom_faust.sink.replay import Outcome, Verdict

__all__ = ["OF_NO_PROJECTION", "report"]

OF_NO_PROJECTION = "of no projection"
SETTLED = frozenset(
    verdict.value
    for verdict in (
        Verdict.APPLIED,
        Verdict.ALREADY,
        Verdict.SENT,
        Verdict.DISCARDED,
        Verdict.SUPERSEDED,
        Verdict.LEFT,
    )
)
"""These are no failures."""


def report(context: click.Context, outcome: Outcome, *, as_json: bool, note: str | None = None) -> None:
    """Print it, and end: exit code 0 where nothing is left to be done, else 1."""
    left = sum(count for verdict, count in outcome.counts.items() if verdict not in SETTLED)
    if as_json:
        shown = [
            {
                "topic": result.candidate.record.topic,
                "partition": result.candidate.record.partition,
                "offset": result.candidate.record.offset,
                "key": raw_text(result.candidate.record.key),
                "verdict": result.verdict.value,
                "reason": result.reason,
            }
            for result in outcome.shown
        ]
        click.echo(json.dumps({"counts": dict(outcome.counts), "left": left, "shown": shown, "note": note}))
    else:
        _print(outcome, note)
    context.exit(1 if left else 0)


def _print(outcome: Outcome, note: str | None) -> None:
    if outcome.shown:
        table = Table("topic", "offset", "key", "verdict", "reason")
        for result in outcome.shown:
            record = result.candidate.record
            place = (f"{record.topic}[{record.partition}]", str(record.offset), raw_text(record.key) or "")
            table.add_row(*map(Text, (*place, result.verdict.value)), Text(result.reason, overflow="fold"))
        console().print(table)
    for verdict, count in sorted(outcome.counts.items()):
        click.echo(f"{count:>10,} {verdict}")
    if not outcome.counts:
        click.echo("nothing is meant")
    if note:
        click.echo(f"note: {note}")
