"""The registry as Faust sees it: a codec for the bytes, and a schema for what a codec cannot see."""

from collections.abc import Callable
from typing import Any, cast

import faust
from faust.exceptions import ValueDecodeError
from faust.serializers.codecs import Codec
from faust.types.app import AppT
from faust.types.codecs import CodecArg
from faust.types.core import OpenHeadersArg
from faust.types.tuples import Message

from prom_faust.exceptions import DecodeError
from prom_faust.routing.hashing import key_bytes
from prom_faust.schema.header import OpenHeaders, schema_version
from prom_faust.schema.outgoing import outgoing
from prom_faust.schema.subject import Subject, Subjects
from prom_faust.schema.tombstone import is_tombstone

__all__ = ["RecordSkipped", "RegistryCodec", "RegistrySchema"]

TEXT_KEYS = frozenset({None, str, bytes, int})
"""Key types that go on the wire as text."""


class RecordSkipped(ValueDecodeError):  # noqa: N818 - nothing went wrong
    """A record that no agent sees: it is dead-lettered, or a tombstone that nobody asked for."""


class RegistryCodec(Codec):
    """The codec of one topic's values.

    It sees bytes only: no headers are set and nothing is known of tombstones. ``install`` does both.

    Args:
        subject: the topic's versions.
    """

    def __init__(self, subject: Subject, **kwargs: Any) -> None:
        super().__init__(subject=subject, **kwargs)
        self.subject = subject

    def _dumps(self, obj: Any) -> bytes:
        return self.subject.version_of(obj, None).encode(obj)

    def _loads(self, s: bytes) -> Any:
        return self.subject.latest.decode(s)


class RegistrySchema(faust.Schema[Any, Any]):
    """Serialisation of one topic: keys as text, values by the registry, with the version in a header.

    Where the topic has no schema, values go Faust's way; only None is a real null on a compacted topic.

    Args:
        registry: the registry.
        topic: the topic; None for a channel of several topics, which can only be read.
        compacted: whether it is compacted, so that tombstones may be sent; or a function that tells.
        **kwargs: those of ``faust.Schema``. With ``value_type`` what is read is left to Faust.
    """

    def __init__(
        self,
        registry: Subjects,
        topic: str | None,
        *,
        compacted: bool | Callable[[], bool] = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.registry = registry
        self.topic = topic
        self._compacted = compacted

    @property
    def compacted(self) -> bool:
        """Whether the topic is compacted."""
        return self._compacted() if callable(self._compacted) else self._compacted

    def dumps_key(
        self, app: AppT, key: Any, *, serializer: CodecArg | None = None, headers: OpenHeadersArg
    ) -> tuple[Any, OpenHeadersArg]:
        """Text, bytes and integers as :func:`~prom_faust.partition_of` takes them; else as Faust does."""
        plain = (serializer or self.key_serializer or app.conf.key_serializer) in {None, "raw"}
        if plain and self.key_type in TEXT_KEYS and isinstance(key, str | int) and not isinstance(key, bool):
            return key_bytes(key), self.on_dumps_key_prepare_headers(key, headers)
        return super().dumps_key(app, key, serializer=serializer, headers=headers)

    def dumps_value(
        self, app: AppT, value: Any, *, serializer: CodecArg | None = None, headers: OpenHeadersArg
    ) -> tuple[Any, OpenHeadersArg]:
        """The checked bytes, and a copy of the headers with the version.

        Raises:
            PayloadInvalidError: the value does not obey the topic's schema.
        """
        subject = self._subject(self.topic)
        if value is None and self.compacted:
            return None, self.on_dumps_value_prepare_headers(value, headers)
        if subject is None:
            return super().dumps_value(app, value, serializer=serializer, headers=headers)
        if serializer not in {None, "json", "raw"}:
            value, _ = super().dumps_value(app, value, serializer=serializer, headers=headers)
        headers = self.on_dumps_value_prepare_headers(value, headers)
        data, named = outgoing(subject, value, cast(OpenHeaders, headers), compacted=self.compacted)
        return data, cast(OpenHeadersArg, named)

    def loads_value(
        self,
        app: AppT,
        message: Message,
        *,
        loads: Callable[..., Any] | None = None,
        serializer: CodecArg | None = None,
    ) -> Any:
        """The value, by the latest version; None for a tombstone where ``allow_empty`` asks for them.

        Raises:
            ValueDecodeError: the bytes are none of this type.
        """
        subject = self._subject(self.topic or message.topic)
        if subject is None or self.value_type is not None:
            return super().loads_value(app, message, loads=loads, serializer=serializer)
        data = message.value
        if self.compacted and is_tombstone(data):
            if self.allow_empty:
                return None
            raise RecordSkipped(f"a tombstone of {message.topic}")
        try:
            schema_version(message.headers)
            return subject.latest.decode(data or b"")
        except DecodeError as error:
            raise ValueDecodeError(str(error)) from error

    def _subject(self, topic: str | None) -> Subject | None:
        subject = None if topic is None else self.registry.find(topic)
        return None if subject is None or subject.policy == "off" else subject
