"""The one factory of Kafka clients: brokers, credentials, TLS and client id come from ``app.conf``.

The lane, dead letters, checks at start and the commands all go through here, so that a broker's security is
configured once, where Faust users configure it.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    GroupCoordinatorNotAvailableError,
    IllegalSaslStateError,
    KafkaError,
    NoError,
    NotCoordinatorForGroupError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.group import JoinGroupRequest
from faust import transport
from faust.transport.drivers.aiokafka import Transport, credentials_to_aiokafka_auth, server_list
from faust.types.settings import Settings as FaustSettings
from yarl import URL

from prom_faust.exceptions import AccessError, ConfigurationError

__all__ = [
    "Clients",
    "LateProducer",
    "check_brokers",
    "check_coordinator",
    "close_consumer",
    "close_producer",
    "ended",
    "heed_offset_errors",
    "join_once",
    "patient",
    "started",
]

logger = logging.getLogger(__name__)

FETCH_BYTES = 16 * 1024 * 1024
"""The most bytes of one fetch response."""
PARTITION_FETCH_BYTES = 1024 * 1024
"""The most bytes of one partition in it; what is read ahead stays below this, partition by partition."""
DEAD_LETTER_REQUEST_BYTES = 64 * 1024 * 1024
"""A dead letter is its record plus headers: it must not fail for being a little larger than its record."""

METADATA_RETRY_SECONDS = 0.1
"""As ``retry.backoff.ms`` of Kafka's own clients."""
NO_LEADER = -1
REFUSALS = (
    AuthenticationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    ssl.SSLCertVerificationError,
)
"""What no further attempt can help against."""
CLOSE_SECONDS = 1.0
"""For the end of a reader: it has no group to leave."""
DROP_SECONDS = 1.0
"""For each part of a client that is given up."""

ClientT = TypeVar("ClientT", AIOKafkaConsumer, AIOKafkaProducer)


class Clients:
    """Opens Kafka clients that speak to the app's brokers as the app does.

    Args:
        app: the Faust app; its configuration is read when a client is opened, not before.
    """

    def __init__(self, app: faust.App) -> None:
        self.app = app

    @property
    def brokers(self) -> str:
        """The brokers without credentials, for messages."""
        return ",".join(self._servers())

    def _servers(self) -> list[str]:
        return list(server_list(self.app.conf.broker, default_port=9092))

    def common(self) -> dict[str, Any]:
        """Settings that every client shares."""
        conf = self.app.conf
        return {
            "bootstrap_servers": self._servers(),
            "client_id": conf.broker_client_id,
            **credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        }

    def group_consumer(
        self,
        group: str,
        assignors: Sequence[Any],
        metadata_max_age: float,
        *,
        heartbeat_interval: float | None = None,
        session_timeout: float | None = None,
        static: bool = True,
    ) -> AIOKafkaConsumer:
        """A member of a consumer group. It never commits and never resets an offset by itself.

        Args:
            group: the group's id.
            assignors: partition assignors, in order of preference.
            metadata_max_age: seconds after which a changed partition count is seen.
            heartbeat_interval: seconds; the app's by default.
            session_timeout: seconds; the app's by default.
            static: whether the app's ``consumer_group_instance_id`` makes it a static member.
        """
        conf = self.app.conf
        heartbeat_interval = heartbeat_interval or conf.broker_heartbeat_interval
        session_timeout = session_timeout or conf.broker_session_timeout
        consumer = AIOKafkaConsumer(
            **self.common(),
            group_id=group,
            group_instance_id=conf.consumer_group_instance_id if static else None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=tuple(assignors),
            session_timeout_ms=int(session_timeout * 1000),
            heartbeat_interval_ms=int(heartbeat_interval * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 300.0) * 1000),
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            metadata_max_age_ms=int(metadata_max_age * 1000),
            check_crcs=conf.broker_check_crcs,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            # A transaction that was aborted never happened.
            isolation_level="read_committed",
        )
        return patient(consumer)

    def reader(
        self, *, partition_fetch_bytes: int = PARTITION_FETCH_BYTES, committed_only: bool = True
    ) -> AIOKafkaConsumer:
        """A consumer without a group: it is told which partitions to read and where to start.

        Args:
            partition_fetch_bytes: the most bytes of one partition in a fetch response.
            committed_only: whether open and aborted transactions are left out.
        """
        consumer = AIOKafkaConsumer(
            **self.common(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=partition_fetch_bytes,
            isolation_level="read_committed" if committed_only else "read_uncommitted",
        )
        return patient(consumer)

    def producer(self) -> AIOKafkaProducer:
        """An idempotent producer that waits for all replicas."""
        producer = AIOKafkaProducer(
            **self.common(),
            acks="all",
            enable_idempotence=True,
            max_request_size=DEAD_LETTER_REQUEST_BYTES,
        )
        return patient(producer)

    def admin(self, *, request_timeout: float = 10.0) -> AIOKafkaAdminClient:
        """An administrative client.

        Args:
            request_timeout: seconds for one request.
        """
        return AIOKafkaAdminClient(**self.common(), request_timeout_ms=int(request_timeout * 1000))

    async def check_access(self, *, timeout: float) -> None:
        """See that the brokers that answer let us in: aiokafka's clients log why not, and raise that none is there.

        Args:
            timeout: seconds for one broker.

        Raises:
            AccessError: one does not.
        """
        common = self.common()
        for host, port, _ in collect_hosts(common.pop("bootstrap_servers")):
            try:
                connection = await create_conn(host, port, request_timeout_ms=int(timeout * 1000), **common)
            except REFUSALS as error:
                raise AccessError(
                    f"Kafka at {host}:{port} does not let this worker in: {error}. Are the app's "
                    "broker_credentials= and ssl_context= right?"
                ) from error
            except (KafkaError, OSError, TimeoutError) as error:
                logger.debug("%s:%s does not answer: %r", host, port, error)
            else:
                connection.close()


class LateProducer:
    """A producer that is opened when it is first needed, and again after it was closed.

    Args:
        clients: opens it.
        what: what it is for, in logs.
        close_timeout: seconds that its end may take.
    """

    def __init__(self, clients: Clients, *, what: str, close_timeout: float) -> None:
        self._clients = clients
        self._what = what
        self._close_timeout = close_timeout
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> AIOKafkaProducer:
        """The producer, started.

        Raises:
            KafkaError: Kafka does not answer.
        """
        async with self._lock:
            if self._producer is None:
                producer = self._clients.producer()
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Close it, when Kafka has what it was given; one that failed may be in no state to close cleanly."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close_producer(producer, what=self._what, timeout=self._close_timeout)

    async def drop(self) -> None:
        """Close it, and let nothing that it still has be written."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer._closed = True  # noqa: SLF001 - stop() would wait for Kafka
            await _drop(producer, self._what)


async def close_producer(producer: AIOKafkaProducer, *, what: str, timeout: float) -> None:
    """Stop a producer when Kafka has what it was given; or give it up, and leave nothing of it behind.

    Args:
        producer: the producer.
        what: what it is for, in logs.
        timeout: seconds that this may take.
    """
    if not await ended(producer.stop(), what, timeout):
        await _drop(producer, what)


async def _drop(producer: AIOKafkaProducer, what: str) -> None:
    # What stop() was cancelled over would live on, and try again for ever.
    await ended(producer._sender.close(), what, DROP_SECONDS)  # noqa: SLF001 - see above
    await ended(producer.client.close(), what, DROP_SECONDS)


async def close_consumer(consumer: AIOKafkaConsumer, *, what: str, timeout: float) -> None:
    """Stop a consumer, and leave nothing of it behind.

    Args:
        consumer: the consumer.
        what: what it is for, in logs.
        timeout: seconds for the goodbye to its group.
    """
    try:
        await ended(consumer.stop(), what, timeout)
    finally:  # what stop() did not come to would go on to look for Kafka
        await ended(consumer._client.close(), what, timeout)  # noqa: SLF001 - stop() closes it last


@asynccontextmanager
async def started(reader: AIOKafkaConsumer, *, what: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Start a reader, and close it at the end, however that comes.

    Args:
        reader: a consumer without a group.
        what: what it is for, in logs.

    Raises:
        KafkaError: Kafka does not answer.
    """
    try:
        await reader.start()
        yield reader
    finally:
        await close_consumer(reader, what=what, timeout=CLOSE_SECONDS)


async def ended(ending: Awaitable[None], what: str, timeout: float) -> bool:
    """Wait until a client, or a part of it, has ended, but not for long; whether it did so by itself.

    Without Kafka aiokafka waits for its coordinator, or raises the CancelledError that its own fetches were ended
    with. Passed on, that would end whoever closes the client.
    """
    try:
        async with asyncio.timeout(timeout):
            await ending
    except (Exception, asyncio.CancelledError) as error:  # what is given up must not end what goes on
        if cast(asyncio.Task[Any], asyncio.current_task()).cancelling():
            raise
        logger.info("%s did not close cleanly: %r", what, error)
        return False
    return True


def join_once(consumer: AIOKafkaConsumer) -> None:
    """Let a started consumer that offers several assignors join its group with one request.

    aiokafka 0.14 sends a JoinGroup for each of them, the first with one protocol, the next with two, and takes the
    answer to the last one only. Every join then is two rebalances, and members that join together may never meet
    in one of them.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - the client has no word for it
    send, offered = coordinator._send_req, len(coordinator._assignors)  # noqa: SLF001

    async def send_whole(request: Any) -> Any:
        if isinstance(request, JoinGroupRequest) and len(request._group_protocols) < offered:  # noqa: SLF001
            return _NOT_SENT
        return await send(request)

    coordinator._send_req = send_whole  # noqa: SLF001


def heed_offset_errors(consumer: AIOKafkaConsumer) -> None:
    """Let a started consumer ask again for committed offsets where the group's coordinator could not tell.

    aiokafka 0.14 asks with version 3 of OffsetFetch and overlooks its top-level error: while a coordinator loads its
    groups, or has moved, ``committed()`` says that there is no offset. To believe that would start a group anew.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - the response is not to be had otherwise
    send = coordinator._send_req  # noqa: SLF001

    async def send_and_check(request: Any) -> Any:
        response = await send(request)
        if isinstance(request, OffsetFetchRequest):
            check_coordinator(getattr(response, "error_code", 0), coordinator)
        return response

    coordinator._send_req = send_and_check  # noqa: SLF001


def check_coordinator(code: int, coordinator: Any) -> None:
    """Raise what a coordinator's answer has as its error code, and look for another one if it is none any more.

    Raises:
        KafkaError: the code is not 0.
    """
    error = for_code(code)
    if error is NoError:
        return
    if error in {NotCoordinatorForGroupError, GroupCoordinatorNotAvailableError}:
        coordinator.coordinator_dead()
    raise error(coordinator.group_id)


_NOT_SENT = SimpleNamespace(error_code=0)
"""In place of an answer that nobody reads."""


def patient(client: ClientT) -> ClientT:
    """Let a consumer or producer pause before it asks again where the partitions are, if the answer was of no use.

    aiokafka 0.14 asks again at once. If it heard last that a partition has no leader, as from a broker that shuts
    down, it does so thousands of times a second, until Kafka is back.

    Returns:
        The client.
    """
    inner: Any = client._client if isinstance(client, AIOKafkaConsumer) else client.client  # noqa: SLF001 - see above
    ask = inner._metadata_update  # noqa: SLF001

    async def ask_and_pause(cluster: ClusterMetadata, topics: Collection[str] | None) -> bool:
        answered: bool = await ask(cluster, topics)
        if not answered or _leaderless(cluster, topics or ()):
            await asyncio.sleep(METADATA_RETRY_SECONDS)
        return answered

    inner._metadata_update = ask_and_pause  # noqa: SLF001
    return client


def _leaderless(cluster: ClusterMetadata, topics: Iterable[str]) -> bool:
    return any(
        cluster.leader_for_partition(TopicPartition(topic, partition)) in {None, NO_LEADER}
        for topic in topics
        for partition in cluster.partitions_for_topic(topic) or ()
    )


def check_brokers(conf: FaustSettings) -> None:
    """See that every broker is named by a URL of the one driver that the plugin works with.

    Raises:
        ConfigurationError: one is not.
    """
    for name in ("broker", "broker_consumer", "broker_producer"):
        for url in getattr(conf, name):
            if not _is_kafka(url):
                raise ConfigurationError(
                    f"{name}= has a URL that begins with {url.scheme}://, and the driver of prom_faust is "
                    "aiokafka: write it as kafka://host:9092"
                )


def _is_kafka(url: URL) -> bool:
    try:
        driver: Any = transport.by_url(url)
    except (ImportError, AttributeError, ValueError):
        return False
    return isinstance(driver, type) and issubclass(driver, Transport)
