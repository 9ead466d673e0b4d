"""A projection's options as one text that changes when they do, as far as that can be seen. Pure."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from pydantic import BaseModel

from prom_faust.sink.options import ChangelogOptions, Index

__all__ = ["fingerprint"]


def fingerprint(options: ChangelogOptions) -> str:
    """What decides the documents: topic, keys, mapped fields, models, versions, modes, indexes.

    A function counts by its name only: whether it does something else now cannot be seen.
    """
    parts = {
        "topic": options.topic,
        "collection": options.collection,
        "group": options.group,
        "key_of": _named(options.key_of),
        "map": _named(options.map),
        "model": _named(options.model),
        "tombstone": _named(options.tombstone),
        "version_of": _named(options.version_of),
        "record_key": _named(options.record_key),
        "routing": options.routing,
        "compacted": options.compacted,
        "write": options.write,
        "indexes": sorted(_index(Index.of(index)) for index in options.indexes),
    }
    return sha256(repr(sorted(parts.items())).encode()).hexdigest()


def _named(value: type[BaseModel] | str | Sequence[str] | Callable[..., Any] | None) -> Any:
    if isinstance(value, type) and issubclass(value, BaseModel):
        fields = {name: (info.alias, repr(info.annotation)) for name, info in value.model_fields.items()}
        return value.__qualname__, sorted(fields.items()), value.model_config.get("extra")
    if callable(value):
        return getattr(value, "__module__", ""), getattr(value, "__qualname__", type(value).__qualname__)
    return value if value is None or isinstance(value, str) else list(value)


def _index(index: Index) -> str:
    return repr((index.index_name, list(index.fields.items()), index.unique))
