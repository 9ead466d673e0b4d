"""Are a topic's keys where its routing puts them? Judged from a sample of its records. Pure.

A topic that existed before it was declared may have been written by other rules. Updates of a key would then go
to another partition than its older records, and nothing would say so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prom_faust.routing.hashing import Routing, left_behind

__all__ = [
    "Example",
    "Expectation",
    "Home",
    "Placement",
    "Verdict",
    "judge",
    "leftover_text",
    "mismatch_text",
]

Home = Callable[[bytes, int], int]
"""Key and partition count -> partition."""

EXAMPLES = 3
FEW = 10
"""Fewer misplaced keys than this say nothing: somebody sent them to a partition of his choice."""
TOLERATED = 0.05
"""The share of misplaced keys up to which they are taken for such, even where another rule explains them."""
EXPLAINED = 0.9
"""The share of the misplaced keys from which on it is another rule that put them there."""
MOST = 0.5
"""The share of misplaced keys that no choice of somebody's explains."""
RULES: Mapping[str, str] = {"jump": "jump routing", "kafka": "Kafka's default partitioner"}
REMEDIES: Mapping[str, str] = {
    "jump": 'Declare routing="kafka" if other clients with the default partitioner write it',
    "kafka": 'Declare routing="jump" if only clients with jump routing write it',
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an app says of a topic.

    Attributes:
        topic: its name.
        routing: how its keys find their partition.
    """

    topic: str
    routing: Routing


@dataclass(frozen=True, slots=True)
class Placement:
    """A key that was found in a partition.

    Attributes:
        key: the record key.
        partition: where it was found.
        live: whether its last record there is no tombstone.
    """

    key: bytes
    partition: int
    live: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """One key that is not at home.

    Attributes:
        key: the record key as text.
        partition: where it is.
        home: where it should be.
    """

    key: str
    partition: int
    home: int

    def __str__(self) -> str:
        return f"key {self.key!r} is in partition {self.partition} and should be in {self.home}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sample says.

    Attributes:
        sampled: distinct keys.
        misplaced: those that are where the routing never puts them.
        leftover: those that are where the routing put them when the topic had fewer partitions.
        explained: misplaced keys that are where the other routing puts them.
        examples: the first misplaced keys, by key.
        leftovers: the first of those left over, by key.
    """

    sampled: int
    misplaced: int
    leftover: int
    explained: int = 0
    examples: tuple[Example, ...] = ()
    leftovers: tuple[Example, ...] = ()

    @property
    def share(self) -> float:
        """Misplaced of sampled keys, from 0 to 1."""
        return self.misplaced / self.sampled if self.sampled else 0.0

    @property
    def mismatch(self) -> bool:
        """Whether the topic is written by another rule.

        A worker that does not start for a few odd records would be worse than they are.
        """
        if self.misplaced < FEW or self.share <= TOLERATED:
            return False
        return self.explained >= EXPLAINED * self.misplaced or self.share > MOST


def judge(
    placements: Iterable[Placement], partitions: int, routing: Routing, homes: Mapping[Routing, Home]
) -> Verdict:
    """Compare where keys are with where they should be.

    A topic that has grown still holds a key's older records where it was before.

    Example: with 8 partitions ``host-1`` is at home in 5. Found in 4, where it was among 5 partitions, it is left
    over; found in 3 it is misplaced. If it is found in 4 and in 5 it is left over: its old copy stays.

    Args:
        placements: the sampled records that have a key.
        partitions: how many partitions the topic has.
        routing: what the topic is declared to be.
        homes: where each routing puts a key among so many partitions.
    """
    home, other = homes[routing], homes["kafka" if routing == "jump" else "jump"]
    explained: set[bytes] = set()
    keys: set[bytes] = set()
    misplaced: dict[bytes, Example] = {}
    leftover: dict[bytes, Example] = {}
    for placement in sorted(placements, key=lambda found: (found.key, found.partition)):
        key, partition = placement.key, placement.partition
        keys.add(key)
        right = home(key, partitions)
        if partition == right:
            continue
        example = Example(key.decode(errors="backslashreplace"), partition, right)
        if not _was_home(key, partition, partitions, routing, home):
            misplaced.setdefault(key, example)
            if other(key, partitions) == partition:
                explained.add(key)
        elif placement.live:
            leftover.setdefault(key, example)
    return Verdict(
        sampled=len(keys),
        misplaced=len(misplaced),
        leftover=len(leftover),
        explained=len(explained),
        examples=tuple(misplaced.values())[:EXAMPLES],
        leftovers=tuple(leftover.values())[:EXAMPLES],
    )


def _was_home(key: bytes, partition: int, partitions: int, routing: Routing, home: Home) -> bool:
    """Whether a key was at home there when the topic had fewer partitions."""
    if routing == "jump":
        return left_behind(key, partition, partitions)
    return any(home(key, count) == partition for count in range(partition + 1, partitions))


def mismatch_text(expectation: Expectation, verdict: Verdict) -> str:
    """What is wrong with a topic's routing, and what to do.

    Args:
        expectation: what the app says.
        verdict: what the sample says of that.
    """
    rule = RULES[expectation.routing]
    another = RULES["kafka" if expectation.routing == "jump" else "jump"]
    return (
        f"topic {expectation.topic} is declared with routing={expectation.routing!r}, but {verdict.share:.0%} of "
        f"{verdict.sampled} sampled keys are not where {rule} puts them: {verdict.examples[0]} "
        f"({verdict.explained} of these {verdict.misplaced} are where {another} puts them). "
        f'{REMEDIES[expectation.routing]}; or routing="app" if its senders choose partitions themselves; or produce '
        "the keys again into a new topic"
    )


def leftover_text(topic: str, partitions: int, verdict: Verdict) -> str:
    """What a topic's growth has left behind, and what to do."""
    return (
        f"topic {topic} has grown to {partitions} partitions, and {verdict.leftover} of {verdict.sampled} sampled "
        f"keys still have records where they were before ({verdict.leftovers[0]}). These old copies never go away "
        "by themselves: re-home the moved keys (send each value again, then a tombstone to the old partition)"
    )
