"""``faust -A APP replay TOPIC --into NAME``: warm a collection from a snapshot of its topic."""

import asyncio

import click

from prom_faust.cli.outcome import report
from prom_faust.cli.output import fail, quiet, wants_json
from prom_faust.cli.plugin import prom_of
from prom_faust.cli.progress import progress_bar
from prom_faust.exceptions import PromFaustError
from prom_faust.sink.faust import Projection
from prom_faust.sink.replay import Outcome
from prom_faust.sink.snapshot import replay_snapshot

__all__ = ["replay"]


@click.command("replay")
@click.argument("topic")
@click.option("--into", "name", required=True, metavar="NAME", help="The collection.")
@click.option("--dry-run", is_flag=True, help="Say what would become of the records, and change nothing.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Records per second, at most.")
@click.option(
    "--yes", is_flag=True, expose_value=False, help="For scripts that say it everywhere: nothing is asked."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def replay(
    context: click.Context, topic: str, name: str, dry_run: bool, rate: float | None, as_json: bool
) -> None:
    """Apply the snapshot TOPIC, as ``sink snapshot`` has written it, to a collection.

    Every record is applied at its original position, after a look at all that came behind it: while live traffic
    goes on, nothing is set back, and nothing that was deleted comes back. Exit code 0: all is applied or overtaken;
    1: some records were refused; 2: it could not be done.
    """
    quiet(context)
    outcome = Outcome()

    async def run(projection: Projection) -> None:
        with progress_bar() as progress:
            try:
                await replay_snapshot(
                    projection, topic, outcome, rate=rate, dry_run=dry_run, progress=progress
                )
            finally:
                await prom.close_database()

    try:
        prom = prom_of(context)
        asyncio.run(run(prom.projection(name)))
    except PromFaustError as error:
        fail(context, str(error))
    report(context, outcome, as_json=wants_json(context, flag=as_json))
