"""``describe_group``: a consumer group as its broker knows it: any group, also one of another program."""

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from aiokafka.errors import KafkaError, for_code
from faust.assignor.client_assignment import ClientMetadata

from prom_faust.assignment.wire import decode_decision, decode_identity
from prom_faust.backoff import Backoff
from prom_faust.clients import Clients, started
from prom_faust.exceptions import UnreachableError
from prom_faust.ops.groups import GroupMember, GroupState, Partition, Topics, group_state

__all__ = ["count_partitions", "describe_group"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONSUMER = "consumer"
"""The protocol type of consumer groups; others put bytes of their own where a subscription would be."""


async def describe_group(
    clients: Clients, group: str, *, timeout: float = 10.0, topics: Collection[str] = ()
) -> GroupState:
    """Ask the broker for a group's members, their partitions, its committed offsets and the ends of the logs.

    These are several questions: in a group that works, offsets are a little older than the ends.

    Args:
        clients: where the broker is.
        group: the group's id; of one that the broker does not know, the state is ``Dead`` and empty.
        timeout: seconds for all of it, with all attempts.
        topics: what its members are known to read, for while it rebalances: Kafka does not say it then.

    Raises:
        UnreachableError: Kafka did not answer in time, or refused.
    """
    return await _ask(
        clients, f"describe group {group}", timeout, lambda admin: _describe(admin, clients, group, topics)
    )


async def count_partitions(
    clients: Clients, topics: Collection[str], *, timeout: float = 10.0
) -> dict[str, int]:
    """Ask the broker how many partitions topics have; those that do not exist are left out, and not created.

    Args:
        clients: where the broker is.
        topics: their names.
        timeout: seconds for all of it, with all attempts.

    Raises:
        UnreachableError: Kafka did not answer in time, or refused.
    """
    leaders = await _ask(clients, "describe topics", timeout, _leaders)
    return {topic: len(leaders[topic]) for topic in topics if topic in leaders}


async def _ask(
    clients: Clients, what: str, timeout: float, ask: Callable[[AIOKafkaAdminClient], Awaitable[T]]
) -> T:
    """Ask until there is an answer or the time is over, with a new client each time."""
    backoff = Backoff(cap=1.0)
    reason: Exception | None = None
    try:
        async with asyncio.timeout(timeout):
            while True:
                admin = clients.admin(request_timeout=timeout)
                try:
                    await admin.start()
                    return await ask(admin)
                except (KafkaError, OSError) as error:
                    if not getattr(error, "retriable", True):
                        raise UnreachableError(
                            f"Kafka at {clients.brokers} refused to {what}: {error!r}"
                        ) from error
                    reason = error
                finally:
                    await admin.close()
                await asyncio.sleep(backoff.next())
    except TimeoutError as error:
        raise UnreachableError(
            f"Kafka at {clients.brokers} did not {what} within {timeout:g} s: {reason!r}. "
            "Is it running, and is the app's broker= right?"
        ) from (reason or error)


async def _describe(
    admin: AIOKafkaAdminClient, clients: Clients, group: str, topics: Collection[str]
) -> GroupState:
    coordinator = await admin.find_coordinator(group)
    answer = (await admin.describe_consumer_groups([group], coordinator))[0].groups[0]
    code, _, state, kind, protocol, raw_members, *_ = answer
    if code:
        raise for_code(code)(f"group {group} could not be described")
    members = [_member(kind, raw) for raw in raw_members]
    offsets = await admin.list_consumer_group_offsets(group, coordinator)
    leaders = await _leaders(admin)
    committed = {(tp.topic, tp.partition): found.offset for tp, found in offsets.items() if found.offset >= 0}
    # While a group rebalances its coordinator says who is in it, and nothing of what they read.
    known = {topic for member in members for topic in member.topics} or ({*topics} if members else set())
    read = known | {topic for topic, _ in committed}
    return group_state(
        group,
        state=state,
        protocol=protocol,
        members=members,
        counts={topic: len(leaders[topic]) for topic in read if topic in leaders},
        committed=committed,
        ends=await _ends(
            clients,
            [(topic, number) for topic in read for number, has in leaders.get(topic, {}).items() if has],
        ),
        topics=known,
    )


async def _leaders(admin: AIOKafkaAdminClient) -> dict[str, dict[int, bool]]:
    """Topic to its partitions, and whether one can ask them; all topics, for asking by name may create one."""
    return {
        topic["topic"]: {each["partition"]: each["leader"] >= 0 for each in topic["partitions"]}
        for topic in await admin.describe_topics()
        if not topic["error_code"]
    }


async def _ends(clients: Clients, partitions: Iterable[Partition]) -> dict[Partition, int]:
    wanted = [TopicPartition(*each) for each in partitions]
    if not wanted:
        return {}
    async with started(clients.reader(), what="the reader of a group's lag") as reader:
        ends = await reader.end_offsets(wanted)
    return {(tp.topic, tp.partition): end for tp, end in ends.items()}


def _member(kind: str, raw: Any) -> GroupMember:
    """A member, from its entry in DescribeGroups; while a group rebalances there is no subscription."""
    member_id, client_id, host, subscription_frame, assignment_frame = raw[:5]
    subscription = _decoded(ConsumerProtocolMemberMetadata, subscription_frame) if kind == CONSUMER else None
    assignment = _decoded(ConsumerProtocolMemberAssignment, assignment_frame) if kind == CONSUMER else None
    identity = decode_identity(subscription.user_data) if subscription else None
    active, standby, refused = _shares(assignment)
    return GroupMember(
        member_id=member_id,
        name=identity.name if identity else member_id,
        client_id=client_id,
        host=host.removeprefix("/"),
        topics=tuple(sorted(subscription.subscription)) if subscription else (),
        active=active,
        standby=standby,
        weight=identity.weight if identity else 1.0,
        started=identity.started if identity else 0,
        url=identity.url if identity else "",
        refused=refused,
        named=identity is not None,
    )


def _decoded(frame: type[Any], data: bytes | None) -> Any:
    if not data:
        return None
    try:
        return frame.decode(data)
    except (ValueError, UnicodeDecodeError, IndexError) as error:
        logger.debug("a member's frame cannot be read: %r", error)
        return None


def _shares(assignment: Any) -> tuple[Topics, Topics, str | None]:
    """Active and standby partitions, and why there are none.

    What Kafka is told also has the standbys of tables; who decided it, ours or Faust, says in ``user_data`` which
    are which.
    """
    if assignment is None:
        return {}, {}, None
    decision = decode_decision(assignment.user_data)
    if decision is not None:
        return _sorted(decision.active), _sorted(decision.standby), decision.refused
    faust = _faust_metadata(assignment.user_data)
    if faust is not None:
        return _sorted(faust.assignment.actives), _sorted(faust.assignment.standbys), None
    return _sorted(dict(assignment.assignment)), {}, None


def _faust_metadata(frame: bytes | None) -> ClientMetadata | None:
    if not frame:
        return None
    try:
        found = ClientMetadata.loads(zlib.decompress(frame))
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError):
        return None
    return found if isinstance(found, ClientMetadata) else None


def _sorted(topics: Mapping[str, Iterable[int]]) -> Topics:
    return {topic: tuple(sorted(numbers)) for topic, numbers in sorted(topics.items()) if numbers}
