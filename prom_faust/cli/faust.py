"""Commands under ``faust -A APP``: where they are hung in."""

from faust.cli.base import cli

from prom_faust.app import Prom
from prom_faust.cli.plugin import remember

__all__ = ["register_commands"]


def register_commands(prom: Prom) -> None:
    """Let the app know its plugin, and add the plugin's commands to Faust's. Any number of apps may do so."""
    # Here, or importing the plugin without running a command would import what commands print with.
    from prom_faust.cli.assign import assign  # noqa: PLC0415
    from prom_faust.cli.dlq import dlq  # noqa: PLC0415
    from prom_faust.cli.replay import replay  # noqa: PLC0415
    from prom_faust.cli.sink import sink  # noqa: PLC0415

    remember(prom)
    cli.add_command(assign)
    cli.add_command(dlq)
    cli.add_command(replay)
    cli.add_command(sink)
