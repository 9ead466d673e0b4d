"""Where reading starts, and whether the log is still the one at which it stopped.

Kafka says nothing when a topic was deleted and created again under its name: a committed offset then points at
other records. What was stored beside the data (the applied offset, the last record's timestamp, the log's end)
is compared with the log at every assignment, and while it runs.
"""

from dataclasses import dataclass
from typing import Literal

from prom_faust.exceptions import (
    GroupExpiredError,
    LostHistoryError,
    PartitionCountError,
    TopicRecreatedError,
)
from prom_faust.lane.freshness import Freshness, Synced
from prom_faust.lane.record import TopicPartition

__all__ = [
    "LogState",
    "Position",
    "Reset",
    "check_history",
    "freshness_of",
    "has_grown",
    "start_offset",
]

Reset = Literal["earliest", "latest"]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition's records are applied, as stored beside the data.

    Attributes:
        applied: the next offset to apply.
        end: the log's end when this was stored.
        last_offset: the last applied record's offset, or None before the first.
        last_timestamp: its timestamp in milliseconds.
        partitions: how many partitions the topic had.
        synced: up to where no delete can have been missed; None where an older version stored the position.
        lost_since: since when deletes may have been missed, in ms since the epoch; None while none can have been.
    """

    applied: int
    end: int
    last_offset: int | None = None
    last_timestamp: int | None = None
    partitions: int = 0
    synced: Synced | None = None
    lost_since: int | None = None


@dataclass(frozen=True, slots=True)
class LogState:
    """One partition as the broker shows it now.

    Attributes:
        begin: the log's first offset.
        end: the offset after its last record.
        committed: the group's committed offset, or None.
        partitions: how many partitions the topic has.
        last_timestamp: the timestamp of the record at the stored ``last_offset``; None where the cleaner took it.
        applied: the stored applied offset, or None where nothing is stored.
        at: a time before the broker was asked, in ms since the epoch.
    """

    begin: int
    end: int
    committed: int | None
    partitions: int
    last_timestamp: int | None = None
    applied: int | None = None
    at: int = 0


def check_history(
    partition: TopicPartition,
    log: LogState,
    stored: Position | None,
    *,
    group: str,
    rebuild: str,
    grows: bool = False,
) -> LostHistoryError | None:
    """Compare the log with what was stored.

    Args:
        partition: whose log it is.
        log: what the broker shows.
        stored: what was stored, or None.
        group: the consumer group, for the message.
        rebuild: what an operator should do, for the message.
        grows: whether more partitions keep the order of each key's records.

    Returns:
        The error to stop with, or None.
    """
    if stored is not None and stored.partitions != log.partitions and not (grows and has_grown(log, stored)):
        return PartitionCountError(
            f"topic {partition.topic} had {stored.partitions} partitions and has {log.partitions} now: "
            f"its keys are no longer where they were. {rebuild}"
        )
    recreated = _recreated(log, stored)
    if recreated:
        return TopicRecreatedError(f"{partition} was recreated: {recreated}. {rebuild}")
    # A position at which nothing was applied yet is stored just before the first commit.
    if stored is not None and stored.last_offset is not None and log.committed is None:
        return GroupExpiredError(
            f"{partition} is applied up to offset {stored.applied}, but group {group} has no committed offset: "
            f"the topic was recreated or the group expired. {rebuild}"
        )
    return None


def has_grown(log: LogState, stored: Position | None) -> bool:
    """Whether the topic has more partitions than it had when the position was stored."""
    return stored is not None and log.partitions > stored.partitions


def _recreated(log: LogState, stored: Position | None) -> str | None:
    if log.committed is not None and log.committed > log.end:
        return f"the committed offset {log.committed} lies beyond the log's end {log.end}"
    if stored is None:
        return None
    if stored.applied > log.end:
        return f"the applied offset {stored.applied} lies beyond the log's end {log.end}"
    if log.end < stored.end:
        return f"the log ends at {log.end} and once ended at {stored.end}"
    if (
        None not in {stored.last_timestamp, log.last_timestamp}
        and stored.last_timestamp != log.last_timestamp
    ):
        return (
            f"the record at offset {stored.last_offset} has timestamp {log.last_timestamp}, "
            f"the one applied had {stored.last_timestamp}"
        )
    return None


def freshness_of(log: LogState, stored: Position) -> Freshness:
    """How fresh a partition is that is about to be read from its stored position."""
    if stored.applied >= log.end:
        return Freshness(Synced(log.at, log.end))
    return Freshness(stored.synced or Synced(log.at, stored.applied))


def start_offset(log: LogState, reset: Reset) -> int:
    """Where to start; never before the log's begin.

    What is stored beside the data decides, where it is: after a crash it is ahead of the committed offset, and in a
    database that was restored from a backup behind it. Else the committed offset, else the log's begin or end.
    """
    if log.applied is not None:
        return max(log.applied, log.begin)
    if log.committed is not None:
        return max(log.committed, log.begin)
    return log.begin if reset == "earliest" else log.end
