"""What members and leader tell each other inside Kafka's group protocol. Pure.

A member's subscription carries who it is, because Kafka gives it another member id at every start, and the leader
sees ids only. The leader's answer carries what Kafka has no field for: standbys, who else is in the group, and why
somebody gets nothing. Both are frames: a magic number, which is the format's version, and compressed JSON.
"""

import zlib
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

__all__ = ["Decision", "Identity", "decode_decision", "decode_identity", "encode"]

MAGIC: Final = b"PF\x01"

Topics = dict[str, tuple[int, ...]]
T = TypeVar("T")


@validated(frozen=True, slots=True)
class Identity:
    """Who a member is.

    Attributes:
        name: its stable name; a restart keeps it.
        weight: its share, in proportion to the others'.
        started: when its process started, in milliseconds since the epoch.
        process: a random id of its process: two members with one name that differ here are two workers.
        url: where its web pages are; empty if it has none.
    """

    name: str
    weight: float = 1.0
    started: int = 0
    process: str = ""
    url: str = ""


@validated(frozen=True, slots=True)
class Decision:
    """What the leader decided for one member.

    Attributes:
        active: topic to the partitions that it owns.
        standby: topic to the partitions of which it keeps a copy.
        members: the names of the group's members.
        refused: why it gets nothing; None for every member that takes part.
        extra: what an adapter adds, as JSON.
    """

    active: Topics
    standby: Topics
    members: tuple[str, ...]
    refused: str | None = None
    extra: Any = None


@dataclass(frozen=True, slots=True)
class _Codec:
    adapter: TypeAdapter[Any]

    def decode(self, frame: bytes | None) -> Any:
        if not frame or not frame.startswith(MAGIC):
            return None
        try:
            return self.adapter.validate_json(zlib.decompress(frame[len(MAGIC) :]))
        except (zlib.error, ValidationError):
            return None


_IDENTITY = _Codec(TypeAdapter(Identity))
_DECISION = _Codec(TypeAdapter(Decision))


def encode(value: Identity | Decision) -> bytes:
    """A frame."""
    codec = _IDENTITY if isinstance(value, Identity) else _DECISION
    return MAGIC + zlib.compress(codec.adapter.dump_json(value))


def decode_identity(frame: bytes | None) -> Identity | None:
    """Who sent it, or None where the frame is not one of ours."""
    found: Identity | None = _IDENTITY.decode(frame)
    return found


def decode_decision(frame: bytes | None) -> Decision | None:
    """What was decided, or None where the frame is not one of ours."""
    found: Decision | None = _DECISION.decode(frame)
    return found
