"""The plugin of one app: what topics, projections, agents and coordinators are declared on."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import faust
from faust.tables.wrappers import WindowWrapper
from pydantic import BaseModel

from prom_faust.assignment.coordinator import PartitionCoordinator
from prom_faust.assignment.handover import Hook
from prom_faust.clients import Clients
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.dlq.faust import Burial
from prom_faust.events.agent import EventAgent
from prom_faust.events.event import EventFun, EventOptions
from prom_faust.events.faust import add_event_agent
from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.agent import BatchAgent, BatchFun, DeliveryAgent
from prom_faust.lane.failure.policy import OnError, Policy
from prom_faust.lane.faust import Stop, add_batch_agent
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.service import Lane
from prom_faust.ops.pages import Pages
from prom_faust.ops.status import TOPIC as STATUS_TOPIC
from prom_faust.ops.status import status_spec
from prom_faust.partitioned.event import Handler, PartitionedEvent
from prom_faust.partitioned.faust import Subscribed, Subscriptions
from prom_faust.partitioned.options import PartitionedOptions
from prom_faust.publish.gate import Gate
from prom_faust.publish.rules import Rules, TopicRules
from prom_faust.routing.hashing import Routing
from prom_faust.routing.key import KeyOf as PayloadKey
from prom_faust.routing.sample import Expectation
from prom_faust.schema.json import JSONSchema
from prom_faust.schema.registry import SchemaRegistry
from prom_faust.settings import Settings
from prom_faust.sink.faust import Projection, attach
from prom_faust.sink.metrics import SinkHistograms
from prom_faust.sink.mongo.url import database_of
from prom_faust.sink.options import ChangelogOptions, Index, KeyOf, MapOf, RecordKey, VersionOf
from prom_faust.sink.target import CollectionOf
from prom_faust.sink.tolerance import Tolerance
from prom_faust.tables.source.faust import plain_table, table_fields
from prom_faust.topics import TopicSpec, dead_letter_spec

__all__ = ["Prom"]


@dataclass(slots=True)
class _Declared:
    spec: TopicSpec
    model: type[BaseModel] | None
    topic: faust.Topic


@dataclass(slots=True)
class Prom:
    """The plugin of one app, as ``install`` gives it.

    Attributes:
        app: the Faust app.
        settings: the settings.
        registry: what the topics may carry.
        projections: the projections, by collection.
        lanes: the lanes of batch agents, by agent name.
        coordinators: coordinators of this process that ``/ops/coordinators`` shows.
        ops: the operator's pages, or None where the app has none.
        histograms: of the projections.
    """

    app: faust.App
    settings: Settings
    clients: Clients
    registry: SchemaRegistry
    rules: Rules
    gate: Gate
    burial: Burial
    projections: dict[str, Projection] = field(default_factory=dict)
    lanes: dict[str, Lane] = field(default_factory=dict)
    coordinators: list[PartitionCoordinator] = field(default_factory=list)
    ops: Pages | None = None
    _topics: dict[str, _Declared] = field(default_factory=dict)
    _sources: dict[str, TopicSpec] = field(default_factory=dict)
    histograms: SinkHistograms = field(default_factory=SinkHistograms)
    _database: Any = None
    _partitioned: Subscriptions = field(default_factory=Subscriptions)

    @property
    def database(self) -> Any:
        """The MongoDB database of ``mongo_url``; its client is made at first use."""
        if self._database is None:
            self._database = database_of(self.settings.mongo_url)
        return self._database

    def topic(
        self,
        name: str,
        *,
        partitions: int = 8,
        compacted: bool = False,
        key: PayloadKey | None = None,
        routing: Routing | Literal["app"] | None = None,
        model: type[BaseModel] | None = None,
        config: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> faust.Topic:
        """Declare a topic: it is created at start if it is missing, and checked if it is not.

        What is sent to it obeys the schema that the registry has for its name. Agents get its values as the
        latest version's model; a record that is none goes to ``<name>.dlq`` and no agent sees it. Nor do they see
        tombstones, unless ``allow_empty=True`` asks for them, as None.

        Args:
            name: the topic's name.
            partitions: how many partitions it has.
            compacted: whether it is compacted: the last value of every key is kept.
            key: the field of a payload, or a function of it, that is its key; then ``send`` needs no ``key=``.
            routing: how a key finds its partition: ``jump`` (default), jump consistent hash, or ``kafka``, as
                Kafka's own clients do it, or ``app``, as the app's own partitioner does or its senders choose.
            model: the pydantic model of its values, for projections of a topic that has no schema.
            config: further topic settings for its creation, for example ``{"retention.ms": "3600000"}``.
            **kwargs: passed to ``app.topic``.

        Returns:
            A Faust topic.

        Raises:
            ConfigurationError: the name was declared before with other options.
        """
        if routing not in {None, "jump", "kafka", "app"}:
            raise ConfigurationError(f"routing of topic {name} must be jump, kafka or app, not {routing!r}")
        if partitions < 1:
            raise ConfigurationError(f"topic {name} must have at least 1 partition, not {partitions}")
        spec = TopicSpec(name, partitions, compacted, dict(config or {}))
        keeps = "compact" in spec.creation_config.get("cleanup.policy", "")
        chosen = self.rules.internal if routing is None else routing
        rules = TopicRules(name, partitions, keeps, None if chosen == "app" else chosen, key)
        known = self._topics.get(name)
        if known is not None:
            if known.spec != spec or self.rules.find(name) != rules:
                raise ConfigurationError(
                    f"topic {name} is declared twice, as {known.spec} with {self.rules.find(name)} and as {spec} "
                    f"with {rules}"
                )
            return known.topic
        self.rules.declare(rules)  # before the topic is made, which asks for it
        topic: faust.Topic = cast(Any, self.app.topic)(
            name, partitions=partitions, compacting=compacted, **kwargs
        )
        self._topics[name] = _Declared(spec, model, topic)
        return topic

    def table(self, name: str, *, source: faust.Topic, **kwargs: Any) -> faust.Table[Any, Any]:
        """Make a table that is written from one topic: same keys, same number of partitions, same homes.

        ``app.router.key_store`` then finds a key where its data is. A plain ``app.Table`` has keys of its own.

        Args:
            name: the table's name.
            source: the declared topic whose stream writes it.
            **kwargs: passed to ``app.Table``.

        Raises:
            ConfigurationError: the source is not declared with ``prom.topic``.
        """
        topic = str(source.get_topic_name())
        if topic not in self._topics:
            raise ConfigurationError(f"table {name}: declare its source {topic} with prom.topic first")
        options = {
            "key_type": source.key_type,
            "partitions": self._topics[topic].spec.partitions,
        }
        table = cast("faust.Table[Any, Any]", self.app.Table(name, **{**options, **kwargs}))
        changelog = str(table.changelog_topic.get_topic_name())
        self.rules.follow(changelog, topic)
        # Two workers that start at once see it without partitions for a while, if Faust makes it, and crash.
        compact = {"cleanup.policy": "compact"}
        self._sources[changelog] = TopicSpec(changelog, self._topics[topic].spec.partitions, config=compact)
        return table

    def materialize(
        self,
        topic: faust.Topic | faust.Table[Any, Any] | str,
        *,
        collection: str | None = None,
        collection_of: CollectionOf | None = None,
        key: KeyOf | None = None,
        map: MapOf | None = None,  # noqa: A002 - the word users expect
        model: type[BaseModel] | None = None,
        tombstone: Callable[[Any], bool] | None = None,
        indexes: Sequence[Index | str] = (),
        version: VersionOf | None = None,
        record_key: RecordKey | None = None,
        deletes: Literal["hard", "remember"] | None = None,
        write: Literal["replace", "set", "insert"] = "replace",
        fence_delay: float | None = None,
        size: int = 500,
        window: int = 10_000,
        group: str | None = None,
        database: Any = None,
        tolerance: Tolerance = "all",
        max_failure_rate: float | None = None,
        redact: Sequence[str] = (),
    ) -> Projection:
        """Keep a collection equal to a topic: the last value of every key that is not deleted.

        ``key``, ``version`` and ``topic`` are ``key_of``, ``version_of`` and ``topic`` of
        :class:`~prom_faust.ChangelogOptions`; the other options have its names and meanings. ``model`` and
        ``record_key`` come from the topic's declaration where they are not given.

        A table is projected from its changelog: a key that is deleted from the table loses its document. A value
        that is no object is stored as the field ``value``. Windowed tables and sets are refused: a changelog of
        theirs does not hold the values of keys.

        Args:
            topic: a topic declared with ``prom.topic``, another Faust topic, a Faust table, or a name.
            collection: the collection's name; a table's own by default.
            collection_of: see there.
            key: see ``key_of``.
            map: see there.
            model: see there.
            tombstone: see there.
            indexes: see there.
            version: see ``version_of``.
            record_key: see there.
            deletes: see there.
            write: see there.
            fence_delay: see there.
            size: see there.
            window: see there.
            group: see there.
            database: a database of pymongo's async API or of motor, instead of the one of ``mongo_url``.
            tolerance: see there.
            max_failure_rate: see there.
            redact: see there; tags are looked for in the model, and in all versions that the registry has by now.

        Returns:
            The projection; its agent is ``app.agents["sink.<collection>"]``.

        Raises:
            ConfigurationError: options that contradict each other, or a collection that is projected twice.
        """
        table = isinstance(topic, faust.Table | WindowWrapper)
        if isinstance(topic, faust.Table | WindowWrapper):
            source = plain_table(topic)
            collection, map, topic = collection or source.name, map or table_fields, self._changelog(source)  # noqa: A001
        if collection is None:
            raise ConfigurationError("materialize needs collection=, the name of the collection")
        if collection in self.projections:
            raise ConfigurationError(f"collection {collection} is projected twice")
        name = self._source(topic)
        declared = self._topics.get(name)
        options = ChangelogOptions(
            topic=name,
            collection=collection,
            collection_of=collection_of,
            key_of=key,
            map=map,
            model=model or self._model(name),
            tombstone=tombstone,
            indexes=tuple(indexes),
            version_of=version,
            record_key=record_key or ("json" if _keys_are_json(topic) else "text"),
            compacted=declared.spec.compacted is True if declared else True,
            # A changelog's records are where the records are that wrote the table, whatever its own keys are.
            routing="kafka" if table else self.rules.routing(name) or "kafka",
            write=write,
            deletes=deletes,
            fence_delay=fence_delay,
            size=size,
            window=window,
            group=group,
            tolerance=tolerance,
            max_failure_rate=max_failure_rate,
            redact=redact,
            redact_schemas=self._schemas(name),
        )
        if database is None:
            database = self.database
        projection = Projection(
            self.app, database, options, self.settings, self.clients, histograms=self.histograms
        )
        self.projections[collection] = projection
        attach(projection)
        return projection

    def batch_agent(
        self,
        topic: faust.Topic | str,
        *,
        size: int = 500,
        window: int = 10_000,
        name: str | None = None,
        group: str | None = None,
        reset: Literal["earliest", "latest"] = "earliest",
        concurrency: int = 1,
        by_key: bool = False,
        on_error: OnError = "retry",
        attempts: int = 5,
    ) -> Callable[[BatchFun], BatchAgent]:
        """Make an agent that gets batches, each at least once, in order within a partition, or of each key.

        A batch is done when the agent asks for the next one; only then are its offsets committed. If the agent
        raises, Faust restarts it, and the batch is sent again after a pause that grows; ``/ops/sinks`` says why.
        What comes after some attempts is ``on_error=``'s to say:

        * ``retry``: it is sent again for ever.
        * ``dead_letter``: it is taken apart, half by half, until the records are found over which the agent raises
          also when it gets them alone. They go to ``<topic>.dlq``, and nothing else does. The agent sees good
          records again meanwhile, so what it does must bear to be done twice.
        * ``stop``: it is taken apart in the same way, and the partition stops at such a record, as a task of Kafka
          Connect does. The others go on. ``/ops/sinks`` and ``/ops/ready`` say so; a restart, or a rebalance, tries
          again.

        Errors whose attribute ``retryable`` is True, as that of :class:`~prom_faust.exceptions.UnreachableError`, are
        no fault of the records: they are tried again whatever the policy is. A ``RecordError`` is the fault of a
        record, again whatever the policy: that record is found, and dead-lettered, without further attempts. An
        agent that knows which one it is says ``batch.reject(record, reason)`` and goes on.

        Args:
            topic: a declared topic, another Faust topic, or a name.
            size: the most records in one batch.
            window: the most records read ahead.
            name: the agent's name; the function's by default.
            group: the consumer group; ``<app id>.batch:<name>`` by default.
            reset: where a group without committed offsets starts.
            concurrency: how many batches are worked on at once: of different partitions, or of different keys.
            by_key: whether batches of different keys are worked on at once, also those of one partition. A key's
                records are in order then, a partition's are not; those without a key keep their partition's order.
            on_error: what is done when the agent raises: ``retry``, ``dead_letter`` or ``stop``.
            attempts: how often a batch, and then a record alone, is tried before the latter two.

        Example::

            @prom.batch_agent(orders, size=500)
            async def archive(batches):
                async for batch in batches:
                    await store([record.value for record in batch])
        """
        source, policy = self._source(topic), Policy(on_error, attempts)
        if by_key and concurrency < 2:  # noqa: PLR2004 - one is no concurrency
            raise ConfigurationError(
                "by_key=True divides the records among batches that are worked on at once: say how many with "
                "concurrency=, 2 at least"
            )

        def decorate(fun: BatchFun) -> BatchAgent:
            agent_name = name or f"{fun.__module__}.{fun.__qualname__}"
            options = LaneOptions(
                topic=source,
                group=group or f"{self.app.conf.id}.batch:{agent_name}",
                batch=size,
                buffer=window,
                reset=reset,
                drain_timeout=self.settings.drain_timeout,
                history_interval=self.settings.history_interval,
                policy=policy,
                slots=1 if by_key else None,
                parts=concurrency if by_key else 1,
            )
            return add_batch_agent(self, fun, options, name=agent_name, concurrency=concurrency)

        return decorate

    def event_agent(
        self,
        topic: faust.Topic | str,
        *,
        name: str | None = None,
        group: str | None = None,
        reset: Literal["earliest", "latest"] = "earliest",
        concurrency: int = 1,
        on_error: OnError = "retry",
        attempts: int = 5,
        allow_empty: bool = False,
        exactly_once: bool = False,
    ) -> Callable[[EventFun], EventAgent]:
        """Make an agent that gets events one at a time, each at least once.

        An event is done when the function has returned; only then is its offset committed. One over which it raises
        comes again after a pause that grows, and what is behind it waits; ``on_error=`` is as in ``batch_agent``. A
        record that cannot be read goes to ``<topic>.dlq``, and so does one over which the function raises a
        ``RecordError``.

        Of one key one event is worked on after the other, in their order; events without a key keep the order of
        their partition. With ``concurrency=1`` all of a partition's events do.

        With ``exactly_once`` what the function sends with ``event.send``, the dead letters, and the offset are one
        transaction for each run of events: whatever happens to the worker, a consumer that reads committed sees what
        each event sends once. Events are still *handled* at least once, so this does not cover what the function does
        beside that: writes to a database, calls, messages sent with ``topic.send``. Nor does it cover consumers that
        read uncommitted. Every owned partition has a producer, with the transactional id
        ``<group>-<topic>-<partition>``. Switch it on or off while no worker of the group runs: one without it is not
        shut out by it, and shuts nobody out.

        Args:
            topic: a declared topic, another Faust topic, or a name.
            name: the agent's name; the function's by default.
            group: the consumer group; ``<app id>.event:<name>`` by default.
            reset: where a group without committed offsets starts.
            concurrency: how many events, of different keys, this process works on at once.
            on_error: what is done when the function raises: ``retry``, ``dead_letter`` or ``stop``.
            attempts: how often an event is tried before the latter two.
            allow_empty: whether nulls, and tombstones of a compacted topic, are events too, with the value None;
                otherwise they are skipped.
            exactly_once: whether what is sent with ``event.send`` is done together with the event, or not at all.

        Example::

            @prom.event_agent(orders, concurrency=8, on_error="dead_letter")
            async def ship(event):
                await shipping.post(event.key, event.value.address)
        """
        source, policy = self._source(topic), Policy(on_error, attempts)

        def decorate(fun: EventFun) -> EventAgent:
            agent_name = name or f"{fun.__module__}.{fun.__qualname__}"
            options = EventOptions(
                topic=source,
                group=group or f"{self.app.conf.id}.event:{agent_name}",
                name=agent_name,
                reset=reset,
                concurrency=concurrency,
                policy=policy,
                allow_empty=allow_empty,
                exactly_once=exactly_once,
            )
            return add_event_agent(self, fun, options, model=lambda: self._model(source))

        return decorate

    def subscribe_partitioned(
        self,
        topic: faust.Topic | str,
        handler: Handler,
        *,
        group: str,
        partitions: int | None = None,
        member_id: str | None = None,
        key_of: PayloadKey | None = None,
        ttl: float = 15.0,
        rebalance_every: float = 3.0,
        coordinator: PartitionCoordinator | None = None,
        on_assigned: Hook | None = None,
        on_revoked: Hook | None = None,
    ) -> Stop:
        """Hand a topic's records to a handler one by one, from latest, in order within a logical partition.

        Each logical partition has one owner in the group at any time, whatever happens to the workers. A record is
        done when the handler has returned. If it raises, the record and what is behind it in its partition come
        again after a pause, and the other partitions go on. Records that cannot be read go to ``<topic>.dlq``, and
        so do those over which the handler raises a ``RecordError``; nulls, and tombstones of a compacted topic, are
        skipped.

        Where ``partitions`` is another number than the topic has, or the keys are not at home by jump hash, the
        records pass through an internal topic with that many partitions.

        Called before the worker starts it begins with the worker, else at once.

        Args:
            topic: a declared topic, another Faust topic, or a name.
            handler: gets each :class:`~prom_faust.PartitionedEvent`; sync or async.
            group: the consumer group. It begins with what is sent after its first assignment.
            partitions: how many logical partitions there are; those of the topic by default.
            member_id: this member's stable name in the group; the worker's by default. Two of one process differ.
            key_of: the field of a payload, or a function of it, that chooses the logical partition; the record key
                by default, and where there is none ``topic:partition:offset``.
            ttl: seconds after which the group takes a silent member for dead.
            rebalance_every: seconds between two heartbeats: how soon a member hears of a rebalance.
            coordinator: shares the partitions among members of this process, instead of Kafka's group.
            on_assigned: is called with the logical partitions that this member gets, before their first event; sync
                or async. With Kafka's groups a rebalance takes all back first, so these are all that it has; with
                ``coordinator=`` only what changes hands is named.
            on_revoked: is called with those that it gives back, when no handler is at work on them any more.

        Returns:
            An async function that leaves the group at once: the handlers at work return first, and the name is free
            again when it returns. Further calls do nothing. Called from a handler or a hook of this subscription
            (or, with ``coordinator=``, of its group) it returns at once and no further event is handed over; the end
            comes after that handler has returned.

        Raises:
            ConfigurationError: options that cannot be, or the group has such a member in this process already.
        """
        options = PartitionedOptions(
            topic=self._source(topic),
            group=group,
            partitions=partitions,
            member_id=member_id,
            key_of=key_of,
            ttl=ttl,
            rebalance_every=rebalance_every,
            on_assigned=on_assigned,
            on_revoked=on_revoked,
        )
        return self._subscribe(options, handler, coordinator).stop

    def start_partitioned(
        self,
        topic: faust.Topic | str,
        group: str,
        member_id: str | None,
        partitions: int | None,
        handler: Handler,
        **options: Any,
    ) -> Stop:
        """``subscribe_partitioned`` with what it needs in this order; it takes the same further options."""
        return self.subscribe_partitioned(
            topic, handler, group=group, member_id=member_id, partitions=partitions, **options
        )

    def partitioned_agent(
        self,
        topic: faust.Topic | str,
        *,
        group: str,
        partitions: int | None = None,
        member_id: str | None = None,
        key_of: PayloadKey | None = None,
        ttl: float = 15.0,
        rebalance_every: float = 3.0,
        coordinator: PartitionCoordinator | None = None,
        on_assigned: Hook | None = None,
        on_revoked: Hook | None = None,
        name: str | None = None,
    ) -> Callable[[Callable[[PartitionedEvent], Any]], DeliveryAgent]:
        """Make an agent that gets events one by one; all is as in ``subscribe_partitioned``.

        Args:
            topic: see there.
            group: see there.
            partitions: see there.
            member_id: see there.
            key_of: see there.
            ttl: see there.
            rebalance_every: see there.
            coordinator: see there.
            on_assigned: see there.
            on_revoked: see there.
            name: the agent's name; the function's by default.

        Example::

            @prom.partitioned_agent(states, group="analyzers", partitions=8)
            async def analyze(event):
                await findings.send(key=event.key, value=score(event.value))
        """
        options = PartitionedOptions(
            topic=self._source(topic),
            group=group,
            partitions=partitions,
            member_id=member_id,
            key_of=key_of,
            ttl=ttl,
            rebalance_every=rebalance_every,
            on_assigned=on_assigned,
            on_revoked=on_revoked,
        )

        def decorate(fun: Callable[[PartitionedEvent], Any]) -> DeliveryAgent:
            agent_name = name or f"{fun.__module__}.{fun.__qualname__}"
            return self._subscribe(options, fun, coordinator, agent_name).agent

        return decorate

    def _subscribe(
        self,
        options: PartitionedOptions,
        handler: Handler,
        coordinator: PartitionCoordinator | None,
        name: str | None = None,
    ) -> Subscribed:
        topic, field = options.topic, options.key_of
        if not (coordinator is None or isinstance(coordinator, PartitionCoordinator)):
            raise ConfigurationError(f"coordinator= must be a PartitionCoordinator, not {coordinator!r:.80}")
        model = self._model(topic)
        if isinstance(field, str) and model is not None and not _has_field(model, field):
            raise ConfigurationError(
                f"group {options.group} has key_of={field!r}, and {model.__name__} of {topic} has no such field"
            )
        spec = self._topics[topic].spec if topic in self._topics else TopicSpec(topic, create=False)
        found = self._partitioned.add(
            self, spec, options, handler, name=name, model=lambda: self._model(topic), coordinator=coordinator
        )
        self._sources.update({spec.name: spec for spec in found.specs if spec.name != topic})
        if coordinator is not None and coordinator not in self.coordinators:
            self.coordinators.append(coordinator)
        return found

    def specs(self) -> list[TopicSpec]:
        """Every topic that must be there at start."""
        projected = {spec.name: spec for each in self.projections.values() for spec in each.specs()}
        declared = {name: declared.spec for name, declared in self._topics.items()}
        letters = {dlq_topic(name): dead_letter_spec(dlq_topic(name)) for name in declared}
        status = {} if self.ops is None else {STATUS_TOPIC: status_spec()}
        return list((projected | status | letters | self._sources | declared).values())

    def projection(self, name: str) -> Projection:
        """The projection of a collection.

        Raises:
            ConfigurationError: there is none.
        """
        if name not in self.projections:
            known = ", ".join(sorted(self.projections)) or "none"
            raise ConfigurationError(f"there is no projection into a collection {name}; there are: {known}")
        return self.projections[name]

    def source_topics(self) -> list[str]:
        """The topics whose records can be dead-lettered, sorted."""
        return sorted(self._sources.keys() | self._topics.keys())

    async def close_database(self) -> None:
        """Close the MongoDB clients; a command ends with it."""
        databases = [projection.collection.server.database for projection in self.projections.values()]
        for client in {id(database.client): database.client for database in databases}.values():
            closed = client.close()
            if inspect.isawaitable(closed):
                await closed

    def expectations(self) -> list[Expectation]:
        """How the keys of the declared topics should lie."""
        routed = {name: self.rules.routing(name) for name in self._topics}
        return [Expectation(name, routing) for name, routing in routed.items() if routing is not None]

    def declared_topic(self, name: str) -> faust.Topic | None:
        """A topic that was declared with ``prom.topic``."""
        declared = self._topics.get(name)
        return declared.topic if declared else None

    def _model(self, topic: str) -> type[BaseModel] | None:
        subject = self.registry.find(topic)
        cls = subject.latest.type.cls if subject else None
        if cls is not None and issubclass(cls, BaseModel):
            return cls
        return self._topics[topic].model if topic in self._topics else None

    def _schemas(self, topic: str) -> tuple[type[BaseModel] | JSONSchema, ...]:
        """The schemas of all versions of a topic's values: models, or as they were written."""
        subject = self.registry.find(topic)
        types = [version.type for version in subject.versions.values()] if subject else []
        return tuple(
            each.cls if each.cls is not None and issubclass(each.cls, BaseModel) else each.reader
            for each in types
        )

    def _changelog(self, table: faust.Table[Any, Any]) -> faust.Topic:
        """A table's changelog topic; it is created at start, since Faust creates it only later."""
        topic = cast(faust.Topic, table.changelog_topic)
        name = str(topic.get_topic_name())
        partitions = table.partitions or self.app.conf.topic_partitions
        self._sources.setdefault(name, TopicSpec(name, partitions, config={"cleanup.policy": "compact"}))
        return topic

    def _source(self, topic: faust.Topic | str) -> str:
        name = topic if isinstance(topic, str) else str(topic.get_topic_name())
        self._sources.setdefault(name, TopicSpec(name, create=False))
        return name


def _has_field(model: type[BaseModel], name: str) -> bool:
    return name in model.model_fields or model.model_config.get("extra") == "allow" or hasattr(model, name)


def _keys_are_json(topic: faust.Topic | str) -> bool:
    return not isinstance(topic, str) and topic.key_serializer == "json"
