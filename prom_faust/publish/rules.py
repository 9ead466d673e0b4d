"""What the app says of each topic: compaction, routing and where the key is. Pure."""

from dataclasses import dataclass, field

from prom_faust.routing.hashing import Routing
from prom_faust.routing.key import KeyOf

__all__ = ["Rules", "TopicRules"]


@dataclass(frozen=True, slots=True)
class TopicRules:
    """The rules of one declared topic.

    Attributes:
        topic: its name.
        partitions: how many partitions it is declared with.
        compacted: whether it is compacted.
        routing: how keys find their partition.
        key: where a payload carries its key, or None.
    """

    topic: str
    partitions: int
    compacted: bool = False
    routing: Routing | None = "jump"
    key: KeyOf | None = None


@dataclass(slots=True)
class Rules:
    """The rules of an app, by topic.

    Args:
        internal: the routing of the app's repartition and changelog topics; None leaves it to the app.
    """

    internal: Routing | None = "jump"
    _declared: dict[str, TopicRules] = field(default_factory=dict)
    _compacted: set[str] = field(default_factory=set)
    _internal: set[str] = field(default_factory=set)
    _sources: dict[str, str] = field(default_factory=dict)

    def declare(self, rules: TopicRules) -> None:
        """Add a topic."""
        self._declared[rules.topic] = rules
        if rules.compacted:
            self._compacted.add(rules.topic)

    def note(self, topic: str, *, compacted: bool, internal: bool) -> None:
        """Remember what the app says of a topic that is not declared, such as a changelog."""
        if compacted:
            self._compacted.add(topic)
        if internal:
            self._internal.add(topic)

    def follow(self, changelog: str, source: str) -> None:
        """Remember that a table is written from a topic: its changelog has the same keys in the same partitions."""
        self._sources[changelog] = source

    def find(self, topic: str) -> TopicRules | None:
        """The rules of a declared topic."""
        return self._declared.get(topic)

    def source_of(self, changelog: str) -> str | None:
        """The topic that a table is written from, where that is known."""
        return self._sources.get(changelog)

    def is_compacted(self, topic: str) -> bool:
        """Whether a topic is known to be compacted."""
        return topic in self._compacted

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic is declared with."""
        rules = self._declared.get(self._sources.get(topic, topic))
        return rules.partitions if rules else None

    def routing(self, topic: str) -> Routing | None:
        """How a topic's keys find their partition; None where that is the app's own partitioner's business."""
        topic = self._sources.get(topic, topic)
        rules = self._declared.get(topic)
        if rules is not None:
            return rules.routing
        return self.internal if topic in self._internal else None
