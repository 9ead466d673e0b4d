"""What the topics carry: JSON objects, each a registered version of a frozen pydantic model.

What is sent is checked against them, whoever sends it and however; what an agent gets is one of them.
"""

from typing import Literal, NewType

from pydantic import BaseModel, ConfigDict, Field

from prom_faust import SchemaRegistry

__all__ = ["Finding", "Heartbeat", "Payload", "ProcessId", "ProcessState", "Silence", "Status", "registry"]

registry = SchemaRegistry()

ProcessId = NewType("ProcessId", str)
"""`host:pid:start time in ms`, the key of every topic here: systems reuse a pid, but not at one instant."""

Status = Literal["alive", "stale"]


class Payload(BaseModel):
    """A record's value."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@registry.schema("heartbeat.received", version=1, compatibility="backward", exclude_none=True)
class Heartbeat(Payload):
    """`heartbeat.received`: a process is alive, and what it uses right now."""

    pid: int = Field(ge=0)
    name: str
    host: str
    cpu_pct: float = Field(ge=0, description="Of one core, since the heartbeat before.")
    mem_mb: float = Field(ge=0, description="Resident memory in MiB.")
    sid: int | None = Field(default=None, description="The id of its session, where that can be read.")


@registry.schema("process.state", version=1, compatibility="backward", exclude_none=True)
class ProcessState(Payload):
    """`process.state`: the last that is known of a process."""

    processId: ProcessId  # noqa: N815 - the name on the wire
    name: str
    host: str
    pid: int
    sid: int | None = None
    cpu_pct: float
    mem_mb: float
    last_seen_ts: int = Field(
        description="When its last heartbeat was sent, in milliseconds since the epoch."
    )
    status: Status


@registry.schema("process.finding", version=1, compatibility="backward")
class Finding(Payload):
    """`process.finding`: a process uses far more or far less than it is used to."""

    processId: ProcessId  # noqa: N815 - the name on the wire
    score: float = Field(ge=0, le=1, description="How far from its habit: 0 is as usual.")
    cpu_pct: float = Field(ge=0, description="What the heartbeat said, as there.")
    mem_mb: float = Field(ge=0, description="What the heartbeat said, as there.")
    at: int = Field(description="When the heartbeat was sent, in milliseconds since the epoch.")
    samples: int = Field(ge=1, description="How many heartbeats of the process the score rests on.")


@registry.schema("process.silent", version=1, compatibility="backward")
class Silence(Payload):
    """`process.silent`: a process has been silent for long, and its tracker should look at it."""

    last_seen_ts: int
