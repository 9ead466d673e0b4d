"""How a command finds the plugin of its app.

Faust's command line is one click group for the whole process, so nothing of an app may be kept there: a
command asks the app that ``-A`` names, and the plugin is found on it.
"""

from typing import cast

import click
from faust.cli.base import State, find_app

from prom_faust.app import Prom
from prom_faust.exceptions import ConfigurationError

__all__ = ["prom_of", "remember"]

ATTRIBUTE = "prom"
"""The attribute of the Faust app that holds its plugin."""


def remember(prom: Prom) -> None:
    """Let the app know its plugin."""
    setattr(prom.app, ATTRIBUTE, prom)


def prom_of(context: click.Context) -> Prom:
    """The plugin of the app that ``-A`` names, or that ``app.main()`` was called on.

    Raises:
        click.UsageError: no app is named.
        ConfigurationError: the app has no plugin.
    """
    app = getattr(context.find_root(), "app", None)
    if app is not None:
        app.finalize()
    else:
        name = context.ensure_object(State).app
        if not name:
            raise click.UsageError("Need to specify app using -A parameter")
        app = find_app(name)
    if not hasattr(app, ATTRIBUTE):
        raise ConfigurationError(
            f"app {app.conf.id} has no plugin: call prom_faust.install(app) in its module"
        )
    return cast(Prom, getattr(app, ATTRIBUTE))
