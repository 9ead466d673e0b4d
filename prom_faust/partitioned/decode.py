"""Record -> key and event, with one clear error for a bad record. Pure."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from prom_faust.exceptions import DecodeError, KeyMismatchError
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.partitioned.event import PartitionedEvent
from prom_faust.partitioned.source import original
from prom_faust.routing.key import KeyOf, key_of_payload
from prom_faust.schema.header import schema_version
from prom_faust.schema.payload.plain import load_json
from prom_faust.schema.payload.type import DumpError
from prom_faust.schema.subject import Subjects
from prom_faust.schema.tombstone import is_tombstone

__all__ = ["Reader"]


class Reader:
    """Reads the records of one topic.

    Args:
        topic: the topic.
        registry: its schema, if it has one.
        model: the pydantic model of its values, where it has no schema.
        compacted: whether it is compacted, so that it has tombstones.
        key_of: where a payload carries its key; None for the record key.
        allow_empty: whether there is an event, without a value, where there is nothing to handle.
        make: makes an event of its fields.
    """

    def __init__(
        self,
        topic: str,
        registry: Subjects,
        *,
        model: Callable[[], type[BaseModel] | None] = lambda: None,
        compacted: Callable[[], bool] = lambda: False,
        key_of: KeyOf | None = None,
        allow_empty: bool = False,
        make: Callable[..., PartitionedEvent] = PartitionedEvent,
    ) -> None:
        self.topic = topic
        self._registry = registry
        self._model = model
        self._compacted = compacted
        self._key_of = key_of
        self._allow_empty = allow_empty
        self._make = make

    def is_empty(self, record: Record) -> bool:
        """Whether there is nothing to handle: a null, or a tombstone of a compacted topic."""
        return record.value is None or (self._compacted() and is_tombstone(record.value))

    def key(self, record: Record) -> str:
        """What chooses the record's logical partition.

        Raises:
            RecordError: it has to be read from the payload, and cannot be.
        """
        return self._key(record, None if self._key_of is None else self._value(record))

    def event(self, record: Record, partition: Callable[[str], int] | None = None) -> PartitionedEvent | None:
        """The event of a record as its topic has it, or None where there is nothing to handle.

        Args:
            record: the record.
            partition: key to logical partition; None where that is Kafka's.

        Raises:
            RecordError: it cannot be read.
        """
        empty = self.is_empty(record)
        if empty and not self._allow_empty:
            return None
        value = None if empty else self._value(record)
        key = self._key(record, value)
        return self._event(record, key, value, record.partition if partition is None else partition(key))

    def repartitioned_event(self, record: Record) -> PartitionedEvent:
        """The event of a record that came through a repartition topic, whose partitions are the logical ones.

        Raises:
            RecordError: it cannot be read.
        """
        found, key = original(record, self.topic)
        return self._event(found, key, self._value(found), record.partition)

    def _value(self, record: Record) -> Any:
        schema_version(record.headers)
        data = record.value or b""
        subject = self._registry.find(self.topic)
        if subject is not None and subject.policy != "off":
            return subject.latest.decode(data)
        model = self._model()
        try:
            return load_json(data) if model is None else model.model_validate_json(data)
        except DumpError as error:
            raise DecodeError("; ".join(failure.reason for failure in error.failures)) from error
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            text = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'value'}: {fault['msg']}" for fault in faults
            )
            raise DecodeError(f"not a {model.__name__ if model else 'value'}: {text}") from error

    def _key(self, record: Record, value: Any) -> str:
        found = None
        if self._key_of is not None:
            try:
                found = key_of_payload(self._key_of, value)
            except Exception as error:
                raise KeyMismatchError(f"the key function of {self.topic} raised {error!r}") from error
        if found is None:
            found = record.key
        if found is None:
            return f"{record.topic}:{record.partition}:{record.offset}"
        if isinstance(found, bytes):
            return found.decode(errors="backslashreplace")
        if isinstance(found, str | int) and not isinstance(found, bool):
            return str(found)
        raise KeyMismatchError(f"a key must be str, bytes or int, not {found!r:.80}")

    def _event(self, record: Record, key: str, value: Any, partition: int) -> PartitionedEvent:
        return self._make(
            key=key,
            value=value,
            partition=partition,
            headers={name: data or b"" for name, data in record.headers},
            timestamp=record.timestamp,
            source=TopicPartition(record.topic, record.partition),
            offset=record.offset,
        )
