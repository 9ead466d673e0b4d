"""What a worker tells the others of itself, through the topic ``_prom_status``. Pure.

Every worker writes its status again and again under a key of its own, and reads those of all others, so that any
of them can show the whole app. The topic is compacted: what counts is the last status of every worker.
"""

from collections.abc import Iterable
from dataclasses import field
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from prom_faust.assignment.history import Rebalance
from prom_faust.topics import TopicSpec

__all__ = [
    "NAMED",
    "TOPIC",
    "GroupStatus",
    "RebalanceStatus",
    "SinkPartition",
    "SinkStatus",
    "Topics",
    "WorkerStatus",
    "decode",
    "encode",
    "in_order",
    "key_of",
    "rebalance_status",
    "status_spec",
    "worker_of",
]

TOPIC: Final = "_prom_status"
NAMED: Final = 12
"""So many moved partitions are named; of the others it is said how many there are."""
INTERNAL: Final = ("-changelog", "-__assignor-__leader")
"""How the names of topics end that Faust makes by itself."""

Int = Annotated[int, Field(ge=-(2**53), le=2**53)]
"""Anybody can write to the topic, and a larger one is no number to others that read JSON (RFC 8259, 6)."""
Float = Annotated[float, Field(allow_inf_nan=False)]
Topics = dict[str, tuple[Int, ...]]


@dataclass(frozen=True, slots=True)
class RebalanceStatus:
    """One rebalance, as one member saw it.

    Attributes:
        at: when it began, in seconds since the epoch.
        seconds: how long the member had nothing; None where nothing was revoked before.
        generation: the group's generation since then.
        reason: why, in plain words.
        gained: how many partitions the member got.
        lost: how many it gave up.
        moved: the names of the first of both.
        ended: when it ended, in seconds since the epoch; None where that is not known.
        size: how many members the group has since then; 0 where that is not known.
    """

    at: Float
    seconds: Float | None
    generation: Int
    reason: str
    gained: Int = 0
    lost: Int = 0
    moved: tuple[str, ...] = ()
    ended: Float | None = None
    size: Int = 0


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """A worker in one consumer group.

    Attributes:
        group: the group's id.
        what: what the worker does in it: ``streams`` (Faust's agents), ``sink``, ``batches``,
            ``events`` or ``partitioned``.
        name: whom the partitions are for: the app, or an agent.
        member: the worker's name in it.
        protocol: what the group assigns by; empty where that is not known.
        generation: the group's generation as the worker last heard of it; -1 before it is a member.
        active: topic to the partitions that it owns.
        standby: topic to the partitions of which it keeps a copy.
        rebalancing: whether it has nothing at the moment, because the group is sharing out anew.
        recovering: whether it is still reading the tables of its partitions.
        rebalances: the last ones, the newest last.
        member_id: the id that Kafka has given it; empty while it has none.
    """

    group: str
    what: str
    name: str
    member: str
    protocol: str = ""
    generation: Int = -1
    active: Topics = field(default_factory=dict)
    standby: Topics = field(default_factory=dict)
    rebalancing: bool = False
    recovering: bool = False
    rebalances: tuple[RebalanceStatus, ...] = ()
    member_id: str = ""


@dataclass(frozen=True, slots=True)
class SinkPartition:
    """A partition that is read by a lane.

    Attributes:
        partition: its number.
        done: everything before this offset is done.
        end: the log's end as last seen; None before the first look.
        lag: records that are still to be done.
        held: records that wait, and come again with the next batch.
        problem: why it does not go on; None while it does.
        may_hold_deleted: whether deletes may have been missed, and the keys have not been read again yet.
        oldest: the timestamp of the first record that is read and not done, in ms since the epoch; None without one.
    """

    partition: Int
    done: Int
    end: Int | None
    lag: Int
    held: Int = 0
    problem: str | None = None
    may_hold_deleted: bool = False
    oldest: Int | None = None


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """A lane: a projection, a batch agent, an event agent, or a partitioned consumer.

    Attributes:
        name: the collection, or the agent.
        what: ``projection``, ``batches``, ``events`` or ``partitioned``.
        topic: what it reads.
        group: its consumer group.
        partitions: those that the worker owns.
        unstarted: how many it has been assigned beside them, and does not read yet.
        in_flight: batches that are worked on right now.
        buffered: records that are read ahead.
        waiting: what it waits for, such as a server that is away; None while it does not.
        stopped: why it will not go on by itself; None while it does.
        counts: since the worker started: ``records``, ``writes``, ``stale``, ``dead`` and so on.
        outage: whether MongoDB is away.
        outage_seconds: how long that was so since the worker started, all in all and up to now.
    """

    name: str
    what: str
    topic: str
    group: str
    partitions: tuple[SinkPartition, ...] = ()
    unstarted: Int = 0
    in_flight: Int = 0
    buffered: Int = 0
    waiting: str | None = None
    stopped: str | None = None
    counts: dict[str, Int] = field(default_factory=dict)
    outage: bool = False
    outage_seconds: Float = 0.0

    @property
    def lag(self) -> int:
        """Records that the worker has still to do."""
        return sum(partition.lag for partition in self.partitions)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """Everything that a worker tells of itself.

    Attributes:
        app: the Faust app's id.
        worker: the worker's name.
        url: where its web pages are; empty if it has none.
        host: the name of its machine.
        pid: its process id there.
        process: a random id of its process.
        weight: its share, in proportion to the others'.
        started: when it started, in milliseconds since the epoch.
        at: when this was written, in milliseconds since the epoch.
        interval: seconds until it writes again.
        stopping: whether it is about to end.
        not_ready: why it is not ready; empty when it is.
        versions: of what it runs on.
        groups: its groups.
        sinks: its lanes.
    """

    app: str
    worker: str
    url: str = ""
    host: str = ""
    pid: Int = 0
    process: str = ""
    weight: Float = 1.0
    started: Int = 0
    at: Int = 0
    interval: Float = 3.0
    stopping: bool = False
    not_ready: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    groups: tuple[GroupStatus, ...] = ()
    sinks: tuple[SinkStatus, ...] = ()


_ADAPTER = TypeAdapter(WorkerStatus)


def encode(status: WorkerStatus) -> bytes:
    """A status as the value of a record."""
    return _ADAPTER.dump_json(status)


def decode(value: bytes) -> WorkerStatus | None:
    """A status from the value of a record, or None where it is none; fields of later versions are left out."""
    try:
        return _ADAPTER.validate_json(value)
    except ValidationError:
        return None


def key_of(app: str, worker: str) -> bytes:
    """The key of a worker's status."""
    return f"{app}/{worker}".encode(errors="backslashreplace")


def worker_of(app: str, key: bytes | None) -> str | None:
    """The worker whose key it is, or None where it is not one of the app's.

    >>> worker_of("shop", b"shop/w1"), worker_of("shop", b"shop-eu/w1")
    ('w1', None)
    """
    prefix = key_of(app, "")
    return key[len(prefix) :].decode(errors="replace") if key is not None and key.startswith(prefix) else None


def rebalance_status(rebalances: Iterable[Rebalance]) -> tuple[RebalanceStatus, ...]:
    """Rebalances as they are told to others: with thousands of partitions not every name is."""
    return tuple(
        RebalanceStatus(
            at=each.at,
            seconds=each.seconds,
            generation=each.generation,
            reason=each.reason,
            gained=len(each.gained),
            lost=len(each.lost),
            moved=tuple(sorted({*each.gained, *each.lost}, key=in_order)[:NAMED]),
            ended=each.ended,
            size=len(each.members),
        )
        for each in rebalances
    )


def in_order(partition: str) -> tuple[bool, str, int]:
    """How ``topic-number`` names are sorted: by number, and last what Faust keeps for itself.

    >>> sorted(["shop-t-changelog-1", "orders-10", "orders-9"], key=in_order)
    ['orders-9', 'orders-10', 'shop-t-changelog-1']
    """
    topic, _, number = partition.rpartition("-")
    return topic.endswith(INTERNAL), topic, int(number) if number.isdecimal() else 0


def status_spec() -> TopicSpec:
    """The declaration of the topic."""
    return TopicSpec(
        TOPIC,
        partitions=1,
        compacted=True,
        # Only closed segments are compacted; a worker that starts reads what is left from the beginning.
        config={
            "segment.ms": "600000",
            "min.cleanable.dirty.ratio": "0.01",
            "delete.retention.ms": "3600000",
        },
    )
