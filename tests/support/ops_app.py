"""An app with streams, a table and a projection, set up from the environment, for tests of its pages."""

import asyncio
import os
from typing import Any

import faust

from prom_faust import PartitionCoordinator, install

NAME = os.environ["NAME"]

app = faust.App(
    NAME,
    broker=os.environ["KAFKA_URL"],
    datadir=os.environ["DATADIR"],
    web_bind="127.0.0.1",
    web_host="127.0.0.1",
    web_in_thread="WEB_IN_THREAD" in os.environ,
    topic_replication_factor=1,
    broker_session_timeout=float(os.environ.get("SESSION_TIMEOUT", "6")),
    broker_heartbeat_interval=0.5,
    broker_rebalance_timeout=10.0,
)
prom = install(app, status_interval=float(os.environ.get("STATUS_INTERVAL", "0.5")))
partitions = int(os.environ.get("PARTITIONS", "8"))
orders = prom.topic(f"{NAME}.orders", partitions=partitions, key_type=str, value_serializer="json")
bills = prom.topic(f"{NAME}.bills", partitions=partitions, compacted=True, key_type=str)
totals = prom.table("totals", source=orders, default=int)
prom.materialize(bills, collection=f"{NAME}.bills", key="id")
coordinator = PartitionCoordinator(clock=lambda: 0.0)
coordinator.join("analyzers", "a")
coordinator.assign("analyzers", 4)
prom.coordinators.append(coordinator)


@app.agent(orders)
async def count(stream: Any) -> None:
    """Count, as slowly as the test wants."""
    async for key, value in stream.items():
        totals[key] += value["amount"]
        await asyncio.sleep(float(os.environ.get("SLOW", "0")))
