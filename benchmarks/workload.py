"""The records that every path handles: documents of ten fields, each on the partition of its key. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import orjson

from prom_faust import partition_of
from prom_faust.lane.record import PlainRecord

__all__ = [
    "COLLECTION",
    "HOT_KEYS",
    "PARTITIONS",
    "Keys",
    "distinct_keys",
    "events",
    "length_of",
    "records",
    "topic_of",
]

PARTITIONS = 8
HOT_KEYS = 5_000
HOT_LENGTH = 4
COLLECTION = "processes"

Keys = Literal["unique", "hot"]
"""``unique``: every record has a key of its own; ``hot``: all records share ``HOT_KEYS`` keys, evenly."""

STATES = ("running", "sleeping", "stopped", "zombie")
FIRST_MILLISECOND = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One record before it has a position: its partition, its key and its fields."""

    partition: int
    key: str
    fields: dict[str, Any]


def length_of(keys: Keys, count: int) -> int:
    """How many records the topic holds for a run of ``count``.

    With hot keys the sink needs a backlog of several windows of each partition to show its pace; a path that
    writes every record has the same pace on fewer.
    """
    return count * HOT_LENGTH if keys == "hot" else count


def topic_of(keys: Keys) -> str:
    """The topic that holds the workload."""
    return f"bench-{keys}"


def events(keys: Keys, count: int) -> Iterator[Event]:
    """The first ``count`` events, the same in every process."""
    return (_event(_name(keys, number), number) for number in range(count))


def _name(keys: Keys, number: int) -> str:
    if keys == "unique":
        return f"process-{number:08d}"
    # Knuth's multiplicative hash: hot keys come in no order, and evenly.
    return f"process-{(number * 2654435761 % 2**32) * HOT_KEYS >> 32:08d}"


def _event(key: str, number: int) -> Event:
    fields = {
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
    return Event(partition_of(key, PARTITIONS), key, fields)


def records(keys: Keys, count: int) -> Iterator[PlainRecord]:
    """The same events as they stand in Kafka, each with its offset."""
    offsets = [0] * PARTITIONS
    for event in events(keys, count):
        offset = offsets[event.partition]
        offsets[event.partition] += 1
        yield PlainRecord(
            topic_of(keys),
            event.partition,
            offset,
            FIRST_MILLISECOND,
            event.key.encode(),
            orjson.dumps(event.fields),
        )


def distinct_keys(keys: Keys, count: int) -> int:
    """How many documents the collection holds after ``count`` records."""
    return count if keys == "unique" else len({_name(keys, number) for number in islice(range(count), count)})
