"""A record of a snapshot: a record of its topic, and behind its own headers where it stood. Pure."""

from collections.abc import Sequence

from prom_faust.exceptions import DecodeError
from prom_faust.lane.record import PlainRecord, Record

__all__ = ["decode", "encode", "snapshot_topic", "taken_at"]

PREFIX = "x-source-"
TAKEN_AT = "x-snapshot-at"

Headers = Sequence[tuple[str, bytes | None]]


def snapshot_topic(topic: str) -> str:
    """The snapshot topic of a topic, unless another is named."""
    return f"{topic}.snapshot"


def encode(record: Record, at: int) -> Headers:
    """All headers of a record's copy.

    Args:
        record: the record on its own topic.
        at: milliseconds since the epoch at which the reading of its topic began.
    """
    source = {
        "headers": len(record.headers),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
    }
    ours = [(f"{PREFIX}{name}", str(value).encode()) for name, value in source.items()]
    return [*record.headers, *ours, (TAKEN_AT, b"%d" % at)]


def decode(copy: Record) -> PlainRecord:
    """The record as it stands on its own topic.

    Raises:
        DecodeError: the copy does not say where that is.
    """
    found = {name.removeprefix(PREFIX): value for name, value in copy.headers if name.startswith(PREFIX)}
    try:
        text = {name: (value or b"").decode() for name, value in found.items()}
        return PlainRecord(
            text["topic"],
            int(text["partition"]),
            int(text["offset"]),
            int(text["timestamp"]),
            copy.key,
            copy.value,
            tuple((name, value) for name, value in copy.headers[: int(text["headers"])]),
        )
    except (KeyError, ValueError) as error:
        raise DecodeError(
            f"offset {copy.offset} of {copy.topic} is no record of a snapshot: its headers do not say where it "
            "stood (x-source-topic, -partition, -offset)"
        ) from error


def taken_at(copy: Record) -> int:
    """Milliseconds since the epoch at which the reading of its topic began.

    Raises:
        DecodeError: the copy does not say it.
    """
    for name, value in reversed(copy.headers):
        if name == TAKEN_AT and value is not None and value.isdigit():
            return int(value)
    raise DecodeError(
        f"offset {copy.offset} of {copy.topic} does not say when its snapshot was taken ({TAKEN_AT})"
    )
