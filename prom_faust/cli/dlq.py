"""``faust -A APP dlq ...``: see dead letters, replay them, or decide that they are not needed."""

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson
from rich.table import Table
from rich.text import Text

from prom_faust.app import Prom
from prom_faust.cli.outcome import OF_NO_PROJECTION, report
from prom_faust.cli.output import console, fail, moment_text, quiet, raw_text, wants_json
from prom_faust.cli.plugin import prom_of
from prom_faust.cli.progress import progress_bar
from prom_faust.dlq.envelope import DeadLetter, State, dlq_topic
from prom_faust.dlq.filter import Filter, Row
from prom_faust.dlq.fixup import FixUp, load_fix_up
from prom_faust.dlq.ledger import Ledger
from prom_faust.dlq.service import DeadLetters, Trial, discard, replay_letters, resend
from prom_faust.exceptions import ConfigurationError, PromFaustError
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.replay import Outcome, Verdict
from prom_faust.sink.verify.report import Progress

__all__ = ["dlq"]

T = TypeVar("T")

AGES = {"s": 1, "m": 60, "h": 3600, "d": 86400}
NO_COLLECTION = "letters of agents' streams can be applied to no collection: use --to-topic"
NEW_FACT = (
    "these are new records at the end of their topics: for every consumer they are new facts, whatever came after "
    "the originals"
)


class Moment(click.ParamType):
    """A time as ISO 8601 (UTC where it says nothing else), or so long ago: ``90s``, ``15m``, ``2h``, ``3d``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds since the epoch."""
        if isinstance(value, int):
            return value
        if ago := re.fullmatch(r"(\d+)([smhd])", value):
            return int((time.time() - int(ago[1]) * AGES[ago[2]]) * 1000)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time, as 2026-01-31T12:00, 90s, 15m, 2h or 3d", param, ctx)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@click.group(help="Look after records that could not be used, and wait on dead-letter topics.")
def dlq() -> None:
    """Group the commands."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which letters are meant."""

    @click.option("--topic", "topics", multiple=True, help="The records' topic; repeatable. All by default.")
    @click.option("--consumer", help="The consumer group that could not use them.")
    @click.option("--partition", type=click.IntRange(min=0), help="Of the records.")
    @click.option("--offset", type=click.IntRange(min=0), help="Of the record.")
    @click.option("--error", help="A part of the error's class or message.")
    @click.option("--key", help="The record's key, as UTF-8 text.")
    @click.option("--since", type=Moment(), help="Died at or after: 2026-01-31T12:00 (UTC), or 2h (ago).")
    @click.option("--until", type=Moment(), help="Died before.")
    @click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.pass_context
    @wraps(command)
    def filtered(context: click.Context, /, **given: Any) -> None:
        names = ("consumer", "partition", "offset", "error", "since", "until")
        wanted = {name: given.pop(name) for name in names}
        key = given.pop("key")
        which = Filter(**wanted, key=None if key is None else key.encode())
        context.invoke(command, context, which=which, **given)

    return filtered


@dlq.command("list")
@_filters
@click.option(
    "--all", "everything", is_flag=True, help="Also those that were replayed, sent again or discarded."
)
def list_command(
    context: click.Context,
    which: Filter,
    topics: Sequence[str],
    limit: int | None,
    as_json: bool,
    everything: bool,
) -> None:
    """List the dead letters that wait.

    With --json one object a line. Exit code 0: none of those listed waits; 1: some do; 2: it could not be found out.
    """
    as_json = wants_json(context, flag=as_json)
    if everything:
        which = _any_state(which)

    async def run(letters: DeadLetters, _: Progress) -> int:
        count, waiting = letters.choose(which, limit), 0
        table = Table("topic", "offset", "key", "died", "tries", "error", "consumer")
        for row in letters.ledger.rows(which, limit):
            waiting += row.state == State.DEAD.value
            if as_json:
                click.echo(json.dumps(_row_as_json(row)))
            else:
                table.add_row(*_cells(row, everything=everything))
        if not as_json:
            if count:
                console().print(table)
            click.echo(f"{count:,} dead letter{'' if count == 1 else 's'}")
        return waiting

    context.exit(1 if _run(context, topics, run) else 0)


@dlq.command("show")
@click.argument("topic")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
@click.option("--consumer", help="The consumer group, where several could not use it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def show_command(
    context: click.Context, topic: str, partition: int, offset: int, consumer: str | None, as_json: bool
) -> None:
    """Show the dead letter of the record at OFFSET of PARTITION of TOPIC, with its value and its whole story."""
    as_json = wants_json(context, flag=as_json)
    which = _any_state(Filter(partition=partition, offset=offset, consumer=consumer))

    async def run(letters: DeadLetters, _: Progress) -> list[list[DeadLetter]]:
        return [await letters.story(row) for row in list(letters.ledger.rows(which))]

    stories = _run(context, [topic], run)
    if not stories:
        fail(context, f"there is no dead letter of {topic}[{partition}] offset {offset}")
    if as_json:
        click.echo(json.dumps([_story_as_json(story) for story in stories]))
    else:
        for story in stories:
            _print_story(story)


@dlq.command("replay")
@_filters
@click.option(
    "--fix", metavar="MODULE:FUNCTION", help="A function that is given each letter and mends its record."
)
@click.option("--to-topic", is_flag=True, help="Send them to their topics once more, as new records.")
@click.option("--dry-run", is_flag=True, help="Say what would become of them, and change nothing.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Letters per second, at most.")
@click.option(
    "--max-attempts",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="Leave those that were tried so often.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay_command(
    context: click.Context,
    which: Filter,
    topics: Sequence[str],
    limit: int | None,
    as_json: bool,
    fix: str | None,
    to_topic: bool,
    dry_run: bool,
    rate: float | None,
    max_attempts: int,
    yes: bool,
) -> None:
    """Apply dead-lettered records to their collections after all, each at its own position.

    The topic is read from there to its end first: a letter that a later record of its key has overtaken is not
    applied. With --to-topic they are sent to their topics once more instead, as new records. Exit code 0: all
    that was meant is done or overtaken; 1: some letters still wait; 2: it could not be done.
    """
    prom = prom_of(context)
    as_json = wants_json(context, flag=as_json)

    async def run(letters: DeadLetters, progress: Progress) -> Outcome:
        outcome = Outcome()
        trial = Trial(_load(fix) if fix else None, max_attempts, rate, dry_run)
        count = letters.choose(which, limit)
        if not dry_run:
            _confirm(context, count, "Replay", yes=yes)
        if to_topic:
            for topic in _topics(prom, topics):
                await resend(letters, topic, prom.gate, trial, outcome, progress)
        else:
            for projection in prom.projections.values():
                await replay_letters(letters, projection, trial, outcome, progress)
        _count_others(outcome, count)
        return outcome

    outcome = _run(context, topics, run)
    notes = {Verdict.SENT.value: NEW_FACT, OF_NO_PROJECTION: NO_COLLECTION}
    note = "; ".join(text for verdict, text in notes.items() if outcome.counts[verdict]) or None
    report(context, outcome, as_json=as_json, note=note)


@dlq.command("discard")
@_filters
@click.option("--dry-run", is_flag=True, help="Say how many there are, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def discard_command(
    context: click.Context,
    which: Filter,
    topics: Sequence[str],
    limit: int | None,
    as_json: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Record that dead letters are not needed. They stay on their topic, and are not listed any more."""
    prom = prom_of(context)
    as_json = wants_json(context, flag=as_json)

    async def run(letters: DeadLetters, progress: Progress) -> Outcome:
        outcome = Outcome()
        count = letters.choose(which, limit)
        if dry_run:
            outcome.counts[Verdict.DISCARDED.value] = count
            return outcome
        _confirm(context, count, "Discard", yes=yes)
        for topic in _topics(prom, topics):
            await discard(letters, topic, outcome, progress)
        return outcome

    report(context, _run(context, topics, run), as_json=as_json)


# -- running ---------------------------------------------------------------------------------------------------


def _run(
    context: click.Context, topics: Sequence[str], command: Callable[[DeadLetters, Progress], Awaitable[T]]
) -> T:
    """Read the letters and run a command on them; what is wrong becomes one line and exit code 2."""
    quiet(context)

    async def run(prom: Prom) -> T:
        with Ledger() as ledger, progress_bar() as progress:
            try:
                async with LogReader(prom.clients) as log:
                    await _check_topics(prom, log, topics)
                    letters = DeadLetters(prom.clients, log, ledger)
                    await letters.read(_topics(prom, topics), progress)
                    return await command(letters, progress)
            finally:
                await prom.close_database()

    try:
        return asyncio.run(run(prom_of(context)))
    except PromFaustError as error:
        fail(context, str(error))


def _load(fix: str) -> FixUp:
    """The fix-up function: a module beside the app's is found as the app was."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    return load_fix_up(fix)


def _topics(prom: Prom, named: Sequence[str]) -> list[str]:
    """The topics that were named, or all of the app's."""
    return sorted(named) or prom.source_topics()


async def _check_topics(prom: Prom, log: LogReader, named: Sequence[str]) -> None:
    """Refuse a topic that is neither the app's nor has letters: a slip of the pen is no all-clear."""
    known = prom.source_topics()
    for topic in named:
        if topic not in known and not await log.partitions(dlq_topic(topic)):
            raise ConfigurationError(
                f"there is no topic {dlq_topic(topic)}; the app's topics are {', '.join(known)}"
            )


def _any_state(which: Filter) -> Filter:
    return which.of(frozenset(state.value for state in State))


def _confirm(context: click.Context, count: int, what: str, *, yes: bool) -> None:
    if yes or not count:
        return
    if not sys.stdin.isatty():
        fail(context, f"this is about {count} dead letters: say --yes, or --dry-run, or run it in a terminal")
    click.confirm(f"{what} {count} dead letters?", abort=True, err=True)


def _count_others(outcome: Outcome, count: int) -> None:
    """Letters of consumers that are no projections: of agents' streams, and of projections that are gone."""
    others = count - sum(outcome.counts.values())
    if others > 0:
        outcome.counts[OF_NO_PROJECTION] += others


# -- printing --------------------------------------------------------------------------------------------------


def _cells(row: Row, *, everything: bool) -> list[Text]:
    state = f" ({row.state})" if everything else ""
    return [
        Text(f"{row.topic}[{row.partition}]"),
        Text(str(row.offset)),
        Text(raw_text(row.key) or ""),
        Text(moment_text(row.died_at)),
        Text(str(row.attempts)),
        Text(f"{row.error_class.rpartition('.')[2]}: {row.message}{state}", overflow="fold"),
        Text(row.consumer),
    ]


def _print_story(story: Sequence[DeadLetter]) -> None:
    letter = story[-1]
    record, out = letter.record, console()
    figures = Table(show_header=False, box=None)
    for name, value in (
        (
            "record",
            f"{record.topic}[{record.partition}] offset {record.offset}, {moment_text(record.timestamp)}",
        ),
        ("key", raw_text(record.key) or ""),
        ("consumer", letter.consumer),
        ("state", letter.state.value + (", redacted" if letter.redacted else "")),
        ("error", f"{letter.error_class}: {letter.message}"),
        ("tries", str(letter.attempts)),
        ("died", moment_text(letter.died_at)),
        *((f"header {name}", raw_text(value) or "") for name, value in record.headers),
        ("story", " -> ".join(one.state.value for one in story)),
    ):
        figures.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    out.print(figures)
    click.echo(_pretty(record.value))


def _pretty(value: bytes | None) -> str:
    if value is None:
        return "null (a tombstone)"
    try:
        return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return raw_text(value) or ""


def _name(letter: DeadLetter | Row) -> dict[str, Any]:
    record = letter.record if isinstance(letter, DeadLetter) else letter
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": raw_text(record.key),
        "consumer": letter.consumer,
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        **_name(row),
        "state": row.state,
        "error": row.error_class,
        "message": row.message,
        "attempts": row.attempts,
        "died_at": row.died_at,
        "redacted": bool(row.redacted),
    }


def _story_as_json(story: Sequence[DeadLetter]) -> dict[str, Any]:
    letter = story[-1]
    return {
        **_name(letter),
        "state": letter.state.value,
        "error": letter.error_class,
        "message": letter.message,
        "attempts": letter.attempts,
        "died_at": letter.died_at,
        "redacted": letter.redacted,
        "timestamp": letter.record.timestamp,
        "value": raw_text(letter.record.value),
        "headers": [[name, raw_text(value)] for name, value in letter.record.headers],
        "story": [one.state.value for one in story],
    }
