"""Event agents inside a Faust app: what they read, how they send, and their lane."""

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from pydantic import BaseModel

from prom_faust.clients import DEAD_LETTER_REQUEST_BYTES
from prom_faust.dlq.envelope import dlq_topic, encode, value_of
from prom_faust.dlq.kafka import Graveyard
from prom_faust.events.agent import EventAgent
from prom_faust.events.event import Event, EventFun, EventOptions, Message
from prom_faust.events.kafka import Transactions
from prom_faust.events.sending.faust import DirectSender, Host, Outbox
from prom_faust.exceptions import RecordError
from prom_faust.lane.faust import add_lane
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.record import Record
from prom_faust.lane.records.tasks import Steps, Workers
from prom_faust.lane.service import Lane
from prom_faust.partitioned.decode import Reader
from prom_faust.publish.kafka import GatedProducer
from prom_faust.settings import Settings

__all__ = ["add_event_agent"]

BATCH = 100
"""Records of one partition that are at hand for one worker: what may come again after a crash, at most."""
LARGEST_BATCH = 1_000
Bury = Callable[[Record, RecordError], Awaitable[Sequence[Message]]]

SLOTS = 64
"""Partitions that are worked on without waiting for each other; more than these share."""


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
    sender = Outbox if options.exactly_once else DirectSender
    reader = Reader(
        options.topic,
        gate.registry,
        model=model,
        compacted=lambda: gate.rules.is_compacted(options.topic),
        allow_empty=options.allow_empty,
        make=lambda **fields: Event(**fields, sender=sender(host)),
    )
    graveyard = Graveyard(host.clients, settings, options.group)

    def fenced(error: KafkaError) -> None:
        lane.rejoin(error)  # which is made with the agent, as that is with this

    transactions = _transactions(host, options, fenced)
    bury = _publishing(graveyard) if transactions is None else _enclosing(graveyard)
    agent = EventAgent(
        Steps(reader.event, _calling(fun), bury),
        app=host.app,
        name=options.name,
        policy=options.policy,
        workers=Workers(options.concurrency),
        outlet=None if transactions is None else transactions.of,
        help=fun.__doc__ or "",
        on_error=host.app._on_agent_error,  # noqa: SLF001 - as app.agent() does
    )
    lane_options = _lane_options(options, settings, gate.rules.partitions(options.topic) or SLOTS)
    lane = Lane(host.clients, agent, lane_options, graveyard=graveyard, fence=transactions)
    add_lane(host, lane)
    return agent


def _transactions(
    host: Host, options: EventOptions, fenced: Callable[[KafkaError], None]
) -> Transactions | None:
    if not options.exactly_once:
        return None

    def make(transactional_id: str) -> AIOKafkaProducer:
        # Dead letters go the same way, and are larger than their records.
        producer = cast(GatedProducer, host.app.producer)
        return producer.transactional(transactional_id, max_request_size=DEAD_LETTER_REQUEST_BYTES)

    return Transactions(make, options.group, fenced=fenced)


def _lane_options(options: EventOptions, settings: Settings, partitions: int) -> LaneOptions:
    batch, slots = min(BATCH * options.concurrency, LARGEST_BATCH), min(partitions, SLOTS)
    return LaneOptions(
        topic=options.topic,
        group=options.group,
        batch=batch,
        buffer=2 * batch * slots,
        reset=options.reset,
        drain_timeout=settings.drain_timeout,
        history_interval=settings.history_interval,
        slots=slots,
    )


def _calling(fun: EventFun) -> Callable[[Event], Awaitable[Sequence[Message]]]:
    async def call(event: Event) -> Sequence[Message]:
        try:
            answer = fun(event)
            if isawaitable(answer):
                await answer
        finally:
            sent = event.sender.close()
        return sent

    return call


def _publishing(graveyard: Graveyard) -> Bury:
    async def bury(record: Record, error: RecordError) -> Sequence[Message]:
        failure = await graveyard.bury(record, error)
        if failure is not None:
            raise failure
        return ()

    return bury


def _enclosing(graveyard: Graveyard) -> Bury:
    """The letter is in the transaction that says that its record is done."""

    async def bury(record: Record, error: RecordError) -> Sequence[Message]:
        letter = await graveyard.letter(record, error)
        return [
            Message(
                dlq_topic(record.topic),
                letter.record.key,
                value_of(letter),
                like=record.partition,
                headers=tuple(encode(letter)),
            )
        ]

    return bury
