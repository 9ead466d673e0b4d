"""The checks before a worker starts: servers reachable, topics there and right, projections ready.

They run before anything of Faust's own starts, so that what is wrong is one line and an exit code, and not a
worker that stays up doing nothing.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from faust.app.base import BootStrategy
from mode import Service, ServiceT

from prom_faust.backoff import Backoff
from prom_faust.clients import Clients
from prom_faust.exceptions import PromFaustError, TopicError, UnreachableError
from prom_faust.settings import Settings
from prom_faust.sink.faust import Projection
from prom_faust.topics import TopicSpec, TopicState, check_topic

__all__ = ["Preflight", "PreflightFirst", "ensure_topics"]

logger = logging.getLogger(__name__)

VISIBLE_SECONDS = 15.0
"""How long a topic that was just created may take to be seen by every broker."""


class Preflight(Service):
    """Runs the checks, once, as the first service of the worker.

    Args:
        clients: opens Kafka clients.
        settings: times and limits.
        topics: gives the declared topics.
        projections: gives the projections.
    """

    def __init__(
        self,
        clients: Clients,
        settings: Settings,
        topics: Callable[[], Iterable[TopicSpec]],
        projections: Callable[[], Iterable[Projection]],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.clients = clients
        self.settings = settings
        self._topics = topics
        self._projections = projections

    async def on_start(self) -> None:
        """Check everything; a worker that cannot work ends here."""
        for name in ("aiokafka", "pymongo"):
            driver = logging.getLogger(name)
            if driver.level == logging.NOTSET:
                # Faust's spinner leaves the root logger at DEBUG, and pymongo then builds a record per command.
                driver.setLevel(logging.INFO)
        try:
            await self.check()
        except PromFaustError as error:
            logger.critical("%s: %s", type(error).__name__, error)
            raise SystemExit(1) from error
        # What is alive now lives as long as the worker; a full collection need not walk it (80 ms each otherwise).
        gc.freeze()

    async def check(self) -> None:
        """Check servers, topics and projections.

        Raises:
            ConfigurationError: something is declared or set up wrong.
            UnreachableError: a server did not answer within ``startup_timeout``.
        """
        for projection in self._projections():
            _ = projection.fence_delay
        await ensure_topics(self.clients, list(self._topics()), self.settings)
        for projection in self._projections():
            await projection.prepare()


class PreflightFirst(BootStrategy):
    """The app's own boot strategy, with the checks before it.

    Args:
        inner: the strategy that the app had.
        preflight: the checks.
    """

    def __init__(self, inner: BootStrategy, preflight: Preflight) -> None:
        super().__init__(inner.app)
        self._inner = inner
        self._preflight = preflight

    def server(self) -> Iterable[ServiceT]:
        """The worker's services."""
        return chain([self._preflight], self._inner.server())

    def client_only(self) -> Iterable[ServiceT]:
        """A client's services; it is not checked, for it may run where the topics are not managed."""
        return self._inner.client_only()

    def producer_only(self) -> Iterable[ServiceT]:
        """A producer's services."""
        return self._inner.producer_only()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def ensure_topics(clients: Clients, specs: Sequence[TopicSpec], settings: Settings) -> None:
    """Create the topics that are missing, where that is allowed, and check those that exist.

    Raises:
        TopicError: topics are missing or differ from their declaration; all are named.
        UnreachableError: Kafka did not answer within ``startup_timeout``.
    """
    admin = await _connect(clients, settings.startup_timeout)
    try:
        names = [spec.name for spec in specs]
        existing = set(await admin.list_topics())
        missing = [spec for spec in specs if spec.name not in existing]
        forbidden = [spec.name for spec in missing if not (spec.create and settings.create_topics)]
        if forbidden:
            raise TopicError(
                f"topics are missing: {', '.join(forbidden)}. Create them, or declare them with prom.topic "
                "and let create_topics be true"
            )
        await _create(
            admin, missing, settings.replication_factor or int(clients.app.conf.topic_replication_factor)
        )
        states = await _describe(admin, names)
        faults = [fault for spec in specs for fault in check_topic(spec, states[spec.name])]
        if faults:
            raise TopicError("; ".join(faults))
    except KafkaError as error:
        raise UnreachableError(f"Kafka at {clients.brokers} refused to describe topics: {error!r}") from error
    finally:
        await admin.close()


async def _connect(clients: Clients, timeout: float) -> AIOKafkaAdminClient:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    backoff = Backoff(cap=2.0)
    while True:
        admin = clients.admin()
        try:
            async with asyncio.timeout_at(deadline):
                await admin.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await admin.close()
            delay = backoff.next()
            if loop.time() + delay > deadline:
                raise UnreachableError(
                    f"Kafka at {clients.brokers} was unreachable for {timeout:g} s: {error!r}. "
                    "Is it running, and is the app's broker= right?"
                ) from error
            await asyncio.sleep(delay)
        else:
            return admin


async def _create(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], replication_factor: int) -> None:
    if not specs:
        return
    response = await admin.create_topics(
        [
            NewTopic(
                name=spec.name,
                num_partitions=spec.partitions or 1,
                replication_factor=replication_factor,
                topic_configs=spec.creation_config,
            )
            for spec in specs
        ]
    )
    for topic, code, *message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise TopicError(
                f"topic {topic} could not be created: {error.__name__} {message[0] if message else ''}"
            )
    logger.info("created topics: %s", ", ".join(spec.name for spec in specs))


async def _describe(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, TopicState]:
    deadline = asyncio.get_running_loop().time() + VISIBLE_SECONDS
    while True:
        described = (
            {topic["topic"]: topic for topic in await admin.describe_topics(list(names))} if names else {}
        )
        unseen = [
            name
            for name in names
            if not described.get(name, {}).get("partitions")
            or any(partition["leader"] < 0 for partition in described[name]["partitions"])
        ]
        if not unseen:
            break
        if asyncio.get_running_loop().time() > deadline:
            raise TopicError(f"topics have no leader after {VISIBLE_SECONDS:g} s: {', '.join(unseen)}")
        await asyncio.sleep(0.1)
    policies = await _cleanup_policies(admin, names)
    return {name: TopicState(len(described[name]["partitions"]), policies[name]) for name in names}


async def _cleanup_policies(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    responses = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    return {
        resource[3]: next((entry[1] for entry in resource[4] if entry[0] == "cleanup.policy"), "delete")
        for response in responses
        for resource in response.resources
    }
