"""A service of ours in a Faust app: begun with the worker, or at once where that runs."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, cast

import faust
from mode import Service

from prom_faust.clients import Clients
from prom_faust.dlq.kafka import Graveyard
from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.agent import BatchAgent, BatchFun, DeliveryAgent
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.service import Lane
from prom_faust.settings import Settings

__all__ = ["Host", "Stop", "add_batch_agent", "add_lane", "begin"]


class Host(Protocol):
    """What lanes need of the plugin."""

    app: faust.App
    settings: Settings
    clients: Clients
    lanes: dict[str, Lane]


Stop = Callable[[], Awaitable[None]]
"""Stops what was begun; it may still be on its way to start."""


def begin(app: faust.App, service: Service, agents: Iterable[DeliveryAgent] = ()) -> Stop:
    """Start a service with the app, or at once where that runs; gives what stops it."""

    async def start() -> None:
        for agent in agents:
            await agent.maybe_start()
        await app.add_runtime_dependency(service)

    if app.started:
        started = app.add_future(start())  # an error of it ends the worker
    else:
        started = None
        app.service(cast(Any, service))  # an instance starts as a class does; Faust types the class only

    async def stop() -> None:
        if started is not None:
            await started
        await service.stop()

    return stop


def add_lane(host: Host, lane: Lane) -> None:
    """Make a lane and its agent parts of their app: begun with the worker, or at once where that runs.

    Raises:
        ConfigurationError: there is an agent of that name.
    """
    name = lane.agent.name
    if name in host.app.agents:
        raise ConfigurationError(f"there is an agent {name} already; give name=")
    host.app.agents[name] = lane.agent
    host.lanes[name] = lane
    begin(host.app, lane, [lane.agent])


def add_batch_agent(
    host: Host, fun: BatchFun, options: LaneOptions, *, name: str, concurrency: int
) -> BatchAgent:
    """Make an agent that gets batches.

    Args:
        host: the plugin.
        fun: what it does.
        options: how its lane reads.
        name: its name.
        concurrency: how many batches it works on at once.

    Raises:
        ConfigurationError: there is an agent of that name.
    """
    agent = BatchAgent(
        fun,
        app=host.app,
        name=name,
        concurrency=concurrency,
        help=fun.__doc__ or "",
        on_error=host.app._on_agent_error,  # noqa: SLF001 - as app.agent() does
    )
    graveyard = Graveyard(host.clients, host.settings, options.group)
    add_lane(host, Lane(host.clients, agent, options, graveyard=graveyard))
    return agent
