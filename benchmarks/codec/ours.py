"""Our paths: the schema and the topics of an app that has the plugin, on topics with a registered schema."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import faust
import orjson

from agents.models import ProcessState
from benchmarks.codec.documents import KEY, TOPIC, Document, documents
from benchmarks.codec.path import Path, WrongResultError
from benchmarks.codec.plain import BROKER, StateRecord, message, reader, record_document, writer
from prom_faust import install
from prom_faust.schema.header import SCHEMA_VERSION_HEADER
from prom_faust.schema.json import JSONSchema
from prom_faust.schema.registry import SchemaRegistry

__all__ = ["our_paths", "state_schema"]

OF_RECORDS = f"{TOPIC}.record"
OF_JSON = f"{TOPIC}.json"
HEADERS = ((SCHEMA_VERSION_HEADER, b"1"),)


def state_schema() -> JSONSchema:
    """The JSON Schema that sends of the document must obey."""
    return _registry().latest(TOPIC).schema


def our_paths() -> list[Path]:
    """Every path of ours."""
    app = faust.App("bench-codec", broker=BROKER)
    prom = install(app, registry=_registry())
    topics = {
        name: prom.topic(name, compacted=True, key=KEY, key_type=str) for name in (TOPIC, OF_RECORDS, OF_JSON)
    }
    schemas = {name: topic.schema for name, topic in topics.items()}
    return [*_send(app, schemas), *_messages(topics[TOPIC]), *_receive(app, schemas)]


def _registry() -> SchemaRegistry:
    registry = SchemaRegistry()
    model = registry.register(TOPIC, ProcessState, version=1, exclude_none=True)
    registry.register(OF_RECORDS, StateRecord, version=1)
    registry.register(OF_JSON, model.schema, version=1)
    return registry


def _send(app: faust.App, schemas: dict[str, Any]) -> Iterator[Path]:
    plain = documents()
    data = [orjson.dumps(document) for document in plain]
    models = [ProcessState(**document) for document in plain]
    records = [StateRecord(**document) for document in plain]
    path = partial(Path, "send")
    yield path("our dict", "prom_faust: dict", writer(app, schemas[TOPIC]), plain, _sent)
    yield path("our bytes", "prom_faust: bytes", writer(app, schemas[TOPIC]), data, _sent)
    yield path("our model", "prom_faust: pydantic model", writer(app, schemas[TOPIC]), models, _sent)
    yield path("our record", "prom_faust: faust.Record", writer(app, schemas[OF_RECORDS]), records, _sent)


def _messages(topic: faust.Topic) -> Iterator[Path]:
    def future(document: Document) -> Any:
        return topic.as_future_message(None, document)

    yield Path(
        "message",
        "our dict",
        "prom_faust: dict, its key, the gate",
        future,
        documents(),
        lambda made: _sent((made.message.value, made.message.headers)),
    )


def _receive(app: faust.App, schemas: dict[str, Any]) -> Iterator[Path]:
    messages = [message(orjson.dumps(document), HEADERS) for document in documents()]
    path = partial(Path, "receive")
    yield path(
        "our model",
        "prom_faust: pydantic model",
        reader(app, schemas[TOPIC]),
        messages,
        ProcessState.model_dump,
    )
    yield path(
        "our record", "prom_faust: faust.Record", reader(app, schemas[OF_RECORDS]), messages, record_document
    )
    yield path("our dict", "prom_faust: dict, JSON Schema", reader(app, schemas[OF_JSON]), messages, dict)


def _sent(outcome: tuple[bytes, Any]) -> Any:
    data, headers = outcome
    if tuple(headers) != HEADERS:
        raise WrongResultError(f"sent with the headers {headers!r}")
    return orjson.loads(bytes(data))  # it takes no subclass of bytes
