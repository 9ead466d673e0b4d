"""One batch on its way through the sink: what of it is cut off and comes again, and how often writes were tried."""

import math
from dataclasses import dataclass, field

from prom_faust.exceptions import PromFaustError
from prom_faust.lane.batch import Batch, Share
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.sink.event import Change
from prom_faust.sink.plan import KeyPlan

__all__ = ["Work"]


@dataclass(slots=True)
class Work:
    """One batch while it is worked on.

    Attributes:
        batch: the batch.
        cuts: partition to the offset from which on it comes again, and why.
        attempts: a record's packed position to how often its write failed for an unlisted reason.
        renewed: the packed positions of tombstones whose markers were written once more.
        writes: documents and markers written so far.
    """

    batch: Batch
    cuts: dict[TopicPartition, tuple[int, PromFaustError]] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    renewed: set[int] = field(default_factory=set)
    writes: int = 0

    def has(self, record: Record) -> bool:
        """Whether the record is one to be done with now."""
        return not self.cuts or record.offset < self.cut(TopicPartition(record.topic, record.partition))

    def cut(self, partition: TopicPartition) -> float:
        """The offset from which on a partition's records come again; infinite where all are done."""
        return self.cuts[partition][0] if partition in self.cuts else math.inf

    def cut_off(self, record: Record, error: PromFaustError) -> None:
        """Let the record's partition come again from there."""
        partition = TopicPartition(record.topic, record.partition)
        if record.offset < self.cut(partition):
            self.cuts[partition] = record.offset, error

    def without(self, plan: KeyPlan, change: Change) -> KeyPlan:
        """What is left of a key's plan when one of its changes is bad."""
        return KeyPlan(plan.key, [each for each in plan.without(change).changes if self.has(each.record)])

    def done(self, partition: TopicPartition, share: Share) -> int:
        """How many of a partition's records are done, and do not come again."""
        if not share.held and partition not in self.cuts:
            return len(share.records)
        end = self.cut(partition)
        return sum(each.offset < end and each.offset not in share.held for each in share.records)
