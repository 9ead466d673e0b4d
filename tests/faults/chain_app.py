"""An app whose event agent sends on what it reads, exactly once; it can be frozen in the middle of a transaction."""

import os
import signal
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from prom_faust import install
from tests.support.projection import make_app

TOPIC = os.environ["TOPIC"]
FREEZE = Path(os.environ["FREEZE"])
app = make_app(
    TOPIC,
    os.environ["KAFKA_URL"],
    os.environ["DATADIR"],
    broker_session_timeout=3.0,
    broker_heartbeat_interval=0.5,
    broker_rebalance_timeout=6.0,
)
prom = install(app, worker_name=os.environ["NAME"])
numbers = prom.topic(TOPIC, partitions=4)
copies = prom.topic(f"{TOPIC}.copies", partitions=3)

send_offsets = AIOKafkaProducer.send_offsets_to_transaction


async def send_offsets_or_freeze(producer: Any, *args: Any) -> None:
    """What was sent is on its topic, and the transaction is open."""
    if FREEZE.exists():
        await producer.flush()
        FREEZE.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)
    await send_offsets(producer, *args)


AIOKafkaProducer.send_offsets_to_transaction = send_offsets_or_freeze


@prom.event_agent(numbers, name="copy", exactly_once=True, concurrency=4, on_error="dead_letter", attempts=1)
async def copy(event: Any) -> None:
    if event.value % 100 == 50:
        raise ValueError("a bad one")
    for part in range(event.value % 3):
        await event.send(copies, key=event.key, value=[event.value, part])


@app.agent(prom.topic(f"{TOPIC}.other", partitions=4))
async def other(stream: Any) -> None:
    async for _ in stream:
        pass
