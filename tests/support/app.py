"""An app with the plugin that sends inside of a test, without a worker."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import faust

from prom_faust import Prom, SchemaRegistry, install
from prom_faust.kafka import ensure_topics

NOWHERE = "kafka://127.0.0.1:1"
"""A broker for apps that are never started."""


def installed(
    name: str,
    registry: SchemaRegistry | None = None,
    *,
    broker: str = NOWHERE,
    conf: Mapping[str, Any] | None = None,
    **options: Any,
) -> Prom:
    app = faust.App(name, broker=broker, topic_replication_factor=1, **(conf or {}))
    return install(app, registry=registry, **options)


@asynccontextmanager
async def sending(prom: Prom) -> AsyncIterator[Prom]:
    """Create what is declared; what was sent is flushed at the end."""
    await ensure_topics(prom.clients, prom.specs(), prom.settings)
    try:
        yield prom
    finally:
        await prom.app.producer.stop()
