"""`faust -A agents refused`: sends that the schema refuses, and what their senders get to read."""

import math
from collections.abc import Mapping
from typing import Any

from faust.cli import AppCommand

from agents.app import app, heartbeats
from agents.models import Heartbeat, ProcessId
from prom_faust import PayloadInvalidError

__all__ = ["ATTEMPTS", "refused"]

KEY = ProcessId("box:7:1")
GOOD: Mapping[str, Any] = {"pid": 7, "name": "sleep", "host": "box", "cpu_pct": 1.5, "mem_mb": 2.0}
ATTEMPTS: Mapping[str, Any] = {
    "no name": {name: value for name, value in GOOD.items() if name != "name"},
    "text for a number, in bytes": b'{"pid":"7","name":"sleep","host":"box","cpu_pct":1.5,"mem_mb":2}',
    "a field that nobody knows": {**GOOD, "colour": "red"},
    "not a number": {**GOOD, "cpu_pct": math.nan},
    "a model that was never validated": Heartbeat.model_construct(**{**GOOD, "mem_mb": "much"}),
    "a deletion, where nothing is kept": {"_deleted": True},
}


@app.command()
async def refused(self: AppCommand) -> None:
    """Try to send what is no heartbeat, and show why it is refused; nothing of it is produced."""
    for what, value in ATTEMPTS.items():
        try:
            await heartbeats.send(key=KEY, value=value)
        except PayloadInvalidError as error:
            self.say(f"{what}: {error}")
        else:
            raise self.UsageError(f"{what} was sent")
