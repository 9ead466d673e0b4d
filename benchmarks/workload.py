"""The records that every path handles: documents of ten fields, each on the partition of its key. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import orjson

from prom_faust import partition_of
from prom_faust.lane.record import PlainRecord

__all__ = [
    "COLLECTION",
    "FIRST_MILLISECOND",
    "HOT_KEYS",
    "PARTITIONS",
    "STATES",
    "TOMBSTONE_EVERY",
    "WORKLOADS",
    "Workload",
    "events",
    "final",
    "last_written",
    "length_of",
    "records",
    "topic_of",
]

PARTITIONS = 8
HOT_KEYS = 5_000
HOT_LENGTH = 4
TOMBSTONE_EVERY = 10
VARIABLES = 30
COLLECTION = "processes"

Workload = Literal["unique", "hot", "large", "tombstones"]
"""``unique``: every record has a key of its own. ``hot``: all records share ``HOT_KEYS`` keys, evenly. ``large``: as
``unique``, with 2 KB of JSON instead of 300 bytes. ``tombstones``: as ``unique``, but every tenth record is a null
that deletes the key of a record half as far from the topic's begin."""

WORKLOADS: tuple[Workload, ...] = get_args(Workload)

STATES = ("running", "sleeping", "stopped", "zombie")
FIRST_MILLISECOND = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One record before it has a position: its partition, its key and its fields, None for a tombstone."""

    partition: int
    key: str
    fields: dict[str, Any] | None

    @property
    def value(self) -> bytes | None:
        """As it stands in Kafka."""
        return None if self.fields is None else orjson.dumps(self.fields)


def length_of(workload: Workload, count: int) -> int:
    """How many records the topic holds for a run of ``count``.

    With hot keys the sink needs a backlog of several windows of each partition to show its pace; a path that
    writes every record has the same pace on fewer.
    """
    return count * HOT_LENGTH if workload == "hot" else count


def topic_of(workload: Workload) -> str:
    """The topic that holds the workload."""
    return f"bench-{workload}"


def events(workload: Workload, count: int) -> Iterator[Event]:
    """The first ``count`` events, the same in every process."""
    return (_event(workload, number) for number in range(count))


def _event(workload: Workload, number: int) -> Event:
    if workload == "tombstones" and number % TOMBSTONE_EVERY == TOMBSTONE_EVERY - 1:
        key = _key(_deleted_by(number))
        return Event(partition_of(key, PARTITIONS), key, None)
    key = _hot_key(number) if workload == "hot" else _key(number)
    fields = _fields(key, number)
    if workload == "large":
        fields["environment"] = _environment(number)
    return Event(partition_of(key, PARTITIONS), key, fields)


def _key(number: int) -> str:
    return f"process-{number:08d}"


def _hot_key(number: int) -> str:
    # Knuth's multiplicative hash: hot keys come in no order, and evenly.
    return _key((number * 2654435761 % 2**32) * HOT_KEYS >> 32)


def _deleted_by(number: int) -> int:
    """The record whose key a tombstone deletes: half as far from the begin, and no other tombstone's."""
    pair, which = divmod(number // TOMBSTONE_EVERY, 2)
    return pair * TOMBSTONE_EVERY + which


def _fields(key: str, number: int) -> dict[str, Any]:
    return {
        "id": key,
        "host": f"host-{number % 97:03d}.example.org",
        "name": f"worker-{number % 389}",
        "pid": number,
        "state": STATES[number % len(STATES)],
        "cpu": number % 1000 / 10,
        "memory": number * 4096 % 2**34,
        "threads": number % 64,
        "started": FIRST_MILLISECOND + number,
        "command": f"/usr/bin/worker --queue=queue-{number % 31} --retries=3 --log-level=info",
    }


def _environment(number: int) -> dict[str, str]:
    """A process's variables, which make its document large."""
    return {
        f"WORKER_VARIABLE_{index:02d}": f"/var/lib/worker/{number + index:08d}/setting-{index:02d}"
        for index in range(VARIABLES)
    }


def records(workload: Workload, count: int) -> Iterator[PlainRecord]:
    """The same events as they stand in Kafka, each with its offset."""
    offsets = [0] * PARTITIONS
    for event in events(workload, count):
        offset = offsets[event.partition]
        offsets[event.partition] += 1
        yield PlainRecord(
            topic_of(workload),
            event.partition,
            offset,
            FIRST_MILLISECOND,
            event.key.encode(),
            event.value,
        )


@cache
def final(workload: Workload, count: int) -> dict[str, int]:
    """The collection after ``count`` records: key to the ``pid`` of its document, which tells the records apart."""
    found: dict[str, int] = {}
    for event in events(workload, count):
        if event.fields is None:
            del found[event.key]
        else:
            found[event.key] = event.fields["pid"]
    return found


@cache
def last_written(workload: Workload, count: int) -> dict[str, int]:
    """The last document of every partition, as in ``final``: where these stand, only tombstones can be missing."""
    last = {event.partition: event for event in events(workload, count) if event.fields is not None}
    stands = final(workload, count)
    return {event.key: stands[event.key] for event in last.values() if event.key in stands}
