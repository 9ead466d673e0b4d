"""Take a snapshot of a projection's topic, and warm a collection from one."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import islice

import bson

from prom_faust.clients import Clients
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import ConfigurationError, DecodeError, TopicError
from prom_faust.kafka import ensure_topics, topic_configs
from prom_faust.lane.record import PlainRecord, Record
from prom_faust.publish.gate import Gate
from prom_faust.publish.service import Sender
from prom_faust.settings import Settings
from prom_faust.sink.decode import decoder
from prom_faust.sink.faust import Projection
from prom_faust.sink.log.entry import LIVE, NULL, Entry, entry_of, entry_of_letter
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.order import place_at
from prom_faust.sink.replay import Candidate, Outcome, Pace, Result, Verdict, replay
from prom_faust.sink.snapshot.envelope import decode, encode, taken_at
from prom_faust.sink.verify.report import Progress
from prom_faust.sink.verify.spill import Spill
from prom_faust.topics import TopicSpec

__all__ = ["Snapshot", "replay_snapshot", "snapshot"]

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot holds.

    Attributes:
        source: the topic that it was taken of.
        topic: where it was written.
        records: live records, one of each key.
        read: records read of the topic.
        at: milliseconds since the epoch when the reading began.
        seconds: how long it took.
    """

    source: str
    topic: str
    records: int
    read: int
    at: int
    seconds: float


async def snapshot(
    projection: Projection, gate: Gate, settings: Settings, *, to: str, progress: Progress
) -> Snapshot:
    """Write the live record of every key of a projection's topic to another topic, with where it stood.

    What is live is what the projection makes of it: its key, its tombstones, its versions, its dead letters. The
    worker may run, and need not. The copies are deleted by the broker when a replay would refuse them for their age.

    Args:
        projection: of whose topic.
        gate: what the topics may carry.
        settings: whether topics may be made.
        to: the topic to write to; made where it is missing, with the partitions of the source.
        progress: told how far it is.

    Raises:
        TopicError: there is no such topic, or the one to write to cannot be made.
        UnreachableError: Kafka does not answer.
        SendRefusedError: the topic to write to has a schema of its own, which a record does not obey.
    """
    options, clients = projection.options, projection.clients
    if to == options.topic:
        raise ConfigurationError(f"a snapshot of {to} cannot be written to {to}")
    if options.appends:
        raise ConfigurationError(
            f'{options.collection} keeps every record (write="insert"): no snapshot holds less than {options.topic}'
        )
    started, at = time.monotonic(), milliseconds()
    with Spill(versioned=options.versioned) as spill:
        async with LogReader(clients) as log:
            partitions = await log.partitions(options.topic)
            if not partitions:
                raise TopicError(f"there is no topic {options.topic}")
            await _make(clients, settings, options.topic, to, len(partitions))
            read = await _read(projection, log, spill, progress)
        await asyncio.to_thread(spill.index)
        total = 0
        for total in spill.fold_slices():
            progress("folding", total, 0)
            await asyncio.sleep(0)
        taken = Snapshot(options.topic, to, total, read, at, 0.0)
        async with Sender(clients, gate) as sender:
            await _write(sender, spill, taken, progress)
    return replace(taken, seconds=time.monotonic() - started)


async def _make(clients: Clients, settings: Settings, source: str, to: str, partitions: int) -> None:
    """Make the topic: a copy is of use as long as its source's tombstones stand, and only the last one of a key."""
    keep = (await topic_configs(clients, source))["delete.retention.ms"]
    config = {"cleanup.policy": "compact,delete", "retention.ms": keep}
    await ensure_topics(clients, [TopicSpec(to, partitions, config=config)], settings)


async def _read(projection: Projection, log: LogReader, spill: Spill, progress: Progress) -> int:
    """Read the topic and its letters to their ends; how many records there were."""
    options = projection.options
    decode_change = decoder(options)
    spans = await log.spans(options.topic)
    total, read = sum(end - begin for begin, end in spans.values()), 0
    async for records in log.read(spans):
        spill.add([_packed(entry_of(record, decode_change), record) for record in records])
        read += len(records)
        progress(f"reading {options.topic}", read, total)
    spans = await log.spans(dlq_topic(options.topic))
    async for letters in log.letters(spans, topic=options.topic, group=projection.group):
        for letter in letters:
            entry = _packed(entry_of_letter(letter, decode_change), letter.record)
            spill.add_letter(entry, replayed=letter.replayed)
    return read


def _packed(entry: Entry, record: Record) -> Entry:
    """The entry with the record itself in the place of its document."""
    if entry.kind not in {LIVE, NULL}:
        return entry
    headers = [[name, value] for name, value in record.headers]
    body = bson.encode({"key": record.key, "value": record.value, "headers": headers, "at": record.timestamp})
    return entry._replace(body=body)


def _unpacked(topic: str, n: int, body: bytes) -> PlainRecord:
    found = bson.decode(body)
    headers = tuple((name, value) for name, value in found["headers"])
    partition, offset = place_at(n)
    return PlainRecord(topic, partition, offset, found["at"], found["key"], found["value"], headers)


async def _write(sender: Sender, spill: Spill, snapshot: Snapshot, progress: Progress) -> None:
    standing, done = spill.standing(), 0
    while chunk := list(islice(standing, CHUNK)):
        records = [_unpacked(snapshot.source, n, body) for n, body in chunk]
        await asyncio.gather(
            *(
                sender.send(
                    snapshot.topic,
                    record.key,
                    record.value,
                    encode(record, snapshot.at),
                    partition=record.partition,
                )
                for record in records
            )
        )
        done += len(chunk)
        progress(f"writing {snapshot.topic}", done, snapshot.records)


async def replay_snapshot(
    projection: Projection,
    topic: str,
    outcome: Outcome,
    *,
    rate: float | None = None,
    dry_run: bool = False,
    progress: Progress,
) -> None:
    """Warm a projection's collection from a snapshot of its topic; live traffic may go on.

    Every record is applied at its original position, where nothing later has overtaken it: nothing is set back, and
    nothing that was deleted comes back.

    Args:
        projection: into which.
        topic: the snapshot.
        outcome: is told what became of each record.
        rate: records per second, at most.
        dry_run: say what would become of them, and write nothing.
        progress: told how far it is.

    Raises:
        TopicError: there is no such topic.
        UnreachableError: Kafka or MongoDB does not answer. What was done is done; run it again.
    """
    pace = Pace(rate)
    async with LogReader(projection.clients) as copies, LogReader(projection.clients) as log:
        spans = await copies.spans(topic)
        if not spans:
            raise TopicError(f"there is no topic {topic}")
        total = sum(end - begin for begin, end in spans.values())

        async def source() -> AsyncIterator[list[Candidate | Result]]:
            async for records in copies.read(spans):
                found = [_candidate(record) for record in records if record.value is not None]
                for start in range(0, len(found), pace.chunk):
                    yield found[start : start + pace.chunk]

        async for results in replay(projection, log, source, dry_run=dry_run, progress=progress):
            outcome.add(results)
            progress("replaying", sum(outcome.counts.values()), total)
            await pace.after(len(results))


def _candidate(copy: Record) -> Candidate | Result:
    try:
        return Candidate(decode(copy), taken_at(copy))
    except DecodeError as error:
        return Result(Candidate(copy, 0), Verdict.REFUSED, str(error))
