"""A batch: records of one or more partitions that are worked on together, and what became of them.

The agent that gets a batch does its work and asks for the next one: that is its promise that everything in the
batch is done. Three exceptions can be said of it on the way: a record can be held (it comes again with the next
batch, and nothing at or after it is committed until then), a record can be rejected (it is dead-lettered), and a
partition can be put back whole.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prom_faust.exceptions import PromFaustError, RecordError, RevokedError
from prom_faust.lane.record import Record, TopicPartition

__all__ = ["Batch", "Share", "Token"]


@dataclass(slots=True, eq=False)
class Token:
    """Ownership of one partition, from its assignment to its revocation.

    Kafka's client has no call that says "I still own this"; the token is that call. It is invalidated when the
    partition is revoked, and checked before and after every write.
    """

    partition: TopicPartition
    valid: bool = True


@dataclass(slots=True)
class Share:
    """One partition's part of a batch.

    Attributes:
        token: ownership at the time the batch was made.
        records: in offset order; held ones of earlier batches first.
        held: offset to reason, said by the agent.
        put_back: why the share is to come again, or None.
        put_back_from: the offset from which on it is to come again; None for all of it.
        pause: seconds until then; None where the lane's ``retry_after`` is right.
        done_to: while the agent works: everything of the partition before this offset is done, and may be
            committed before the batch is. None where it says nothing of it.
        rejected: offset to the error with which a record is dead-lettered, said by the agent.
    """

    token: Token
    records: Sequence[Record]
    held: dict[int, str] = field(default_factory=dict)
    put_back: PromFaustError | None = None
    put_back_from: int | None = None
    pause: float | None = None
    done_to: int | None = None
    rejected: dict[int, RecordError] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget what the agent has said: the share is given to it again."""
        self.held.clear()
        self.rejected.clear()
        self.put_back = self.put_back_from = self.pause = self.done_to = None

    def adopt(self, part: "Share") -> None:
        """Take over what was said of a part of it that was given to the agent by itself."""
        self.held |= part.held
        if part.put_back is not None:
            since = part.records[0].offset if part.put_back_from is None else part.put_back_from
            self.put_back, self.put_back_from, self.pause = part.put_back, since, part.pause


class Batch:
    """Records to be worked on together. Iterating gives them partition by partition, in offset order.

    Args:
        shares: partition to its part.
        held_since: partition and offset to the monotonic time, in seconds, at which a record was first held.
        clock: monotonic seconds.
        leased: whether the group still counts on this process, as far as it can know by itself.
    """

    __slots__ = ("_clock", "_held_since", "_leased", "landing", "shares", "waiting")

    def __init__(
        self,
        shares: Mapping[TopicPartition, Share],
        *,
        held_since: Mapping[tuple[TopicPartition, int], float],
        clock: Callable[[], float],
        leased: Callable[[], bool] = lambda: True,
    ) -> None:
        self.shares = dict(shares)
        self.waiting = False
        """Set while the work waits for a server: a revocation need not wait for it then."""
        self.landing = False
        """Set when partitions are being given back: who works record by record should put back what is left."""
        self._held_since = held_since
        self._clock = clock
        self._leased = leased

    def __iter__(self) -> Iterator[Record]:
        for share in self.shares.values():
            yield from share.records

    def __len__(self) -> int:
        return sum(len(share.records) for share in self.shares.values())

    @property
    def records(self) -> list[Record]:
        """All records, partition by partition, each in offset order."""
        return list(self)

    def check(self) -> None:
        """Check that every partition of this batch is still owned.

        Raises:
            RevokedError: one was revoked: stop, its new owner reads the records again.
        """
        if not self._leased():
            raise RevokedError(
                "nothing was heard of this process for a session: others may own its partitions"
            )
        for partition, share in self.shares.items():
            if not share.token.valid:
                raise RevokedError(f"{partition} was revoked while its batch was in flight")

    def hold(self, record: Record, reason: str) -> None:
        """Let a record come again with the partition's next batch; nothing at or after it is committed till then.

        Args:
            record: a record of this batch.
            reason: shown to operators.
        """
        self.shares[TopicPartition(record.topic, record.partition)].held[record.offset] = reason

    def reject(self, record: Record, reason: str | RecordError) -> None:
        """Let a record go to the dead-letter topic, when the agent asks for the next batch; it is done then.

        Args:
            record: a record of this batch.
            reason: goes with it.
        """
        error = reason if isinstance(reason, RecordError) else RecordError(reason)
        self.shares[TopicPartition(record.topic, record.partition)].rejected[record.offset] = error

    def held_for(self, record: Record) -> float:
        """Seconds since the record was first held; 0.0 if it never was."""
        since = self._held_since.get((TopicPartition(record.topic, record.partition), record.offset))
        return 0.0 if since is None else self._clock() - since

    def put_back(
        self,
        partition: TopicPartition,
        error: PromFaustError,
        *,
        since: int | None = None,
        pause: float | None = None,
    ) -> None:
        """Let the partition's share come again after a pause; the other partitions go on.

        Args:
            partition: one of this batch.
            error: why; shown to operators.
            since: the offset from which on it comes again, what is before it being done; None for all of it.
            pause: seconds; None for the lane's ``retry_after``.
        """
        share = self.shares[partition]
        share.put_back, share.put_back_from, share.pause = error, since, pause
