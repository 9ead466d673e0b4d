"""An app with one projection, set up from the environment, for tests of how a worker starts and ends."""

import os
from typing import Any

from prom_faust import SchemaRegistry, install
from tests.support.projection import make_app

app = make_app(os.environ["TOPIC"], os.environ["KAFKA_URL"], os.environ["DATADIR"])
registry = SchemaRegistry()
registry.register(os.environ["TOPIC"], {"properties": {"host": {"type": "string"}}}, version=1)
if "NARROWED" in os.environ:
    registry.register(os.environ["TOPIC"], {"properties": {"host": {"type": "integer"}}}, version=2)
prom = install(app, registry=registry, history_interval=2.0, startup_timeout=5.0)
topic = prom.topic(os.environ["TOPIC"], partitions=int(os.environ.get("PARTITIONS", "2")), compacted=True)
prom.materialize(topic, collection="c", indexes=["host"])


@app.agent(prom.topic(f"{os.environ['TOPIC']}.other", partitions=2))
async def other(stream: Any) -> None:
    async for _ in stream:
        pass
