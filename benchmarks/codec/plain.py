"""Faust as it comes: its JSON codec, its records, its topics. Nothing of ours, and no orjson, is imported here."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import faust
from faust.serializers.codecs import get_codec
from faust.types.tuples import Message

from benchmarks.codec.documents import KEY, TOPIC, Document, documents
from benchmarks.codec.path import Path

__all__ = ["BROKER", "StateRecord", "message", "plain_paths", "record_document", "writer"]

BROKER = "kafka://127.0.0.1:9"  # nobody connects


class StateRecord(faust.Record, serializer="json", include_metadata=False):
    """The document as a Faust record."""

    processId: str  # noqa: N815 - the name on the wire
    name: str
    host: str
    pid: int
    cpu_pct: float
    mem_mb: float
    last_seen_ts: int
    status: str
    sid: int | None = None


def plain_paths(codec: str) -> list[Path]:
    """Every path of plain Faust.

    Args:
        codec: what its JSON codec runs on, for the titles.
    """
    app = faust.App("bench-codec-plain", broker=BROKER)
    return [*_send(app, codec), *_messages(app, codec), *_receive(app, codec)]


def _send(app: faust.App, codec: str) -> Iterator[Path]:
    plain = documents()
    schema: Any = faust.Schema()
    records: Any = faust.Schema(value_type=StateRecord)
    data = [json.dumps(document).encode() for document in plain]
    models = [StateRecord(**document) for document in plain]
    path = partial(Path, "send")
    yield path("dict", f"Faust, {codec}: dict", writer(app, schema), plain, _sent)
    yield path("codec", f"Faust, {codec}: dict, bare codec", get_codec("json").dumps, plain, json.loads)
    yield path("record", f"Faust, {codec}: faust.Record", writer(app, records), models, _sent)
    yield path("bytes", "Faust: bytes, not looked at", writer(app, schema), data, _sent)


def _messages(app: faust.App, codec: str) -> Iterator[Path]:
    topic = app.topic(TOPIC, key_type=str)

    def future(document: Document) -> Any:
        return topic.as_future_message(document[KEY], document)

    yield Path(
        "message",
        "dict",
        f"Faust, {codec}: dict and key",
        future,
        documents(),
        lambda made: json.loads(made.message.value),
    )


def _receive(app: faust.App, codec: str) -> Iterator[Path]:
    data = [json.dumps(document).encode() for document in documents()]
    messages = [message(value) for value in data]
    schema: Any = faust.Schema()
    records: Any = faust.Schema(value_type=StateRecord)
    path = partial(Path, "receive")
    yield path("dict", f"Faust, {codec}: dict", reader(app, schema), messages, dict)
    yield path("codec", f"Faust, {codec}: dict, bare codec", get_codec("json").loads, data, dict)
    yield path("record", f"Faust, {codec}: faust.Record", reader(app, records), messages, record_document)


def writer(app: faust.App, schema: Any) -> Callable[[Any], Any]:
    """``schema.dumps_value`` as a topic calls it, on a send without headers."""
    return partial(schema.dumps_value, app, serializer=None, headers={})


def reader(app: faust.App, schema: Any) -> Callable[[Any], Any]:
    """``schema.loads_value`` as a stream calls it."""
    return partial(schema.loads_value, app, loads=app.serializers.loads_value)


def message(value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Message:
    """A record as the consumer hands it over."""
    return Message(TOPIC, 0, 0, 0.0, 0, cast(Any, headers), b"key", value, None)


def _sent(outcome: tuple[bytes, Any]) -> Any:
    return json.loads(outcome[0])


def record_document(record: StateRecord) -> Mapping[str, Any]:
    """A record's document."""
    return record.to_representation()
