"""`prom-faust local`: start, stop and look at the local Kafka broker and MongoDB-wire server."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from prom_faust.local import ServerStatus, Stack, StackStatus
from prom_faust.local.progress import Progress

__all__ = ["local"]

_PORT = click.IntRange(1, 65535)


@click.group()
def local() -> None:
    """A real Kafka broker and a MongoDB-wire server on 127.0.0.1, without Docker.

    For development and tests. Data and logs are kept in the user's cache folder, or in the folder
    that PROM_FAUST_HOME names.
    """


@local.command()
@click.option("--kafka-port", type=_PORT, help="Kafka's port; it is an error when it is taken.")
@click.option("--mongo-port", type=_PORT, help="MongoDB's port; it is an error when it is taken.")
@click.option("--reset", is_flag=True, help="Stop both first and delete their data.")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def up(kafka_port: int | None, mongo_port: int | None, reset: bool, as_json: bool) -> None:
    """Start both servers, wait until they answer, and leave them running.

    What runs already is left alone. Taken default ports are replaced by free ones.
    """
    stack = Stack()
    before = None if reset else stack.status()
    with _progress() as progress:
        after = stack.up(progress, kafka_port=kafka_port, mongo_port=mongo_port, reset=reset)
    if not as_json and before is not None and before.running:
        click.echo("already running")
    _show(after, as_json=as_json)


@local.command()
@click.option("--reset", is_flag=True, help="Delete the data as well.")
def down(reset: bool) -> None:
    """Stop both servers; only processes that `up` started are touched."""
    with _progress() as progress:
        Stack().down(progress, reset=reset)
    click.echo("stopped, and the data is deleted" if reset else "stopped")


@local.command()
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def status(as_json: bool) -> None:
    """Tell whether both servers run: exit code 0 when they do, else 1."""
    state = Stack().status()
    _show(state, as_json=as_json)
    sys.exit(0 if state.running else 1)


def _show(state: StackStatus, *, as_json: bool) -> None:
    if as_json:
        click.echo(state.model_dump_json(indent=2))
        return
    click.echo(_line("Kafka", state.kafka))
    click.echo(_line("MongoDB", state.mongo))


def _line(title: str, server: ServerStatus) -> str:
    if server.running:
        return f"{title:<8} {server.url}  (pid {server.pid}, log {server.log})"
    return f"{title:<8} not running"


@contextmanager
def _progress() -> Iterator[Progress]:
    """Draw the current step on a terminal; print one line per step elsewhere. Both go to stderr."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda step: console.print(step, markup=False, soft_wrap=True)
        return
    with console.status("") as spinner:
        yield spinner.update
