"""One member of a partitioned group: its lane, and the stage before it where records change their partition."""

import asyncio
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import faust
from mode import Service

from prom_faust.clients import Clients
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.dlq.kafka import Graveyard
from prom_faust.exceptions import DecodeError
from prom_faust.kafka import ensure_topics
from prom_faust.lane.agent import BatchAgent, Deliveries
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.ownership.kafka import Watcher
from prom_faust.lane.record import Record
from prom_faust.lane.service import Lane
from prom_faust.partitioned.agent import Decode, Handle, RecordAgent, record_steps
from prom_faust.partitioned.decode import Reader
from prom_faust.partitioned.event import Handler, PartitionedEvent
from prom_faust.partitioned.kafka import Repartitioner
from prom_faust.partitioned.options import PartitionedOptions, repartition_spec
from prom_faust.partitioned.source import original
from prom_faust.settings import Settings
from prom_faust.topics import TopicSpec, dead_letter_spec

__all__ = ["Plan", "Subscription", "handing_to"]

BATCH = 100
"""Records that one partition has in flight: what may come again after a crash, beside what is not committed."""
SLOTS = 64
"""Partitions that are worked on without waiting for each other; more than these share."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a subscription is made of.

    Attributes:
        app: the Faust app.
        clients: opens Kafka clients.
        settings: times and limits.
        options: how to read.
        reader: reads the topic's records.
        name: of the agent.
        spec: the topic, as it must be.
        repartition: whether records have to change their partition first.
    """

    app: faust.App
    clients: Clients
    settings: Settings
    options: PartitionedOptions
    reader: Reader
    name: str
    spec: TopicSpec
    repartition: bool

    def specs(self) -> list[TopicSpec]:
        """Every topic that it needs."""
        letters = dead_letter_spec(dlq_topic(self.options.topic))
        between = [repartition_spec(str(self.app.conf.id), self.options)] if self.repartition else []
        return [self.spec, letters, *between]

    def lane_options(self, topic: str, partitions: int | None, **changes: Any) -> LaneOptions:
        """How a lane of it reads."""
        options, settings = self.options, self.settings
        slots = min(partitions or SLOTS, SLOTS)
        return LaneOptions(
            **{
                "topic": topic,
                "group": options.group,
                "batch": BATCH,
                "buffer": 4 * BATCH * slots,
                "drain_timeout": settings.drain_timeout,
                "history_interval": settings.history_interval,
                "member": options.member_id,
                "heartbeat_interval": options.rebalance_every,
                "session_timeout": options.ttl,
                # A static member does not leave, and `stop` promises that it does.
                "static": False,
                "strict": True,
                "slots": slots,
                **changes,
            }
        )


class Subscription(Service):
    """One member of a group, whose partitions come from Kafka.

    Args:
        plan: what it is made of.
        handle: gets the events.
        watcher: is told what is owned, or None.
        decode: reads a record; where it is given the records stay where they are.

    Attributes:
        lanes: one for each stage; the agent of the last one calls the handler.
    """

    def __init__(
        self,
        plan: Plan,
        handle: Handle,
        watcher: Watcher | None = None,
        *,
        decode: Decode | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        options, clients = plan.options, plan.clients
        self._graveyard = Graveyard(clients, plan.settings, options.group, self._original)
        self._repartitioner: Repartitioner | None = None
        self.lanes: list[Lane] = []
        if plan.repartition:
            topic = repartition_spec(str(plan.app.conf.id), options).name
            self.lanes.append(self._first_stage(topic))
            lane_options = plan.lane_options(topic, options.partitions, reset="earliest")
            decode = plan.reader.repartitioned_event
        else:
            lane_options = plan.lane_options(options.topic, plan.spec.partitions, reset="latest")
            decode = decode or plan.reader.event
        steps = record_steps(decode, handle, self._graveyard.bury)
        agent = RecordAgent(steps, app=plan.app, name=plan.name, **_agent_options(plan.app))
        self.lanes.append(Lane(clients, agent, lane_options, watcher=watcher))

    def _first_stage(self, topic: str) -> Lane:
        plan = self.plan
        repartitioner = self._repartitioner = Repartitioner(
            plan.clients,
            plan.reader,
            topic=topic,
            partitions=plan.options.partitions or 1,
            graveyard=self._graveyard,
        )

        async def forward(batches: Deliveries) -> None:
            async for batch in batches:
                await batches.cancellable(repartitioner.forward(batch))

        agent = BatchAgent(
            forward,
            app=plan.app,
            name=f"{plan.name}.repartition",
            help=f"Sends the records of {plan.options.topic} to their logical partitions.",
            **_agent_options(plan.app),
        )
        options = plan.lane_options(
            plan.options.topic,
            plan.spec.partitions,
            group=f"{plan.options.group}.repartition",
            reset="latest",
            slots=1,
            batch=1_000,
            buffer=4_000,
        )
        return Lane(plan.clients, agent, options)

    def _original(self, record: Record) -> Record:
        if self._repartitioner is None:
            return record
        try:
            return original(record, self.plan.options.topic)[0]
        except DecodeError:
            return record  # somebody else wrote it, and it has no other place

    @property
    def label(self) -> str:
        """Shown in Faust's service graph."""
        return f"Partitioned: {self.plan.options.topic} -> {self.plan.name}"

    @property
    def lane(self) -> Lane:
        """The lane whose partitions are the logical ones."""
        return self.lanes[-1]

    async def on_start(self) -> None:
        """See to the topics; a worker's checks have done so, unless this begins while it runs.

        Raises:
            TopicError: one is not as it must be.
            UnreachableError: Kafka does not answer.
        """
        await ensure_topics(self.plan.clients, self.plan.specs(), self.plan.settings)

    async def on_started(self) -> None:
        """Start to read."""
        for lane in reversed(self.lanes):
            await self.add_runtime_dependency(lane)

    async def on_stop(self) -> None:
        """Let the handlers at work return, and leave the groups."""
        await asyncio.gather(*(lane.stop() for lane in self.lanes))
        if self._repartitioner is not None:
            await self._repartitioner.close()
        await self._graveyard.close()


def handing_to(handler: Handler) -> Handle:
    """A handler, sync or async, as something that is always there."""

    async def handle(event: PartitionedEvent) -> bool:
        answer = handler(event)
        if isawaitable(answer):
            await answer
        return True

    return handle


def _agent_options(app: faust.App) -> dict[str, Any]:
    return {"on_error": app._on_agent_error}  # noqa: SLF001 - as app.agent() does
