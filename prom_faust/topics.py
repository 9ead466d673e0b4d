"""What is wrong with a topic, judged from plain descriptions. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["TopicSpec", "TopicState", "check_topic", "dead_letter_spec"]

COMPACT = "compact"
_WHY_NOT_BOTH = " (with both, retention removes keys without a tombstone, and no projection can follow)"


DEAD_LETTER_CONFIG = {"retention.ms": "-1", "cleanup.policy": "delete", "max.message.bytes": "67108864"}
"""Dead letters stay until someone decides, and are never refused for being larger than their record."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as the app declares it.

    Attributes:
        name: its name.
        partitions: how many partitions it must have, or None for any number.
        compacted: whether it must be compacted, or None for either.
        config: further topic settings for its creation.
        create: whether it may be created; a topic that is only read may not.
    """

    name: str
    partitions: int | None = None
    compacted: bool | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    create: bool = True

    @property
    def creation_config(self) -> dict[str, str]:
        """Topic settings for its creation."""
        policy = {"cleanup.policy": COMPACT} if self.compacted else {}
        return {**policy, **self.config}


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker describes it.

    Attributes:
        partitions: how many partitions it has.
        cleanup_policy: the value of ``cleanup.policy``.
    """

    partitions: int
    cleanup_policy: str


def check_topic(spec: TopicSpec, state: TopicState) -> Iterable[str]:
    """Every difference between a topic and its declaration, each with what to do."""
    if spec.partitions is not None and state.partitions != spec.partitions:
        yield (
            f"topic {spec.name} has {state.partitions} partitions, the app declares {spec.partitions}: "
            f"declare partitions={state.partitions}, or create a topic of another name"
        )
    wanted = spec.config.get("cleanup.policy", COMPACT if spec.compacted else "delete")
    if spec.compacted is not None and set(state.cleanup_policy.split(",")) != set(wanted.split(",")):
        yield (
            f"topic {spec.name} has cleanup.policy={state.cleanup_policy}, the app declares {wanted}"
            f"{_WHY_NOT_BOTH if spec.compacted and COMPACT in state.cleanup_policy else ''}: run "
            f"kafka-configs --alter --entity-type topics --entity-name {spec.name} "
            f"--add-config cleanup.policy={wanted}, or declare compacted={not spec.compacted}"
        )


def dead_letter_spec(name: str) -> TopicSpec:
    """The declaration of a dead-letter topic; one that exists is taken as it is."""
    return TopicSpec(name, config=DEAD_LETTER_CONFIG)
