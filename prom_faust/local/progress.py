"""What the local stack tells while it works: one short line per step.

A step may take seconds (a download, a server's start), so whoever waits wants to know which one
it is. How the lines are shown is the caller's matter: `prom_faust.cli` draws them, tests drop them.
"""

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str], None]
"""Called with a line that says what happens from now on."""


def silent(_step: str) -> None:
    """Show nothing."""
