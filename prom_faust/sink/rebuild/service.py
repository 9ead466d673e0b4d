"""Rebuild one projection, offline: while no worker runs.

The committed offsets go first and the positions last. A rebuild that is cut off leaves positions without
committed offsets, and with these a sink refuses to start and names the rebuild: it never goes on over half a
collection.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import GroupIdNotFound, KafkaError, NonEmptyGroup, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest
from pymongo.errors import PyMongoError

from prom_faust.exceptions import ConfigurationError, UnreachableError
from prom_faust.sink.faust import Projection
from prom_faust.sink.rebuild.shadow.mongo import remove_shadow

__all__ = ["Rebuilt", "rebuild"]

ANSWER_SECONDS = 20.0
EMPTY = frozenset({"Empty", "Dead"})
"""States of a group without members; a group that never was is dead."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild removed.

    Attributes:
        collection: the collection's name.
        group: the consumer group's name.
        offsets: partitions whose committed offset is gone.
        documents: documents, markers included.
        positions: stored positions.
    """

    collection: str
    group: str
    offsets: int
    documents: int
    positions: int


async def rebuild(projection: Projection) -> Rebuilt:
    """Remove a projection's committed offsets, documents and positions.

    Raises:
        ConfigurationError: the group has members: a worker runs.
        UnreachableError: Kafka or MongoDB does not answer; nothing of it is lost, run it again.
    """
    offsets = await _delete_group(projection)
    try:
        documents, positions = await _delete_documents(projection)
    except (PyMongoError, UnreachableError) as error:
        raise UnreachableError(
            f"the group's offsets are removed and the collection is not: {error}. Run the rebuild again"
        ) from error
    return Rebuilt(projection.options.collection, projection.group, offsets, documents, positions)


async def _delete_documents(projection: Projection) -> tuple[int, int]:
    collection = projection.collection
    documents = await collection.drop()
    await remove_shadow(collection)
    return documents, await collection.positions.remove()


async def _delete_group(projection: Projection) -> int:
    clients, group = projection.lane.clients, projection.group
    admin: Any = clients.admin()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await admin.start()
            await _refuse_members(admin, group)
            committed = await admin.list_consumer_group_offsets(group)
            await _delete(admin, group)
    except (KafkaError, OSError, TimeoutError) as error:
        raise UnreachableError(
            f"Kafka at {clients.brokers} did not remove group {group}: {error!r}. Nothing was removed"
        ) from error
    finally:
        await admin.close()
    return len(committed)


async def _refuse_members(admin: Any, group: str) -> None:
    for response in await admin.describe_consumer_groups([group]):
        for code, _, state, _, _, members, *_ in response.groups:
            if code and for_code(code) is not GroupIdNotFound:
                raise for_code(code)(f"group {group} cannot be described")
            if members or (state and state not in EMPTY):
                raise _busy(group, members)


def _busy(group: str, members: list[Any]) -> ConfigurationError:
    hosts = sorted({f"{client} at {host.lstrip('/')}" for _, client, host, *_ in members})
    return ConfigurationError(
        f"group {group} has {len(members) or 'joining'} members ({', '.join(hosts) or 'not yet known'}): "
        "stop every worker of the app first"
    )


async def _delete(admin: Any, group: str) -> None:
    node = await admin.find_coordinator(group)
    # The client knows the request and has no public call that sends it.
    response = await admin._send_request_to_node(node, DeleteGroupsRequest([group]))  # noqa: SLF001
    for _, code in response.results:
        error = for_code(code)
        if error is NonEmptyGroup:
            raise _busy(group, [])
        if code and error is not GroupIdNotFound:
            raise error(f"group {group} was not deleted")
