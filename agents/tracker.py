"""Heartbeats become states: a table of all processes, and what happens to those that fall silent.

Faust writes a table inside of a stream only, where the record at hand names the partition. A timer has no
record, so it does not decide: it asks, through `process.silent`, and the worker that owns the process looks
again. Both agents see a process's records in the same partition, and so in the same worker.

What silence leads to is sent first and written to the table when Kafka has it. A worker that dies in between
does it again; the other way round the table would say that it was done.
"""

import logging
import time

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from faust.types import StreamT
from pydantic import ValidationError

from agents.app import PARTITIONS, app, heartbeats, prom, settings, silences, states
from agents.models import Heartbeat, Payload, ProcessId, ProcessState, Silence
from agents.silence import Limits, judge
from prom_faust import partition_of

__all__ = ["alive", "look_for_silence", "on_silence", "processes", "track"]

logger = logging.getLogger(__name__)

LIMITS = Limits(settings.stale_after, settings.gone_after)

processes = prom.table("processes", source=heartbeats)

listening: dict[int, int] = {}
"""Our partitions, and since when (ms) we have heard their heartbeats."""


def alive(key: ProcessId, heartbeat: Heartbeat, last_seen_ts: int) -> ProcessState:
    """The state of a process that was just heard."""
    return ProcessState(
        processId=key,
        name=heartbeat.name,
        host=heartbeat.host,
        pid=heartbeat.pid,
        sid=heartbeat.sid,
        cpu_pct=heartbeat.cpu_pct,
        mem_mb=heartbeat.mem_mb,
        last_seen_ts=last_seen_ts,
        status="alive",
    )


@app.agent(heartbeats)
async def track(stream: StreamT[Heartbeat]) -> None:
    """Every heartbeat gives a new state; a stale process that is heard again is alive again."""
    async for event in stream.events():
        try:
            state = alive(event.key, event.value, round(event.message.timestamp * 1000))
        except ValidationError as error:  # a heartbeat without a key
            logger.warning("no heartbeat: %s: %s", event.key, error)
            continue
        processes[event.key] = state.model_dump()
        await publish(event.key, state)


@app.agent(silences)
async def on_silence(stream: StreamT[Silence]) -> None:
    """Look again at a process that was silent: by now it may have been heard, or be gone already."""
    async for event in stream.events():
        before = processes.get(event.key)
        since = listening.get(event.message.partition)
        if before is None or since is None:
            continue
        state = ProcessState(**before)
        verdict = judge(state, now_ms=now_ms(), listening_since_ms=since, limits=LIMITS)
        if verdict == "heard":
            continue
        after = None if verdict == "gone" else state.model_copy(update={"status": "stale"})
        # While that was sent, the process may have been heard.
        if not await publish(event.key, after, wait=True) or processes.get(event.key) != before:
            continue
        if after is None:
            del processes[event.key]
        else:
            processes[event.key] = after.model_dump()


@app.timer(settings.check_interval)  # type: ignore[untyped-decorator] # Faust gives no type
async def look_for_silence() -> None:
    """Ask about the silent processes of our partitions, and ask again until there is an answer."""
    if not listening:
        return
    now = now_ms()
    for key, value in list(processes.items()):
        # The table holds copies of other workers' partitions as well.
        since, state = listening.get(partition_of(key, PARTITIONS)), ProcessState(**value)
        if since is None:
            continue
        if judge(state, now_ms=now, listening_since_ms=since, limits=LIMITS) != "heard":
            await send(silences, key, Silence(last_seen_ts=state.last_seen_ts))


@processes.on_recover
async def listen_from_now() -> None:
    """After a start or a rebalance: these partitions are ours, and the table is complete."""
    mine = [tp.partition for tp in app.consumer.assignment() if tp.topic == heartbeats.get_topic_name()]
    listening.clear()
    listening.update(dict.fromkeys(mine, now_ms()))


@app.on_partitions_revoked.connect
async def listen_no_more(*_: object, **__: object) -> None:
    """A rebalance begins: whose the partitions are is open."""
    listening.clear()


async def publish(key: ProcessId, state: ProcessState | None, *, wait: bool = False) -> bool:
    """Send a state, or with None a real null, which deletes the process.

    Args:
        key: the process.
        state: its state.
        wait: until Kafka has it.

    Returns:
        Whether it was sent. If not, the next heartbeat or the next look for silence does it again.
    """
    return await send(states, key, state, wait=wait)


async def send(topic: faust.Topic, key: ProcessId, value: Payload | None, *, wait: bool = False) -> bool:
    """Send a record. An agent that raises holds up the worker's end, so a refusal is logged and returned."""
    try:
        sent = await topic.send(key=key, value=value)
        if wait:
            await sent
    except (KafkaError, ProducerSendError) as error:
        logger.warning("%s of %s was not sent: %r", topic, key, error)
        return False
    return True


def now_ms() -> int:
    """The time as Kafka writes it."""
    return round(time.time() * 1000)
