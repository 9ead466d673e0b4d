"""A static member that was replaced: who has its name now, asked of the broker, and how it makes room."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError

from prom_faust.assignment.wire import Identity, decode_identity
from prom_faust.clients import Clients
from prom_faust.exceptions import DuplicateMemberError
from prom_faust.membership.refusal import duplicate

__all__ = ["make_room"]

logger = logging.getLogger(__name__)

STAY_OUT_SECONDS = 0.5

PATIENCE_SECONDS = 3.0
"""While a group rebalances, the broker does not tell who its members are."""
PAUSE_SECONDS = 0.3
STABLE = "Stable"


async def make_room(
    clients: Clients, group: str, identity: Identity, coordinator: Any
) -> DuplicateMemberError | None:
    """Keep a static member out if another process has replaced it, instead of replacing that one in turn.

    Kafka lets the member that joined last have a ``group.instance.id``. Both would take it back for ever.

    Args:
        clients: asks the broker.
        group: the group.
        identity: who the member is.
        coordinator: aiokafka's, of the member that the group does not know any more. It joins no more.

    Returns:
        Why the worker has to end, or None where it was not replaced.
    """
    if coordinator._group_instance_id is None or coordinator.generation >= 0:  # noqa: SLF001 - it has no word for it
        return None
    try:
        other = await _successor(clients, group, identity)
    except (KafkaError, OSError, TimeoutError) as error:
        logger.warning("cannot see who else is in group %s: %r", group, error, extra={"group": group})
        return None
    if other is None:
        return None
    coordinator._do_rejoin_group = _stay_out  # noqa: SLF001 - see above
    return duplicate(
        group, f"a worker that started later, {other.url}, has joined with its consumer_group_instance_id"
    )


async def _stay_out(_subscription: Any) -> bool:
    """Instead of joining the group: no success, at a pace."""
    await asyncio.sleep(STAY_OUT_SECONDS)
    return False


async def _successor(clients: Clients, group: str, identity: Identity) -> Identity | None:
    """The member of another process that has our name and started later, or None.

    Raises:
        KafkaError: the broker cannot be asked.
    """
    admin = clients.admin(request_timeout=PATIENCE_SECONDS)
    await admin.start()
    try:
        for _ in range(round(PATIENCE_SECONDS / PAUSE_SECONDS)):
            described = await admin.describe_consumer_groups([group])
            state, members = _state_and_members(described)
            for other in _identities(members):
                if other.name == identity.name and other.process != identity.process:
                    return other if other.started >= identity.started else None
            if state == STABLE:
                return None
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        await admin.close()
    return None


def _state_and_members(described: Any) -> tuple[str, list[Any]]:
    for response in described:
        for _, _, state, _, _, members, *_ in response.groups:
            return state, members
    return "", []


def _identities(members: list[Any]) -> Iterator[Identity]:
    for _, _, _, subscription, *_ in members:
        if subscription:
            found = decode_identity(ConsumerProtocol.METADATA.decode(subscription).user_data)
            if found is not None:
                yield found
