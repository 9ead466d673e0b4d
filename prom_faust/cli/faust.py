"""Commands under ``faust -A APP``: parse, call, print."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prom_faust.app import Prom

__all__ = ["register_commands"]


def register_commands(prom: "Prom") -> None:
    """Add the plugin's commands to those of the app."""
