"""What commands share in how they speak: one line for an error, JSON where it is asked for."""

import logging
from datetime import UTC, datetime
from typing import NoReturn

import click
from faust.cli.base import State
from rich.console import Console

__all__ = ["FAILED", "console", "fail", "moment_text", "quiet", "raw_text", "wants_json"]

PIPE_WIDTH = 200
"""Columns where the output goes into a file or a pipe: rich would take 80 and cut."""
FAILED = 2
"""Exit code where nothing can be said or done."""


def console() -> Console:
    """The console of stdout."""
    found = Console()
    if not found.is_terminal:
        found.width = PIPE_WIDTH
    return found


def fail(context: click.Context, message: str) -> NoReturn:
    """Say in one line what is wrong, and end."""
    click.echo(f"error: {' '.join(message.split())}", err=True)
    context.exit(FAILED)


def quiet(context: click.Context) -> None:
    """Let what is wrong be said once, by the command, unless Faust was asked for ``--debug``."""
    if not context.ensure_object(State).debug:
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
        logging.getLogger("prom_faust").setLevel(logging.ERROR)


def wants_json(context: click.Context, *, flag: bool) -> bool:
    """Whether the command or Faust itself was given ``--json``."""
    return flag or bool(context.ensure_object(State).json)


def raw_text(raw: bytes | None) -> str | None:
    """Bytes for people: UTF-8 where they are, the rest escaped."""
    return None if raw is None else raw.decode(errors="backslashreplace")


def moment_text(milliseconds: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC."""
    return (
        datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )
