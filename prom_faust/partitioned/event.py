"""What a partitioned consumer's handler gets. Pure."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from prom_faust.lane.record import TopicPartition

__all__ = ["Handler", "PartitionedEvent"]


@dataclass(frozen=True, slots=True)
class PartitionedEvent:
    """One record.

    Attributes:
        key: what its partition was chosen by: what ``key_of`` gave, else the record key as text, else
            ``topic:partition:offset``.
        value: the topic's model, where its schema has one, else plain JSON values.
        partition: the logical partition, which one member of the group owns.
        headers: the record's headers; of several with one name the last.
        timestamp: the record's timestamp, in milliseconds since the epoch.
        source: the Kafka partition that the record was sent to.
        offset: its offset there.
    """

    key: str
    value: Any
    partition: int
    headers: dict[str, bytes]
    timestamp: int
    source: TopicPartition
    offset: int


Handler = Callable[[PartitionedEvent], Awaitable[Any] | Any]
"""``async def handler(event: PartitionedEvent) -> None``."""
