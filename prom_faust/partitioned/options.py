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
LONGEST_NAME = 249
LONGEST_SECONDS = 24 * 60 * 60.0
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


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_time(value: object) -> bool:
    """Whether it is a number of seconds that a broker can take."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_SECONDS


def _is_hook(value: object) -> bool:
    return value is None or callable(value)


FAULTS: dict[str, Callable[[PartitionedOptions], bool]] = {
    "group= must be a name": lambda options: not _is_name(options.group),
    "member_id= must be a name, or None for the worker's": lambda options: (
        not (options.member_id is None or _is_name(options.member_id))
    ),
    "partitions= must be a whole number of at least 1": lambda options: (
        not (options.partitions is None or _is_count(options.partitions))
    ),
    "key_of= must be the name of a field or a function": lambda options: (
        not (options.key_of is None or _is_name(options.key_of) or callable(options.key_of))
    ),
    "ttl= must be a number of seconds above 0 and up to a day": lambda options: not _is_time(options.ttl),
    "rebalance_every= must be a number of seconds above 0": lambda options: (
        not _is_time(options.rebalance_every)
    ),
    "ttl= must be more than rebalance_every=": lambda options: (
        _is_time(options.ttl) and _is_time(options.rebalance_every) and options.ttl <= options.rebalance_every
    ),
    "on_assigned= must be a function": lambda options: not _is_hook(options.on_assigned),
    "on_revoked= must be a function": lambda options: not _is_hook(options.on_revoked),
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
