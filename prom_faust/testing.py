"""For the tests of a user's app: what a projection makes of records, without Kafka and without MongoDB.

It is the sink's own decoder and the sink's own order, so a key function, a map, a model or a version function behaves
here as it does in production. What only a server knows is left out: unique indexes, and the limits of its storage.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel

from prom_faust.dlq.envelope import DeadLetter, letter_of
from prom_faust.exceptions import RecordError
from prom_faust.lane.record import PlainRecord, Record
from prom_faust.sink.decode import decoder
from prom_faust.sink.event import Change
from prom_faust.sink.key import Key, checked_key
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.plan import group
from prom_faust.sink.verify.fold import fold as fold_changes
from prom_faust.sink.verify.mongo import decode_body

__all__ = ["MemoryProjection", "fold"]

Document = dict[str, Any]


def fold(records: Iterable[Record], options: ChangelogOptions) -> dict[Key, Document]:
    """The documents that a collection holds when its sink has read these records, in whatever order they come.

    A record that cannot be used is left out, as the sink dead-letters it.

    Args:
        records: of one topic; each position once.
        options: the projection's.

    Returns:
        Key to document, without MongoDB's ``_id``. An object or a boolean as a key is a ``JsonKey``.
        With ``write="insert"`` each document stands under its packed position.

    Example::

        >>> from prom_faust.lane.record import PlainRecord
        >>> options = ChangelogOptions(topic="orders", collection="orders", map=["status"])
        >>> found = fold([
        ...     PlainRecord("orders", 0, 0, key=b"o1", value=b'{"status": "open", "total": 5}'),
        ...     PlainRecord("orders", 0, 1, key=b"o2", value=b'{"status": "open"}'),
        ...     PlainRecord("orders", 0, 2, key=b"o1", value=b'{"status": "paid", "total": 5}'),
        ...     PlainRecord("orders", 0, 3, key=b"o2"),
        ... ], options)
        >>> {key: document["status"] for key, document in found.items()}
        {'o1': 'paid'}
    """
    changes, _ = _decoded(records, options)
    return _documents(changes, options)


def _decoded(
    records: Iterable[Record], options: ChangelogOptions
) -> tuple[list[Change], list[tuple[Record, RecordError]]]:
    decode = decoder(options)
    changes, refused = [], []
    for record in records:
        try:
            changes.append(decode(record))
        except RecordError as error:
            refused.append((record, error))
    return changes, refused


def _documents(changes: Iterable[Change], options: ChangelogOptions) -> dict[Key, Document]:
    by_position = {change.n: change for change in changes}
    if options.appends:
        return {n: decode_body(by_position[n].body or b"") for n in sorted(by_position)}
    rows = [
        (change.key, change.n, change.version, change.deletes)
        for plan in group(by_position.values()).values()
        for change in plan.changes
    ]
    return {
        outcome.key: decode_body(by_position[outcome.n].body or b"")
        for outcome in fold_changes(rows, versioned=options.versioned)
        if not outcome.deletes
    }


@dataclass
class MemoryProjection:
    """A projection for a test: records go in, and its documents and dead letters can be looked at.

    Example::

        >>> orders = MemoryProjection(ChangelogOptions(topic="orders", collection="orders", key_of="id"))
        >>> orders.send("o1", {"id": "o1", "status": "open"})
        >>> orders.send("o2", {"id": "another"})
        >>> orders.documents["o1"]["status"], [letter.record.key for letter in orders.letters]
        ('open', [b'o2'])
        >>> orders.send("o1", None)
        >>> orders.documents
        {}

    Args:
        options: the projection's: ``prom.projections["orders"].options`` of an app, or some of the test's own.
        records: what was sent.
    """

    options: ChangelogOptions
    records: list[PlainRecord] = field(default_factory=list)
    _offsets: dict[int, Any] = field(default_factory=dict, repr=False)

    def send(
        self,
        key: Any,
        value: BaseModel | Mapping[str, Any] | Sequence[Any] | bytes | None,
        *,
        partition: int = 0,
        timestamp: int = 0,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Append a record to the topic.

        Args:
            key: the record key: text or raw bytes, or another JSON value, which is sent as JSON.
            value: a model, plain JSON values, or raw bytes; None is a tombstone.
            partition: where it stands.
            timestamp: milliseconds since the epoch.
            headers: the record's headers.
        """
        if isinstance(value, BaseModel):
            value = value.model_dump_json(by_alias=True).encode()
        elif value is not None and not isinstance(value, bytes):
            value = orjson.dumps(value)
        offset = next(self._offsets.setdefault(partition, itertools.count()))
        if isinstance(key, str):
            key = key.encode()
        elif key is not None and not isinstance(key, bytes):
            key = orjson.dumps(key)
        self.records.append(
            PlainRecord(self.options.topic, partition, offset, timestamp, key, value, tuple(headers))
        )

    @property
    def documents(self) -> dict[Key, Document]:
        """The collection, by key, without MongoDB's ``_id``."""
        return fold(self.records, self.options)

    def document(self, key: Any) -> Document | None:
        """The document of a key, which is any JSON value: Python's dictionaries take no objects and mix 1 with true.

        Args:
            key: what stands in ``_key``.
        """
        return self.documents.get(checked_key(key, order=self.options.key_fields))

    @property
    def letters(self) -> list[DeadLetter]:
        """The records that cannot be used, with the reasons."""
        _, refused = _decoded(self.records, self.options)
        return [
            letter_of(record, error, consumer=self.options.group or self.options.collection, died_at=0)
            for record, error in refused
        ]
