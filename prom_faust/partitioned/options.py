"""How a partitioned consumer reads: its options, checked, as plain values. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from prom_faust.assignment.handover import Hook
from prom_faust.exceptions import ConfigurationError
from prom_faust.routing.key import KeyOf
from prom_faust.topics import TopicSpec

__all__ = ["PartitionedOptions", "repartition_spec"]

TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What Kafka takes for a topic's name."""
RETENTION_MS = str(7 * 24 * 60 * 60 * 1000)
REPARTITION_CONFIG = {
    "cleanup.policy": "delete",
    "retention.ms": RETENTION_MS,
    "max.message.bytes": "67108864",  # a record gets headers on its way, and must not fail for it
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionedOptions:
    """How a partitioned consumer reads.

    Args:
        topic: the topic.
        group: the consumer group.
        partitions: how many logical partitions there are; None for those of the topic.
        member_id: this member's stable name in the group; the worker's by default.
        key_of: where a payload carries the key that chooses the logical partition; None for the record key.
        ttl: seconds after which the group takes a silent member for dead: its session timeout.
        rebalance_every: seconds between two heartbeats, and so until a member hears of a rebalance.
        on_assigned: is called with the logical partitions that this member gets.
        on_revoked: is called with those that it gives back.

    Raises:
        ConfigurationError: one of them cannot be.
    """

    topic: str
    group: str
    partitions: int | None = None
    member_id: str | None = None
    key_of: KeyOf | None = None
    ttl: float = 15.0
    rebalance_every: float = 3.0
    on_assigned: Hook | None = None
    on_revoked: Hook | None = None

    def __post_init__(self) -> None:
        faults = [text for text, wrong in FAULTS.items() if wrong(self)]
        if faults:
            raise ConfigurationError(f"partitioned consumer of {self.topic}: {'; '.join(faults)}")


FAULTS: dict[str, Callable[[PartitionedOptions], bool]] = {
    "group= must be a name": lambda options: not options.group,
    "member_id= must be a name, or None for the worker's": lambda options: options.member_id == "",
    "partitions= must be at least 1": lambda options: (
        options.partitions is not None and options.partitions < 1
    ),
    "rebalance_every= must be more than 0 s, and less than ttl=": lambda options: (
        not 0 < options.rebalance_every < options.ttl
    ),
}


def repartition_spec(app: str, options: PartitionedOptions) -> TopicSpec:
    """The internal topic through which records come to their logical partitions.

    Raises:
        ConfigurationError: the names make no topic name.
    """
    name = f"{app}-{options.group}-{options.topic}-{options.partitions}-repartition"
    if TOPIC_NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"the group {options.group} reads {options.topic} through an internal topic {name}, and Kafka takes "
            "letters, digits, dots, dashes and underscores, 249 of them, for a topic's name: give another group="
        )
    return TopicSpec(name, options.partitions, compacted=False, config=REPARTITION_CONFIG)
