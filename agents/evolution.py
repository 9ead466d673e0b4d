"""How a schema grows: `process.note` gets an optional field in version 2, and version 1 is still read.

`faust -A agents note` sends a note of each version; the agent reads both as version 2. A field that version 1
lacks and version 2 requires would be refused when this module is imported: version 2 could not read old notes.
"""

import logging

from faust.cli import AppCommand
from faust.types import StreamT

from agents.app import PARTITIONS, app, prom
from agents.models import Payload, ProcessId, registry

__all__ = ["Note", "NoteV1", "note", "read_notes"]

logger = logging.getLogger(__name__)


@registry.schema("process.note", version=1)
class NoteV1(Payload):
    """What somebody says of a process."""

    processId: ProcessId  # noqa: N815 - the name on the wire
    text: str


@registry.schema("process.note", version=2, compatibility="backward")
class Note(NoteV1):
    """The same, and who says so, where that is known."""

    author: str | None = None


notes = prom.topic("process.note", partitions=PARTITIONS, key="processId", key_type=str)


@app.agent(notes)
async def read_notes(stream: StreamT[Note]) -> None:
    """Every note is a `Note` here, whatever version it was sent as."""
    async for event in stream.events():
        version = event.headers["x-schema-version"].decode()
        logger.info("v%s: %s says of %s: %s", version, event.value.author, event.key, event.value.text)


@app.command()
async def note(self: AppCommand) -> None:
    """Send a note of version 1 and one of version 2."""
    for sent in (
        NoteV1(processId="box:7:1", text="slow"),
        Note(processId="box:7:1", text="slow", author="ann"),
    ):
        await (await notes.send(value=sent))
        self.say(f"sent {sent!r}")
