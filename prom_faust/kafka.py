"""Topics on the broker: created where they are missing and may be, and compared with their declaration."""

import asyncio
import logging
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from prom_faust.backoff import Backoff
from prom_faust.clients import Clients
from prom_faust.exceptions import TopicError, UnreachableError
from prom_faust.settings import Settings
from prom_faust.topics import TopicSpec, TopicState, check_topic

__all__ = ["ensure_topics", "topic_configs"]

logger = logging.getLogger(__name__)

ACCESS_SECONDS = 2.0
"""How long a broker may take to say whether it lets us in."""
VISIBLE_SECONDS = 15.0
"""How long a topic that was just created may take to be seen by every broker."""


async def ensure_topics(clients: Clients, specs: Sequence[TopicSpec], settings: Settings) -> None:
    """Create the topics that are missing, where that is allowed, and check those that exist.

    Raises:
        TopicError: topics are missing or differ from their declaration; all are named.
        AccessError: Kafka does not let us in.
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


async def topic_configs(clients: Clients, topic: str, *, timeout: float = 20.0) -> dict[str, str]:
    """A topic's settings as the broker has them, defaults included.

    Raises:
        UnreachableError: Kafka did not answer within ``timeout`` seconds.
    """
    admin = await _connect(clients, timeout)
    try:
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return {entry[0]: entry[1] for resource in response.resources for entry in resource[4]}
    except KafkaError as error:
        raise UnreachableError(
            f"Kafka at {clients.brokers} refused to describe {topic}: {error!r}"
        ) from error
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
            await clients.check_access(timeout=ACCESS_SECONDS)
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
