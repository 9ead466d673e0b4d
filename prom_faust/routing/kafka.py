"""Samples the keys of existing topics at the start of a worker, and compares them with their routing."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from prom_faust.clients import Clients, started
from prom_faust.exceptions import RoutingMismatchError, UnreachableError
from prom_faust.routing.hashing import Routing, partition_of
from prom_faust.routing.sample import Expectation, Home, Placement, judge, leftover_text, mismatch_text

__all__ = ["check_routing", "default_partition"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
"""How long one poll waits: behind the last record there may be nothing but a transaction's marker."""
PARTITION_FETCH_BYTES = 256 * 1024
READ_TOGETHER = 64
"""Partitions that are read at once: times the bytes above that is the memory which a check takes."""


def default_partition(key: bytes, partitions: int) -> int:
    """Where the default partitioner of Kafka's clients puts a key: murmur2 without its sign, modulo the count.

    Source: ``BuiltInPartitioner.partitionForKey`` of Kafka's Java client.
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


HOMES: Mapping[Routing, Home] = {"jump": partition_of, "kafka": default_partition}


async def check_routing(
    clients: Clients, expectations: Sequence[Expectation], *, timeout: float, tail: int = 50
) -> None:
    """Compare the last keys of each topic with its routing. Topics that are empty or not there pass.

    What is read within the time decides; a topic that could not be read to its end is named in a warning.

    Args:
        clients: opens the Kafka clients.
        expectations: the topics and their routing.
        timeout: seconds for everything.
        tail: how many of the last offsets of each partition are read.

    Raises:
        RoutingMismatchError: topics are written by another rule; all are named.
        UnreachableError: Kafka did not answer in time.
    """
    if not expectations:
        return
    sample = _Sample(clients, tail)
    names = sorted({expectation.topic for expectation in expectations})
    try:
        async with asyncio.timeout(timeout):
            await sample.take(names)
    except (KafkaError, OSError, TimeoutError) as error:
        if not (isinstance(error, TimeoutError) and sample.partitions):
            raise UnreachableError(
                f"Kafka at {clients.brokers} did not let the keys of {', '.join(names)} be sampled: {error!r}"
            ) from error
        logger.warning("the keys of %s were not all sampled within %g s", ", ".join(sample.unread), timeout)
    faults = [fault for expectation in expectations if (fault := _fault(expectation, sample))]
    if faults:
        raise RoutingMismatchError("; ".join(faults))


def _fault(expectation: Expectation, sample: "_Sample") -> str | None:
    """What is wrong with a topic; what is only odd is logged."""
    topic, routing = expectation.topic, expectation.routing
    partitions, found = sample.partitions.get(topic, 0), sample.of(topic)
    verdict = judge(found, partitions, routing, HOMES)
    if verdict.misplaced:
        text = mismatch_text(expectation, verdict)
        if verdict.mismatch:
            return text
        logger.warning("%s", text)
    if verdict.leftover and routing == "jump":
        logger.warning("%s", leftover_text(topic, partitions, verdict))
    return None


class _Sample:
    """The keys of the last records of topics.

    Attributes:
        partitions: topic to partition count, of the topics that exist.
        unread: the topics that were not read to their end.
    """

    def __init__(self, clients: Clients, tail: int) -> None:
        self._clients = clients
        self._tail = tail
        self._found: dict[tuple[str, int, bytes], bool] = {}
        self.partitions: dict[str, int] = {}
        self.unread: list[str] = []

    def of(self, topic: str) -> list[Placement]:
        """What was found in one topic."""
        return [
            Placement(key, partition, live)
            for (name, partition, key), live in self._found.items()
            if name == topic
        ]

    async def take(self, topics: Sequence[str]) -> None:
        """Read."""
        self.partitions = await self._counts(topics)
        wanted = [
            KafkaPartition(topic, number)
            for topic, count in self.partitions.items()
            for number in range(count)
        ]
        self.unread = list(self.partitions)
        reader = self._clients.reader(partition_fetch_bytes=PARTITION_FETCH_BYTES, committed_only=False)
        async with started(reader, what="the reader of sampled keys"):
            for start in range(0, len(wanted), READ_TOGETHER):
                await self._read(reader, wanted[start : start + READ_TOGETHER])
                left = {theirs.topic for theirs in wanted[start + READ_TOGETHER :]}
                self.unread = [topic for topic in self.unread if topic in left]

    async def _counts(self, topics: Sequence[str]) -> dict[str, int]:
        admin = self._clients.admin()
        try:
            await admin.start()
            # All topics: to ask for one that is missing can create it.
            described = await admin.describe_topics()
        finally:
            await admin.close()
        counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
        return {topic: counts[topic] for topic in topics if counts.get(topic)}

    async def _read(self, reader: Any, partitions: Sequence[KafkaPartition]) -> None:
        # Assigned first: the client then learns of all topics at once, else of one after the other.
        reader.assign(partitions)
        reader.pause(*partitions)
        begins = await reader.beginning_offsets(partitions)
        ends = await reader.end_offsets(partitions)
        pending = {theirs: end for theirs, end in ends.items() if begins[theirs] < end}
        for theirs, end in pending.items():
            reader.seek(theirs, max(begins[theirs], end - self._tail))
        reader.resume(*pending)
        await self._drain(reader, pending)

    async def _drain(self, reader: Any, pending: dict[KafkaPartition, int]) -> None:
        while pending:
            fetched = await reader.getmany(*pending, timeout_ms=int(POLL_SECONDS * 1000))
            for theirs, records in fetched.items():
                for record in records:
                    if record.key is not None:
                        self._found[theirs.topic, theirs.partition, record.key] = record.value is not None
            # A log has holes, so its end is where the position is, not where a record came from.
            done = [theirs for theirs, end in pending.items() if await reader.position(theirs) >= end]
            reader.pause(*done)
            for theirs in done:
                del pending[theirs]
