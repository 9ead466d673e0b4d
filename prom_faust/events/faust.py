"""Event agents inside a Faust app: what they read, how they send, and their lane."""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Protocol, cast

import faust
from pydantic import BaseModel

from prom_faust.clients import Clients
from prom_faust.dlq.kafka import Graveyard
from prom_faust.events.agent import EventAgent
from prom_faust.events.event import Event, EventFun, EventOptions
from prom_faust.exceptions import RecordError, SendRefusedError
from prom_faust.lane.faust import add_lane
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.record import Record
from prom_faust.lane.records.tasks import Steps, Workers
from prom_faust.lane.service import Lane
from prom_faust.partitioned.decode import Reader
from prom_faust.publish.gate import Gate
from prom_faust.settings import Settings

__all__ = ["add_event_agent"]

BATCH = 100
"""Records of one partition that are at hand for one worker: what may come again after a crash, at most."""
LARGEST_BATCH = 1_000
SLOTS = 64
"""Partitions that are worked on without waiting for each other; more than these share."""


class Host(Protocol):
    """What an event agent needs of the plugin."""

    app: faust.App
    settings: Settings
    clients: Clients
    gate: Gate
    lanes: dict[str, Lane]

    def declared_topic(self, name: str) -> faust.Topic | None:
        """A topic that was declared with the plugin."""
        ...


def add_event_agent(
    host: Host, fun: EventFun, options: EventOptions, *, model: Callable[[], type[BaseModel] | None]
) -> EventAgent:
    """Make an agent that gets events one by one.

    Args:
        host: the plugin.
        fun: what it does.
        options: how it works.
        model: gives the model of the topic's values, where it has no schema.

    Raises:
        ConfigurationError: there is an agent of that name.
    """
    gate, settings = host.gate, host.settings
    reader = Reader(
        options.topic,
        gate.registry,
        model=model,
        compacted=lambda: gate.rules.is_compacted(options.topic),
        allow_empty=options.allow_empty,
        make=lambda **fields: Event(**fields, _sender=DirectSender(host)),
    )
    graveyard = Graveyard(host.clients, settings, options.group)
    agent = EventAgent(
        _steps(reader, fun, graveyard),
        app=host.app,
        name=options.name,
        policy=options.policy,
        workers=Workers(options.concurrency),
        help=fun.__doc__ or "",
        on_error=host.app._on_agent_error,  # noqa: SLF001 - as app.agent() does
    )
    add_lane(host, Lane(host.clients, agent, _lane_options(options, settings), graveyard=graveyard))
    return agent


def _lane_options(options: EventOptions, settings: Settings) -> LaneOptions:
    batch = min(BATCH * options.concurrency, LARGEST_BATCH)
    return LaneOptions(
        topic=options.topic,
        group=options.group,
        batch=batch,
        buffer=2 * batch * SLOTS,
        reset=options.reset,
        drain_timeout=settings.drain_timeout,
        history_interval=settings.history_interval,
        slots=SLOTS,
    )


def _steps(reader: Reader, fun: EventFun, graveyard: Graveyard) -> Steps:
    async def call(event: Event) -> tuple[()]:
        answer = fun(event)
        if isawaitable(answer):
            await answer
        return ()

    async def bury(record: Record, error: RecordError) -> tuple[()]:
        failure = await graveyard.bury(record, error)
        if failure is not None:
            raise failure
        return ()

    return Steps(reader.event, call, bury)


class DirectSender:
    """Sends at once, with the app's own producer.

    Args:
        host: the plugin.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    async def send(self, topic: Any, **message: Any) -> None:
        """Send, and wait until the message is on its topic."""
        await (await topic_of(self._host, topic).send(**message))


def topic_of(host: Host, topic: Any) -> faust.Topic:
    """A topic of the app, by itself or by its name.

    Raises:
        SendRefusedError: it is none.
    """
    if isinstance(topic, str):
        return host.declared_topic(topic) or cast(faust.Topic, host.app.topic(topic))
    if not isinstance(topic, faust.Topic):
        raise SendRefusedError(f"send() takes a topic or its name, not {topic!r:.80}")
    return topic
