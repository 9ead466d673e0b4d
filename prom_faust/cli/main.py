"""The `prom-faust` command: finds the subcommand, and turns our errors into one line and an exit code."""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from prom_faust.exceptions import PromFaustError

__all__ = ["main"]

_COMMANDS = {"local": "prom_faust.cli.local:local", "new": "prom_faust.cli.new:new"}
"""Where each subcommand is; a module is imported when its command is asked for, not before."""


class _Commands(click.Group):
    """The subcommands of `_COMMANDS`, so that one with a missing extra does not break the others."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[name].partition(":")
        command = getattr(import_module(module), attribute)
        return command if isinstance(command, click.Command) else None


@click.group(cls=_Commands)
@click.version_option(package_name="prom-faust")
def prom_faust() -> None:
    """Tools for Faust apps that use prom_faust."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 when it did what was asked, 1 when it could not, 2 on wrong usage."""
    try:
        prom_faust.main(args=arguments, prog_name="prom-faust")
    except (PromFaustError, OSError) as error:
        click.echo(f"prom-faust: {error}", err=True)
        sys.exit(1)
