"""A peer's path: the Faust JSON serializer of python-schema-registry-client, with a registry to ask.

Its client asks the registry once per schema and keeps the answer. The registry is stopped before anything is
measured, so that a question on the way of a message would be an error.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from threading import Thread
from typing import Any

import faust

from benchmarks.codec.documents import TOPIC, documents
from benchmarks.codec.ours import state_schema
from benchmarks.codec.path import Path
from benchmarks.codec.plain import BROKER, message, reader, writer
from benchmarks.servers import MissingError

__all__ = ["PACKAGE", "peer_paths"]

PACKAGE = "python-schema-registry-client"
COUNT = 50
"""It is slow."""

PREFIX = 5
"""Bytes before the JSON: a zero and the schema's number."""


def peer_paths() -> list[Path]:
    """Every path of the peer, each having done its work once.

    Raises:
        MissingError: the package is not installed.
        WrongResultError: it does not give the documents.
    """
    app = faust.App("bench-codec-peer", broker=BROKER)
    with _registry() as url:
        schema: Any = faust.Schema(value_serializer=_serializer(url))
        write, read = writer(app, schema), reader(app, schema)
        plain = documents()[:COUNT]
        messages = [message(write(document)[0]) for document in plain]
        path = partial(Path, title=f"{PACKAGE}: dict", name="peer")
        paths = [
            path(direction="send", call=write, inputs=plain, plain=_sent),
            path(direction="receive", call=read, inputs=messages, plain=dict),
        ]
        for each in paths:
            each.check(plain)
    return paths


def _serializer(url: str) -> Any:
    try:
        client = import_module("schema_registry.client")
        serializers = import_module("schema_registry.serializers.faust")
    except ImportError as error:
        raise MissingError(f"{PACKAGE} is missing ({error}): pip install --group bench") from error
    return serializers.FaustJsonSerializer(client.SchemaRegistryClient(url), f"{TOPIC}-value", state_schema())


def _sent(outcome: tuple[bytes, Any]) -> Any:
    return json.loads(outcome[0][PREFIX:])


class _Handler(BaseHTTPRequestHandler):
    """A schema registry that knows no schema until it is registered, and numbers them."""

    known: list[dict[str, Any]]

    def do_POST(self) -> None:
        """``/subjects/<subject>`` looks up, ``/subjects/<subject>/versions`` registers."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/versions") and body not in self.known:
            self.known.append(body)
        if body not in self.known:
            return self._answer(404, {"error_code": 40403, "message": "Schema not found"})
        number = self.known.index(body) + 1
        return self._answer(200, {**body, "id": number, "version": number, "subject": f"{TOPIC}-value"})

    def do_GET(self) -> None:
        """``/schemas/ids/<number>``."""
        number = int(self.path.rpartition("/")[2])
        return self._answer(200, self.known[number - 1])

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the library
        """Nobody needs to know."""


@contextmanager
def _registry() -> Iterator[str]:
    """Its URL, while it runs."""
    handler = type("Handler", (_Handler,), {"known": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
