"""A projection inside a Faust app: its lane, its agent, its marker sweeps, and how it starts and stops."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from aiokafka.errors import KafkaError
from mode import Service
from pymongo.errors import PyMongoError

from prom_faust.backoff import Backoff
from prom_faust.clients import Clients
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import ConfigurationError, RevokedError, UnreachableError
from prom_faust.kafka import ensure_topics
from prom_faust.lane.faust import begin
from prom_faust.lane.kafka import kafka_partition
from prom_faust.lane.record import TopicPartition
from prom_faust.lane.service import Lane, LaneOptions
from prom_faust.settings import Settings, load_settings
from prom_faust.sink.agent import SinkAgent
from prom_faust.sink.metrics import SinkHistograms
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.mongo.server import Server
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.resync.service import Resync
from prom_faust.sink.service import Projector
from prom_faust.sink.starts import Starts
from prom_faust.sink.sweep import Observation, removable_before
from prom_faust.topics import TopicSpec, dead_letter_spec

__all__ = ["Projection", "start_changelog_projector"]

logger = logging.getLogger(__name__)

CONCURRENCY = 2
"""Batches in flight: one is decoded while the other is written."""
RESYNC_SECONDS = 1.0
"""Between two looks for partitions whose history was lost."""
FENCE_SLACK = 30.0
"""Seconds of clock difference and scheduling that a fence allows for."""


class Projection(Service):
    """One compacted topic as one collection.

    Args:
        app: the Faust app.
        database: of pymongo's async API or of motor.
        options: what to project.
        settings: times and limits.
        clients: opens Kafka clients.
        histograms: those of the app; of its own by default.
    """

    def __init__(
        self,
        app: faust.App,
        database: Any,
        options: ChangelogOptions,
        settings: Settings,
        clients: Clients,
        histograms: SinkHistograms | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.app = app
        self.options = options
        self.settings = settings
        self.clients = clients
        self.group = options.group or f"{app.conf.id}.changelog:{options.collection}"
        self.collection = Collection(Server(database, deadline=settings.write_deadline), options)
        self.starts = Starts(self.collection.positions)
        self.publisher = DeadLetterPublisher(clients)
        self.projector = Projector(
            options,
            self.collection,
            self.publisher,
            consumer=self.group,
            unique_wait=settings.unique_wait,
            log=lambda name: self.lane.log_end(name),  # noqa: PLW0108 - the lane is made below
            meter=(histograms or SinkHistograms()).of(options.collection, options.topic),
        )
        self.agent = SinkAgent(self.projector, app=app, concurrency=CONCURRENCY, on_error=app._on_agent_error)  # noqa: SLF001 - as app.agent() does
        self.lane = Lane(
            clients,
            self.agent,
            LaneOptions(
                topic=options.topic,
                group=self.group,
                batch=options.window,
                buffer=options.window * CONCURRENCY,
                max_bytes=options.max_window_bytes,
                hold_limit=max(options.size, 2),
                drain_timeout=settings.drain_timeout,
                history_interval=settings.history_interval,
                grows=options.grows,
                follows_deletes=not options.appends,
                rebuild=(f"Stop the workers and run: faust -A {{app}} sink rebuild {options.collection}"),
            ),
            positions=self.starts,
        )
        self.resync = Resync(options, self.collection, self.lane)
        self._observations: dict[int, Observation] = {}
        self._prepared = False

    @property
    def label(self) -> str:
        """Shown in Faust's service graph."""
        return f"Projection: {self.options.topic} -> {self.options.collection}"

    @property
    def keep(self) -> float:
        """Seconds that a delete marker stands."""
        return max(self.fence_delay, self.options.marker_seconds)

    @property
    def fence_delay(self) -> float:
        """Seconds after which no former owner's write can still arrive.

        Raises:
            ConfigurationError: the option is shorter than is safe.
        """
        least = self.app.conf.broker_session_timeout + self.settings.write_deadline + FENCE_SLACK
        wanted = self.options.fence_delay
        if wanted is not None and wanted < least:
            raise ConfigurationError(
                f"fence_delay={wanted:g} of {self.options.collection} is shorter than session timeout + "
                f"write deadline + {FENCE_SLACK:g} s = {least:g} s: a late write could bring a deleted document back"
            )
        return wanted if wanted is not None else least

    def specs(self) -> list[TopicSpec]:
        """The topics that it needs: its source, which somebody else creates, and the one of its dead letters."""
        source = self.options.topic
        return [TopicSpec(source, create=False), dead_letter_spec(dlq_topic(source))]

    async def prepare(self, *, topics: bool = True) -> None:
        """Check the options, see to the topics, reach MongoDB and make the indexes. Idempotent.

        Args:
            topics: whether to see to the topics; not where that was done for the whole app.

        Raises:
            ConfigurationError: options or indexes are wrong, the topic is missing, or a server lets us not in.
            UnreachableError: Kafka or MongoDB did not answer within ``startup_timeout``.
        """
        if self._prepared:
            return
        if topics:
            await ensure_topics(self.clients, self.specs(), self.settings)
        logger.debug("markers of %s stand for %.0f s", self.options.collection, self.keep)
        backoff = Backoff(cap=2.0)
        deadline = self.loop.time() + self.settings.startup_timeout
        while True:
            try:
                await self.collection.prepare()
            except UnreachableError as error:
                delay = backoff.next()
                if self.loop.time() + delay > deadline:
                    raise UnreachableError(
                        f"MongoDB was unreachable for {self.settings.startup_timeout:g} s: {error}. "
                        "Is it running, and is mongo_url right?"
                    ) from error
                await asyncio.sleep(delay)
            else:
                break
        self._prepared = True

    async def on_start(self) -> None:
        """Prepare, where the app has not done so already."""
        await self.prepare()

    async def on_started(self) -> None:
        """Start to read."""
        await self.add_runtime_dependency(self.lane)

    async def on_stop(self) -> None:
        """The lane is drained by now, or will be; close what the agent used."""
        await self.lane.stop()
        await self.publisher.close()

    # -- lost history ----------------------------------------------------------------------------------------

    @Service.task
    async def _look_after_lost_history(self) -> None:
        backoff = Backoff(cap=30.0)
        while not self.should_stop:
            await self.sleep(RESYNC_SECONDS)
            try:
                await self.resync.run()
            except RevokedError as error:
                logger.info("%s: %s", self.label, error)
            except (KafkaError, PyMongoError, UnreachableError, OSError, sqlite3.Error) as error:
                logger.warning("%s: it may go on holding deleted keys: %s", self.label, error)
                await self.sleep(backoff.next())
            else:
                backoff.reset()

    # -- markers ---------------------------------------------------------------------------------------------

    @Service.task
    async def _sweep_markers(self) -> None:
        while not self.should_stop:
            await self.sleep(self.settings.sweep_interval)
            try:
                await self.sweep()
            except (KafkaError, PyMongoError, UnreachableError, OSError) as error:
                logger.info(
                    "%s: markers stay a while: %s",
                    *(self.label, error),
                    extra={"sink": self.options.collection, "topic": self.options.topic},
                )

    async def sweep(self) -> int:
        """Remove the markers that have stood long enough, of the partitions owned here; returns how many."""
        if self.options.appends:
            return 0
        topic, keep = self.options.topic, self.keep
        owned = sorted(name.partition for name in self.lane.partitions)
        self._observations = {number: seen for number, seen in self._observations.items() if number in owned}
        if not owned:
            return 0
        positions = await self.starts.load_positions(topic)
        removable: dict[int, int] = {}
        for number, oldest in (await self.collection.oldest_markers(topic, owned)).items():
            now = milliseconds()
            if oldest >= now - int(keep * 1000):
                continue
            seen = self._observations.get(number) or await self._observe(number, now)
            before = removable_before(seen, positions, now=now, keep=keep)
            if before is None:
                self._observations[number] = seen
                continue
            self._observations.pop(number, None)
            removable[number] = before
        return await self.collection.remove_markers(topic, removable)

    async def _observe(self, partition: int, now: int) -> Observation:
        consumer = self.lane.consumer
        lower = [kafka_partition(TopicPartition(self.options.topic, number)) for number in range(partition)]
        if consumer is None or not lower:
            return Observation(now, {})
        begins, ends = await consumer.beginning_offsets(lower), await consumer.end_offsets(lower)
        return Observation(now, {theirs.partition: (begins[theirs], ends[theirs]) for theirs in lower})


def start_changelog_projector(
    db: Any, app: faust.App, options: ChangelogOptions
) -> Callable[[], Awaitable[None]]:
    """Project a compacted topic into a collection, now if the app runs, else when it starts.

    Args:
        db: a database of pymongo's async API or of motor.
        app: the Faust app; brokers and credentials are its own.
        options: what to project.

    Returns:
        An async function that stops the projection and leaves its consumer group.
    """
    projection = Projection(app, db, options, load_settings(), Clients(app))
    return attach(projection)


def attach(projection: Projection) -> Callable[[], Awaitable[None]]:
    """Make the projection part of its app, and give what takes it out again."""
    app, agent = projection.app, projection.agent
    app.agents[agent.name] = agent

    leave = begin(app, projection, [agent])

    async def stop() -> None:
        await leave()
        await agent.stop()
        app.agents.pop(agent.name, None)

    return stop
