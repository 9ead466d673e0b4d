"""Partitioned consumers inside a Faust app: begun with the worker or while it runs, and stopped one by one."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import faust
from pydantic import BaseModel

from prom_faust.assignment.coordinator import PartitionCoordinator
from prom_faust.clients import Clients
from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.agent import DeliveryAgent
from prom_faust.lane.faust import Stop, begin
from prom_faust.lane.service import Lane
from prom_faust.partitioned.decode import Reader
from prom_faust.partitioned.event import Handler, PartitionedEvent
from prom_faust.partitioned.fanout.service import Fanout, FanoutMember
from prom_faust.partitioned.hooks import Hooks
from prom_faust.partitioned.options import PartitionedOptions
from prom_faust.partitioned.service import Plan, Subscription, handing_to
from prom_faust.partitioned.tasks import AtWork, ending
from prom_faust.publish.rules import Rules
from prom_faust.schema.registry import SchemaRegistry
from prom_faust.settings import Settings
from prom_faust.topics import TopicSpec

__all__ = ["Subscribed", "Subscriptions"]


class Host(Protocol):
    """What a subscription needs of the plugin."""

    app: faust.App
    settings: Settings
    clients: Clients
    registry: SchemaRegistry
    rules: Rules
    lanes: dict[str, Lane]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """One subscription.

    Attributes:
        agent: what works on the records, as it is listed in ``app.agents``.
        stop: leaves at once: the handler at work returns first, and others take the partitions over.
        specs: the topics that it needs.
        at_work: its handlers and hooks, for which ``stop`` waits.
    """

    agent: DeliveryAgent
    stop: Stop
    specs: list[TopicSpec]
    at_work: AtWork


@dataclass(slots=True)
class Subscriptions:
    """The partitioned consumers of one app.

    Attributes:
        members: group and member's own name (None for the worker's) of each; a group has a name once.
    """

    members: set[tuple[str, str | None]] = field(default_factory=set)
    _fanouts: dict[tuple[str, str, int], tuple[Fanout, Subscribed]] = field(default_factory=dict)

    def add(
        self,
        host: Host,
        spec: TopicSpec,
        options: PartitionedOptions,
        handler: Handler,
        *,
        name: str | None = None,
        model: Callable[[], type[BaseModel] | None],
        coordinator: PartitionCoordinator | None = None,
    ) -> Subscribed:
        """Subscribe: with the worker, or at once where it runs.

        Args:
            host: the plugin.
            spec: the topic, as it must be.
            options: how to read.
            handler: gets the events.
            name: of the agent.
            model: gives the model of the topic's values, where it has no schema.
            coordinator: shares the partitions among members of this process, instead of Kafka.

        Raises:
            ConfigurationError: the group has such a member in this process already, the name is taken, or nobody
                says how many logical partitions there are.
        """
        repartition = False
        if coordinator is None:
            options, repartition = _logical(options, spec, host.rules)
        member = (options.group, options.member_id)
        if member in self.members:
            raise ConfigurationError(
                f"group {options.group} has a member {options.member_id or 'under the name of this worker'} in this "
                "process already: give each a member_id= of its own"
            )
        reader = Reader(
            options.topic,
            host.registry,
            model=model,
            compacted=lambda: host.rules.is_compacted(options.topic),
            key_of=options.key_of,
        )
        own = options.member_id if coordinator is None else options.topic
        plan = Plan(
            app=host.app,
            clients=host.clients,
            settings=host.settings,
            options=options,
            reader=reader,
            name=name or ".".join(filter(None, ("partitioned", options.group, own))),
            spec=spec,
            repartition=repartition,
        )
        if coordinator is None:
            subscribed = self._alone(host, plan, handler)
        else:
            subscribed = self._together(host, plan, handler, coordinator)
        self.members.add(member)

        async def stop() -> None:
            await subscribed.stop()
            self.members.discard(member)

        return replace(subscribed, stop=ending(stop, subscribed.at_work))

    def _alone(self, host: Host, plan: Plan, handler: Handler) -> Subscribed:
        options, at_work = plan.options, AtWork()
        hooks = Hooks(
            options.group,
            options.on_assigned and at_work.within(options.on_assigned),
            options.on_revoked and at_work.within(options.on_revoked),
        )
        hand = handing_to(at_work.within(handler))

        async def handle(event: PartitionedEvent) -> bool:
            return not subscription.should_stop and await hand(event)

        subscription = Subscription(plan, handle, hooks)
        return _attach(host, subscription, at_work)

    def _together(
        self, host: Host, plan: Plan, handler: Handler, coordinator: PartitionCoordinator
    ) -> Subscribed:
        """One lane for all members of a coordinator's group; it ends with the last of them."""
        options = plan.options
        place = (options.topic, options.group, id(coordinator))
        if place not in self._fanouts:
            fanout = _fanout(plan, coordinator)
            self._fanouts[place] = fanout, _attach(host, fanout.subscription, fanout.at_work)
        fanout, lane = self._fanouts[place]
        member = FanoutMember(fanout, options, handler)
        fanout.add(member)
        leave = begin(host.app, member)

        async def stop() -> None:
            await leave()
            fanout.members.remove(member)
            if not fanout.members:
                del self._fanouts[place]
                await lane.stop()

        return replace(lane, stop=stop)


def _fanout(plan: Plan, coordinator: PartitionCoordinator) -> Fanout:
    """What reads for the members of a coordinator's group.

    Raises:
        ConfigurationError: nobody says how many partitions there are.
    """
    options = plan.options
    partitions = options.partitions or plan.spec.partitions
    if partitions is None:
        raise ConfigurationError(
            f"group {options.group} shares the partitions of {options.topic} with coordinator=: say how many there "
            "are with partitions=, or declare the topic"
        )
    shared = replace(options, partitions=None, member_id=None, on_assigned=None, on_revoked=None)
    return Fanout(replace(plan, options=shared), coordinator, partitions)


def _logical(options: PartitionedOptions, spec: TopicSpec, rules: Rules) -> tuple[PartitionedOptions, bool]:
    """The options with the number of logical partitions, and whether those are others than Kafka's.

    Raises:
        ConfigurationError: they are others, and nobody says how many there are.
    """
    declared = rules.find(options.topic)
    keyed = options.key_of is None or (declared is not None and options.key_of == declared.key)
    if options.partitions is None:
        if keyed:
            return options, False
        if spec.partitions is None:
            raise ConfigurationError(
                f"group {options.group} chooses the partitions of {options.topic} by key_of=: say how many there are "
                "with partitions=, or declare the topic with a number of them"
            )
        return replace(options, partitions=spec.partitions), True
    at_home = declared is not None and (declared.routing, declared.partitions) == ("jump", options.partitions)
    return options, not (keyed and at_home)


def _attach(host: Host, subscription: Subscription, at_work: AtWork) -> Subscribed:
    """Make a subscription part of its app."""
    app, lanes = host.app, subscription.lanes
    agents = [lane.agent for lane in lanes]
    taken = [agent.name for agent in agents if agent.name in app.agents]
    if taken:
        raise ConfigurationError(f"there is an agent {taken[0]} already; give name=")
    for lane in lanes:
        app.agents[lane.agent.name] = lane.agent
        host.lanes[lane.agent.name] = lane
    stop = begin(app, subscription, agents)

    async def leave() -> None:
        await stop()
        for agent in agents:
            await agent.stop()
            app.agents.pop(agent.name, None)
            host.lanes.pop(agent.name, None)

    return Subscribed(agents[-1], leave, subscription.plan.specs(), at_work)
