"""Which delete markers may go: those that no write of an older record can reach any more. Pure.

A marker must outlive every write that a former owner may still have under way (``keep``), and, because a key's
older records can stand in lower partitions, every record that those held when the delete was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from prom_faust.lane.history import Position

__all__ = ["Observation", "removable_before"]


@dataclass(frozen=True, slots=True)
class Observation:
    """The log ends of the lower partitions at some time at or after the deletes.

    Attributes:
        at: milliseconds since the epoch.
        spans: partition number to (begin, end) of its log.
    """

    at: int
    spans: Mapping[int, tuple[int, int]]


def removable_before(
    observation: Observation, positions: Mapping[int, Position], *, now: int, keep: float
) -> int | None:
    """The time before which a partition's markers may be removed, or None if none may be yet.

    Args:
        observation: of the lower partitions.
        positions: partition number to applied position.
        now: milliseconds since the epoch.
        keep: seconds that a marker stands at least.

    Returns:
        Milliseconds since the epoch.

    Worked example: at 100 s partition 0 ended at offset 70. Once offset 70 is applied, a marker of partition 1
    that was made before 100 s and is older than ``keep`` may go; one made at 101 s waits for another observation.
    """
    for partition, (begin, end) in observation.spans.items():
        position = positions.get(partition)
        if end > begin and (position is None or position.applied < end):
            return None
    return min(observation.at, now - int(keep * 1000))
