"""Fills the topics before anything is measured: every path works through a backlog."""

from collections import defaultdict
from typing import Any

import faust
from aiokafka import AIOKafkaProducer

from benchmarks.workload import FIRST_MILLISECOND, PARTITIONS, Workload, events, topic_of
from prom_faust.boot import ensure_topics
from prom_faust.clients import Clients
from prom_faust.settings import load_settings
from prom_faust.topics import TopicSpec

__all__ = ["fill"]

BATCH_BYTES = 256 * 1024


async def fill(broker: str, workload: Workload, count: int) -> None:
    """Make the workload's topic, compacted, and write its records to it."""
    clients = Clients(faust.App("bench-fill", broker=broker))
    topic = topic_of(workload)
    await ensure_topics(clients, [TopicSpec(topic, PARTITIONS, compacted=True, config={})], load_settings())
    producer = AIOKafkaProducer(**clients.common(), max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        await _write(producer, topic, workload, count)
    finally:
        await producer.stop()


async def _write(producer: AIOKafkaProducer, topic: str, workload: Workload, count: int) -> None:
    batches: dict[int, Any] = defaultdict(producer.create_batch)
    for event in events(workload, count):
        record = {
            "key": event.key.encode(),
            "value": event.value,
            "timestamp": FIRST_MILLISECOND,
        }
        if batches[event.partition].append(**record) is None:
            await producer.send_batch(batches.pop(event.partition), topic, partition=event.partition)
            batches[event.partition].append(**record)
    for partition, batch in batches.items():
        await producer.send_batch(batch, topic, partition=partition)
    await producer.flush()
