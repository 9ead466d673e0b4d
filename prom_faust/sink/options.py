"""What a projection is: the options that a user writes, checked when they are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from prom_faust.exceptions import ConfigurationError
from prom_faust.routing.hashing import Routing
from prom_faust.schema.json import JSONSchema
from prom_faust.sink.target import CollectionOf
from prom_faust.sink.tolerance import Tolerance

__all__ = ["RESERVED", "ChangelogOptions", "Index", "KeyOf", "MapOf", "RecordKey", "VersionOf"]

KeyOf = str | Sequence[str] | Callable[[Any], Any]
"""A field's name, a list of fields, or a function of the decoded event that gives a JSON value."""
MapOf = type[BaseModel] | Sequence[str] | Callable[[Any], Mapping[str, Any]]
"""A model or a list of fields to keep, or a function of the decoded event."""
VersionOf = str | Callable[[Any], int]
"""A field's name, or a function of the decoded event, giving a 64-bit integer."""
RecordKey = Literal["text", "json"] | Callable[[bytes], Any]
"""How a record's key bytes are read."""

RESERVED = frozenset({"_key", "_ts", "_src", "_v", "_deleted", "_deleted_at", "_inherits"})
"""Fields that the sink writes itself; they win over the map."""

REMEMBER_SECONDS = 24 * 3600.0
"""How long ``deletes="remember"`` keeps a marker: a late version can arrive that much later."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that the projection needs: created at start, or compared with the one that exists.

    Args:
        fields: field name to direction (1, -1) or kind (``"2dsphere"``, ``"hashed"``, ``"text"``), in order.
        unique: no two documents share the value; documents without any of the fields do not count.
        name: the index's name; MongoDB's own naming (``host_1_name_1``) by default.
    """

    fields: Mapping[str, int | str]
    unique: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        if not self.fields:
            raise ConfigurationError('an Index needs at least one field, as in Index({"host": 1})')

    @property
    def index_name(self) -> str:
        """The name it has in MongoDB."""
        return self.name or "_".join(f"{name}_{kind}" for name, kind in self.fields.items())

    @classmethod
    def of(cls, value: "Index | str") -> "Index":
        """Accept a bare field name for a plain ascending index.

        Raises:
            ConfigurationError: it is neither.
        """
        if isinstance(value, Index):
            return value
        if not isinstance(value, str):
            raise ConfigurationError(
                f'indexes= takes field names and Index({{"host": 1}}), not {value!r:.80}'
            )
        return cls({value: 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangelogOptions:
    """How one compacted topic becomes one collection.

    Args:
        topic: the topic's name.
        collection: the collection's name, by which the projection itself goes: in its group, in commands, in metrics.
        collection_of: function of the document's key that names its collection; None from it means ``collection``.
            Documents of one key are in one collection, which gets the indexes before its first document.
        key_of: field, list of fields or function that gives the document's ``_key``; the record key by default.
            With a list ``_key`` is an object of these fields, in this order; in any other object the fields are
            sorted by name. No key is null or an array.
        map: what of the event is stored: a model, a list of fields, or a function; everything by default.
        model: a pydantic model that every live value must satisfy; events are instances of it.
        tombstone: says of a decoded event whether it deletes; null, ``null`` and ``_deleted: true`` always do.
        indexes: indexes to create or compare, as ``Index`` or field names.
        version_of: field or function giving the event's version; without it, the position decides.
        record_key: how key bytes are read: ``"text"`` (UTF-8), ``"json"``, or a function.
        routing: how the topic's keys find their partition: ``"jump"`` where ``prom.topic`` routes it, ``"kafka"``
            (the default) for anything else. When a jump-routed topic gets more partitions its keys only move up,
            so that the sink goes on; on any other, and with a version function, it stops and names the rebuild.
        compacted: whether the topic is compacted; then a record's key must be its document's key.
        write: ``"replace"`` the document, or ``"set"`` the mapped fields and leave those of other writers, or
            ``"insert"`` a document for every record, under its position as ``_id``: nothing is ever overwritten or
            deleted. ``_key`` is then an index that is not unique, and null for a record without a key; a record
            that deletes is a document of its own, with ``_deleted: true`` and no mapped fields.
        deletes: ``"hard"`` removes a marker after ``fence_delay``, ``"remember"`` after 24 hours; by default
            ``"remember"`` with a version function, else ``"hard"``.
        fence_delay: seconds that a marker stands; by default session timeout + write deadline + 30 s.
        size: the most operations in one bulk write.
        window: the most records that are coalesced before one winner per key is written.
        max_window_bytes: the most bytes of records in a window.
        group: the consumer group; ``<app id>.changelog:<collection>`` by default.
        tolerance: which bad records are dead-lettered: ``"all"``; ``"data"``, but not those that MongoDB refuses for
            a reason which nobody has listed as bad data; ``"none"``. A bad record that is not stops its partition.
        max_failure_rate: if more than this share of the sink's last 1,000 records is bad (and it has seen 100), they
            are not dead-lettered, and stop their partitions; None for no limit.
        redact: tags of fields that are left out of dead letters, which then cannot be replayed.
        redact_schemas: models and JSON Schemas in which tagged fields are looked for, beside ``model``.

    Raises:
        ConfigurationError: options that contradict each other.
    """

    topic: str
    collection: str
    collection_of: CollectionOf | None = None
    key_of: KeyOf | None = None
    map: MapOf | None = None
    model: type[BaseModel] | None = None
    tombstone: Callable[[Any], bool] | None = None
    indexes: Sequence[Index | str] = field(default=())
    version_of: VersionOf | None = None
    record_key: RecordKey = "text"
    routing: Routing = "kafka"
    compacted: bool = True
    write: Literal["replace", "set", "insert"] = "replace"
    deletes: Literal["hard", "remember"] | None = None
    fence_delay: float | None = None
    size: int = 500
    window: int = 10_000
    max_window_bytes: int = 8 * 1024 * 1024
    group: str | None = None
    tolerance: Tolerance = "all"
    max_failure_rate: float | None = None
    redact: Sequence[str] = field(default=())
    redact_schemas: Sequence[type[BaseModel] | JSONSchema] = field(default=())

    def __post_init__(self) -> None:
        self._check_letters()
        if self.size < 1 or self.window < 1 or self.max_window_bytes < 1:
            raise ConfigurationError("size, window and max_window_bytes must be at least 1")
        if self.write not in {"replace", "set", "insert"}:
            raise ConfigurationError(f'write must be "replace", "set" or "insert", not {self.write!r}')
        if self.routing not in {"jump", "kafka"}:
            raise ConfigurationError(f'routing must be "jump" or "kafka", not {self.routing!r}')
        if self.deletes not in {None, "hard", "remember"}:
            raise ConfigurationError(f'deletes must be "hard" or "remember", not {self.deletes!r}')
        if isinstance(self.record_key, str) and self.record_key not in {"text", "json"}:
            raise ConfigurationError(
                f'record_key must be "text", "json" or a function, not {self.record_key!r}'
            )
        if not (self.key_of is None or isinstance(self.key_of, str) or callable(self.key_of)):
            self._check_key_fields()
        if self.write == "set":
            self._check_set_fields()
        if self.appends and (self.versioned or self.deletes is not None or self.fence_delay is not None):
            raise ConfigurationError(
                'write="insert" keeps every record: version_of, deletes and fence_delay have nothing to decide'
            )
        if "_id" in (self.field_names or ()):
            raise ConfigurationError(
                "map= must not name _id: MongoDB gives it, and _key is the document's key"
            )

    def _check_letters(self) -> None:
        if self.tolerance not in {"none", "data", "all"}:
            raise ConfigurationError(f'tolerance must be "none", "data" or "all", not {self.tolerance!r}')
        if self.max_failure_rate is not None:
            if not 0 <= self.max_failure_rate < 1:
                raise ConfigurationError(
                    f"max_failure_rate must be at least 0 and less than 1, not {self.max_failure_rate!r}"
                )
            if self.tolerance == "none":
                raise ConfigurationError(
                    'with tolerance="none" no record is dead-lettered: max_failure_rate has no use'
                )
        if isinstance(self.redact, str):
            raise ConfigurationError(f"redact takes a sequence of tags: redact=({self.redact!r},)")

    def _check_key_fields(self) -> None:
        fields = self.key_fields
        if not fields or len(set(fields)) < len(fields) or not all(isinstance(name, str) for name in fields):
            raise ConfigurationError(
                f"key_of={self.key_of!r:.80} must be a field, a function, or names that differ"
            )
        if any(not name or name.startswith("$") or "\0" in name for name in fields):
            raise ConfigurationError(
                f"key_of={self.key_of!r:.80} has a name that cannot stand in _key: one that is empty, begins with "
                "$ or has a null character"
            )
        if self.compacted and not self.appends and self.record_key == "text":
            raise ConfigurationError(
                f"key_of={self.key_of!r:.80} gives an object, and a record key that is text never equals one: "
                'record_key="json" reads objects, or give a function'
            )

    def _check_set_fields(self) -> None:
        if self.field_names is None:
            raise ConfigurationError(
                'write="set" needs map= as a model or a list of fields: '
                "the sink must know which fields are its own, to unset the absent ones"
            )
        if getattr(self.map, "model_config", {}).get("extra") == "allow":
            raise ConfigurationError(
                'write="set" needs a map whose fields are known: a model with extra="allow" may give any'
            )
        if paths := [name for name in self.field_names if not _settable(name)]:
            raise ConfigurationError(
                f'write="set" cannot write the fields {paths!r:.80}: in an update a name with a dot is a path, and '
                'one that begins with $ an operator. write="replace" stores them'
            )

    @property
    def key_fields(self) -> tuple[str, ...]:
        """The fields that a key is made of, where ``key_of`` lists them."""
        of = self.key_of
        return () if of is None or isinstance(of, str) or callable(of) else tuple(of)

    @property
    def versioned(self) -> bool:
        """Whether a version function decides the order."""
        return self.version_of is not None

    @property
    def appends(self) -> bool:
        """Whether every record becomes a document of its own."""
        return self.write == "insert"

    @property
    def grows(self) -> bool:
        """Whether the topic may get more partitions under the sink: positions then still order a key's records."""
        return self.appends or (self.routing == "jump" and not self.versioned)

    @property
    def field_names(self) -> tuple[str, ...] | None:
        """The mapped fields, where they are known beforehand; reserved names are never the map's."""
        names: Sequence[str]
        if isinstance(self.map, type) and issubclass(self.map, BaseModel):
            fields = self.map.model_fields.items()
            names = [info.serialization_alias or info.alias or name for name, info in fields]
        elif self.map is None or callable(self.map):
            return None
        else:
            names = self.map
        return tuple(name for name in names if name not in RESERVED)

    @property
    def marker_seconds(self) -> float:
        """How long markers stand at least, beside ``fence_delay``."""
        mode = self.deletes or ("remember" if self.versioned else "hard")
        return REMEMBER_SECONDS if mode == "remember" else 0.0


def _settable(name: str) -> bool:
    return bool(name) and not name.startswith("$") and "." not in name and "\0" not in name
