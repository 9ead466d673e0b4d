"""A projection that runs inside a test: the same agent, lane and sweeps as in a worker, without the worker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust

from prom_faust.clients import Clients
from prom_faust.settings import load_settings
from prom_faust.sink.faust import Projection
from prom_faust.sink.metrics import SinkHistograms
from prom_faust.sink.options import ChangelogOptions


def make_app(name: str, broker: str, datadir: Path | str = "/tmp", **conf: Any) -> faust.App:
    return faust.App(
        name,
        broker=broker,
        datadir=str(datadir),
        web_bind="127.0.0.1",
        topic_replication_factor=1,
        **{
            "broker_session_timeout": 10.0,
            "broker_heartbeat_interval": 1.0,
            "broker_rebalance_timeout": 10.0,
            **conf,
        },
    )


def make_projection(
    app: faust.App,
    database: Any,
    options: ChangelogOptions,
    *,
    histograms: SinkHistograms | None = None,
    **settings: Any,
) -> Projection:
    loaded = load_settings(
        **{"write_deadline": 5.0, "history_interval": 1.0, "sweep_interval": 0.5, **settings}
    )
    return Projection(app, database, options, loaded, Clients(app), histograms)


@asynccontextmanager
async def projecting(
    app: faust.App, database: Any, options: ChangelogOptions, **settings: Any
) -> AsyncIterator[Projection]:
    async with started(make_projection(app, database, options, **settings)) as projection:
        yield projection


@asynccontextmanager
async def started(projection: Projection) -> AsyncIterator[Projection]:
    await projection.agent.start()
    await projection.start()
    try:
        yield projection
    finally:
        await projection.stop()
        await projection.agent.stop()


async def project(app: faust.App, database: Any, topics: Any, options: ChangelogOptions) -> Projection:
    """Apply the topic to its end and stop; gives another projection of the same, which does not run."""
    async with projecting(app, database, options) as projection:
        ends = await topics.ends(options.topic)
        await eventually(lambda: applied(projection, ends), seconds=30)
    return make_projection(app, database, options)


async def eventually(
    check: Callable[[], Awaitable[Any]], *, seconds: float = 15.0, every: float = 0.05
) -> Any:
    """Wait until the check gives something true, and return that; the last value is in the failure."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        value = await check()
        if value:
            return value
        assert asyncio.get_running_loop().time() < deadline, f"still {value!r} after {seconds:g} s"
        await asyncio.sleep(every)


async def live(collection: Any) -> dict[Any, dict[str, Any]]:
    """The documents that are no markers, by key."""
    documents = await collection.find({"_deleted": {"$exists": False}}).to_list(None)
    return {document["_key"]: document for document in documents}


async def applied(projection: Projection, ends: dict[int, int]) -> bool:
    """Whether every record before these ends is applied."""
    positions = await projection.collection.positions.load_positions(projection.options.topic)
    return all(end == 0 or (n in positions and positions[n].applied >= end) for n, end in ends.items())
