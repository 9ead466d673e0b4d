"""Who else has this worker's name, asked of the broker."""

import asyncio
from collections.abc import Iterator
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocol

from prom_faust.assignment.wire import Identity, decode_identity
from prom_faust.clients import Clients

__all__ = ["successor"]

PATIENCE_SECONDS = 3.0
"""While a group rebalances, the broker does not tell who its members are."""
PAUSE_SECONDS = 0.3
STABLE = "Stable"


async def successor(clients: Clients, group: str, identity: Identity) -> Identity | None:
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
