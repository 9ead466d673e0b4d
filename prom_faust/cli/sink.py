"""``faust -A APP sink ...``: commands about one projection, named by its collection."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar

import click
from rich.table import Table
from rich.text import Text

from prom_faust.app import Prom
from prom_faust.cli.output import console, fail, quiet, wants_json
from prom_faust.cli.plugin import prom_of
from prom_faust.cli.progress import progress_bar
from prom_faust.exceptions import PromFaustError
from prom_faust.sink.faust import Projection
from prom_faust.sink.rebuild import Rebuilt, Swapped, rebuild, rebuild_in_shadow
from prom_faust.sink.snapshot import Snapshot, snapshot, snapshot_topic
from prom_faust.sink.verify import Report, verify

__all__ = ["sink"]

T = TypeVar("T")


@click.group(help="Look after collections that are kept equal to a topic.")
def sink() -> None:
    """Group the commands."""


@sink.command("verify")
@click.argument("name")
@click.option(
    "--wait",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds to wait until the sink has applied what is on the topic now.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--repair", is_flag=True, help="Mend what differs, and look at it again.")
@click.option("--yes", is_flag=True, help="Do not ask before a repair.")
@click.pass_context
def verify_command(
    context: click.Context, name: str, wait: float, as_json: bool, repair: bool, yes: bool
) -> None:
    """Compare the collection NAME with its topic, record by record.

    The worker may run meanwhile. Exit code 0: they agree; 1: they differ; 2: it could not be found out.

    With --repair, missing and different documents are written from their records, and those that no record explains
    are removed, each only if no worker has changed it since. What the projection has not written is only named. The
    exit code and all figures are those after the repair.
    """
    if repair and not yes:
        if not sys.stdin.isatty():
            fail(context, "this writes to the collection: say --yes, or run it in a terminal")
        click.confirm(f"Mend the documents of the collection {name} that differ from its topic?", abort=True)
    report = _run(context, name, lambda projection: _verify(projection, wait, repair=repair))
    if wants_json(context, flag=as_json):
        click.echo(json.dumps(report.as_json()))
    else:
        _print(report)
    context.exit(0 if report.clean else 1)


async def _verify(projection: Projection, wait: float, *, repair: bool) -> Report:
    with progress_bar() as progress:
        return await verify(projection, wait=wait, repair=repair, progress=progress)


@sink.command("rebuild")
@click.argument("name")
@click.option(
    "--shadow", is_flag=True, help="Build it beside the one in use, verify it, and swap: nothing stops."
)
@click.option(
    "--restart", is_flag=True, help="With --shadow: do not go on with what an earlier run has left."
)
@click.option("--yes", is_flag=True, help="Do not ask, and lose what the projection does not declare.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def rebuild_command(
    context: click.Context, name: str, *, shadow: bool, restart: bool, yes: bool, as_json: bool
) -> None:
    """Build the collection NAME again from its topic.

    Fields that other writers have added are lost, and so is the document of every record that has left the topic: a
    write="insert" projection of a topic with retention has many of those.

    Without --shadow the collection is removed, and the next start of a worker builds it again: refused while a
    worker runs. Indexes and validators that the projection does not declare are lost.

    With --shadow workers and readers go on: a second collection is built, verified, and renamed over NAME. A run
    that was cut off is gone on with by the next one. Exit code 0: done; 1: the second collection differs from the
    topic, and nothing was swapped; 2: it could not be done.
    """
    as_json = wants_json(context, flag=as_json)
    if shadow:
        swapped = _run(context, name, lambda projection: _rebuild_in_shadow(projection, restart, yes))
        if as_json:
            click.echo(json.dumps(swapped.as_json()))
        else:
            _print_swapped(swapped)
        context.exit(0 if swapped.done else 1)
    if restart:
        raise click.UsageError("--restart is for --shadow")
    if not yes:
        if not sys.stdin.isatty():
            fail(context, "this removes the collection: say --yes, or run it in a terminal")
        click.confirm(
            f"Remove every document of the collection {name}? What its topic does not hold any more is lost.",
            abort=True,
        )
    removed: Rebuilt = _run(context, name, rebuild)
    if as_json:
        click.echo(json.dumps(asdict(removed)))
        return
    click.echo(
        f"{removed.collection}: removed {removed.documents} documents, {removed.positions} positions and the "
        f"{removed.offsets} committed offsets of group {removed.group}. "
        "The next start reads the topic from the beginning."
    )


@sink.command("snapshot")
@click.argument("name")
@click.option("--to", help="The topic to write to; <topic>.snapshot by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def snapshot_command(context: click.Context, name: str, to: str | None, as_json: bool) -> None:
    """Write the live record of every key of the topic of the collection NAME to another topic.

    ``replay TOPIC --into NAME`` warms a collection from it. The worker may run meanwhile.
    """
    prom = prom_of(context)

    async def run(projection: Projection) -> Snapshot:
        with progress_bar() as progress:
            target = to or snapshot_topic(projection.options.topic)
            return await snapshot(projection, prom.gate, prom.settings, to=target, progress=progress)

    taken = _run(context, name, run)
    if wants_json(context, flag=as_json):
        click.echo(json.dumps(asdict(taken)))
    else:
        click.echo(
            f"{taken.topic}: {taken.records:,} live records of {taken.source} ({taken.read:,} read) "
            f"in {taken.seconds:.1f} s"
        )


async def _rebuild_in_shadow(projection: Projection, restart: bool, lose: bool) -> Swapped:
    with progress_bar() as progress:
        return await rebuild_in_shadow(projection, restart=restart, lose=lose, progress=progress)


def _print_swapped(swapped: Swapped) -> None:
    if swapped.begun:
        click.echo(f"begun anew: {swapped.begun}")
    if swapped.report is not None:
        _print(swapped.report)
    if not swapped.done:
        click.echo(
            f"{swapped.collection} is as it was. {swapped.shadow} stands, to be looked at: the next rebuild goes on "
            "with it, and with --restart removes it."
        )
        return
    went_on = " (it went on with an earlier run's)" if swapped.resumed else ""
    click.echo(
        f"{swapped.collection} is swapped after {swapped.seconds:g} s and {swapped.records:,} records{went_on}."
    )
    if swapped.behind:
        click.echo(f"For {swapped.behind_seconds:g} s afterwards it was {swapped.behind:,} records behind.")
    if swapped.lost:
        click.echo(f"Not kept, because the projection does not declare it: {', '.join(swapped.lost)}.")


def _run(context: click.Context, name: str, command: Callable[[Projection], Awaitable[T]]) -> T:
    """Run a command on a projection; what is wrong becomes one line and exit code 2."""
    quiet(context)

    async def run(prom: Prom, projection: Projection) -> T:
        try:
            return await command(projection)
        finally:
            await prom.close_database()

    try:
        prom = prom_of(context)
        return asyncio.run(run(prom, prom.projection(name)))
    except PromFaustError as error:
        fail(context, str(error))


def _print(report: Report) -> None:
    out = console()
    verdict = "[bold green]equals[/] the fold of" if report.clean else "[bold red]differs[/] from the fold of"
    out.print(f"[bold]{report.collection}[/] {verdict} [bold]{report.topic}[/]")
    figures = Table(show_header=False, box=None)
    figures.add_column(justify="right", style="bold")
    figures.add_column()
    for number, text in _figures(report):
        figures.add_row(number, text)
    out.print(figures)
    if report.differences:
        table = Table("", "key", "reason")
        for found in report.differences:
            key = "" if found.key is None else repr(found.key)
            table.add_row(found.kind.value, Text(key), Text(found.reason, overflow="fold"))
        out.print(table)


def _figures(report: Report) -> list[tuple[str, str]]:
    counted = [
        (report.records, "records read"),
        (report.letters, f"dead letters of {report.group}, for {report.dead} records left out"),
        (report.keys, "documents expected"),
        (report.documents, "documents found"),
        (report.missing, "missing"),
        (report.extra, "extra"),
        (report.different, "different"),
        (report.poison, "undecodable and not dead-lettered"),
        (report.retained, "retained: their record was cleaned away for one that did not count"),
        *(
            [(report.leftover, "left over: old copies in the partitions from before the topic grew")]
            if report.leftover
            else []
        ),
        (report.moving, "moving: they changed all the while"),
        (report.markers, "delete markers standing"),
        *([(report.written, "written by the repair")] if report.written else []),
        *([(report.removed, "removed by the repair")] if report.removed else []),
    ]
    rate = f"seconds, {report.records_per_second:,.0f} records/s"
    return [*((f"{number:,}", text) for number, text in counted), (f"{report.seconds:.1f}", rate)]
