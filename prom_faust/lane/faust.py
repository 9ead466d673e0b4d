"""A service of ours in a Faust app: begun with the worker, or at once where that runs."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import faust
from mode import Service

from prom_faust.lane.agent import DeliveryAgent

__all__ = ["Stop", "begin"]

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
