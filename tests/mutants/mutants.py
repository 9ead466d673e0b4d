"""The mutants: one line of the package each, that breaks one guarantee, and the tests that must notice."""

from dataclasses import dataclass

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one line.

    Attributes:
        guarantee: what it breaks, as docs/guide.md names it.
        name: what it does.
        file: below ``prom_faust``.
        old: text that is there exactly once.
        new: what stands there instead.
        tests: the cheapest that must fail, as pytest is told of them.
        why: what they see.
    """

    guarantee: str
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str


FLIGHTS = "tests/exhaustive/test_crashes.py::test_the_package_itself_takes_every_flight_as_the_steps_do[2-1]"
RUNS = "tests/exhaustive/test_crashes.py::test_every_run_of_every_history_ends_as_its_fold[2-2]"
VERSIONS = "tests/exhaustive/test_versions.py"
OUTAGE = "tests/faults/test_outage.py::"

MUTANTS = (
    Mutant(
        "G1",
        "the gate lets everything pass",
        "publish/gate.py",
        "return outgoing(subject, value, headers, compacted=compacted)",
        "return value, headers",
        ("tests/unit/publish/test_gate.py",),
        "what does not obey is refused at the gate",
    ),
    Mutant(
        "G1",
        "the producer does not ask the gate",
        "publish/kafka.py",
        "value, headers = self.gate.admit(topic, key, value, headers)",
        "pass",
        ("tests/integration/sends/test_every_send.py",),
        "there are ways to send that do not go through a topic",
    ),
    Mutant(
        "G1",
        "the header is missing",
        "schema/outgoing.py",
        "return version.encode(value), with_version(headers, version.number)",
        "return version.encode(value), without_version(headers)",
        ("tests/unit/schema/test_outgoing.py",),
        "the header names the version that was obeyed",
    ),
    Mutant(
        "G2",
        "another constant in jump hash",
        "routing/hashing.py",
        "MULTIPLIER: Final = 2862933555777941757",
        "MULTIPLIER: Final = 2862933555777941755",
        ("tests/unit/routing/test_hashing.py",),
        "golden vectors of other implementations",
    ),
    Mutant(
        "G2",
        "a key's partition depends on the order in which the client knows the partitions",
        "publish/kafka.py",
        "return int(super()._partition(topic, partition, key, value, serialized_key, serialized_value))",
        "return list(self._metadata.partitions_for_topic(topic))[-1 - int(partition or 0)]",
        ("tests/parity/test_1d_partition_on_publish.py",),
        "a record is where its key belongs",
    ),
    Mutant(
        "G4",
        "no guard",
        "sink/plan.py",
        'older = {"_key": key, "_src.n": {"$not": {"$gte": change.n}}}',
        'older = {"_key": key}',
        (RUNS,),
        "a late write leaves a document at an older state",
    ),
    Mutant(
        "G4",
        "the guard lets a write of the same position pass",
        "sink/plan.py",
        'older = {"_key": key, "_src.n": {"$not": {"$gte": change.n}}}',
        'older = {"_key": key, "_src.n": {"$not": {"$gt": change.n}}}',
        ("tests/unit/sink/test_plan.py",),
        "the filter, word by word: to write the same once more does no harm but costs",
    ),
    Mutant(
        "G4",
        "a tie of versions goes to the later write",
        "sink/plan.py",
        'return {"_key": key, "_v": {"$not": {"$gte": version}}}',
        'return {"_key": key, "_v": {"$not": {"$gt": version}}}',
        (VERSIONS,),
        "some order of delivery ends with the later one of two records of one version",
    ),
    Mutant(
        "G4",
        "an insert that is refused counts as done",
        "sink/mongo/collection.py",
        'failures = [classify(error) for error in details.get("writeErrors", ())]',
        'failures = [classify(error) for error in details.get("writeErrors", ()) '
        'if not isinstance(operations[error["index"]], InsertOne)]',
        (FLIGHTS,),
        "an older document stands where a newer one was to be inserted",
    ),
    Mutant(
        "G4",
        "no marker where nothing stood",
        "sink/mongo/collection.py",
        "return ReplaceOne(write.filter, marker, upsert=True)",
        "return ReplaceOne(write.filter, marker, upsert=False)",
        (FLIGHTS,),
        "every write of the sink makes what is missing",
    ),
    Mutant(
        "G4",
        "no marker at all: a tombstone is not written",
        "sink/service.py",
        "pending = self._writes(work, plans, stored)",
        "pending = [write for write in self._writes(work, plans, stored) if not write.change.deletes]",
        (FLIGHTS,),
        "a flight of a tombstone leaves a marker",
    ),
    Mutant(
        "G4",
        "a marker does not age anew when its tombstone comes once more",
        "sink/plan.py",
        "if change.deletes and change.n == stored.n:",
        "if False:",
        (RUNS,),
        "a marker is swept while a write of an older record is under way",
    ),
    Mutant(
        "G4",
        "a batch is done when the agent gets it",
        "lane/agent.py",
        "delivery.begin(asyncio.current_task())",
        "delivery.finish()",
        (FLIGHTS,),
        "an offset is committed before its position is stored",
    ),
    Mutant(
        "G4",
        "an offset is committed before its batch is given to the agent",
        "lane/tasks.py",
        "await self._agent.deliver(delivery)",
        "[self._done(one, share.records[-1].offset + 1) for one, share in shares.items()]; "
        "await self._agent.deliver(delivery)",
        (FLIGHTS,),
        "an offset is committed before its position is stored",
    ),
    Mutant(
        "G4",
        "the position is stored before the write",
        "sink/service.py",
        "conflicts = await self._apply(work, plans, may_insert=True)",
        "await self._store_positions(work, 0.0); conflicts = await self._apply(work, plans, may_insert=True)",
        (FLIGHTS,),
        "a crash between the two leaves a position without its effect",
    ),
    Mutant(
        "G4",
        "a taken key is stale, without a look at what stands",
        "sink/service.py",
        "if newer is None:",
        "if newer is None or failure.verdict is Verdict.KEY_TAKEN:",
        (VERSIONS,),
        "a write that the one-field guard refuses and the order allows is lost",
    ),
    Mutant(
        "G4",
        "ownership is not checked",
        "lane/batch.py",
        "if not share.token.valid:",
        "if False:",
        (FLIGHTS,),
        "a call after the partition was revoked",
    ),
    Mutant(
        "G4",
        "a sweep does not wait for the lower partitions",
        "sink/sweep.py",
        "if end > begin and (position is None or position.applied < end):",
        "if False:",
        ("tests/unit/sink/test_sweep.py",),
        "a lower partition that is not applied keeps every marker",
    ),
    Mutant(
        "G4",
        "a sweep takes markers of any age",
        "sink/sweep.py",
        "return min(observation.at, now - int(keep * 1000))",
        "return observation.at",
        (RUNS,),
        "a late write finds no marker",
    ),
    Mutant(
        "G4",
        "a new owner starts at the committed offset, wherever the position is",
        "lane/history.py",
        "if log.applied is not None:",
        "if log.applied is not None and log.committed is None:",
        ("tests/unit/lane/test_history.py", RUNS),
        "a new owner starts where the position is stored",
    ),
    Mutant(
        "G5",
        "a bad record is skipped without a letter",
        "sink/service.py",
        "await self._burial.bury(work, bad, self",
        "await self._burial.bury(work, [], self",
        (FLIGHTS,),
        "the position passes a record that has no letter",
    ),
    Mutant(
        "G5",
        "what MongoDB refuses is skipped without a letter",
        "sink/service.py",
        "for write, failure in refused\n            ],",
        "for write, failure in refused[:0]\n            ],",
        (FLIGHTS,),
        "the position passes a record that has no letter",
    ),
    Mutant(
        "G5",
        "that a letter was not published does not matter",
        "sink/burial/kafka.py",
        "if failed is None:",
        "if True:",
        (FLIGHTS,),
        "the position passes a record whose letter was lost",
    ),
    Mutant(
        "G5",
        "a letter is not waited for",
        "dlq/kafka.py",
        "await producer.send_and_wait(",
        "await producer.send(",
        ("tests/integration/test_letters.py",),
        "a letter that the broker refuses counts as published",
    ),
    Mutant(
        "G5",
        "a bad record takes its batch down",
        "sink/service.py",
        "bad.append((record, error))",
        "bad.extend((other, error) for other in batch)",
        (FLIGHTS,),
        "a letter about a good record",
    ),
    Mutant(
        "G6",
        "no pause between attempts",
        "sink/mongo/patience.py",
        "await asyncio.sleep(seconds)",
        "await asyncio.sleep(0)",
        ("tests/exhaustive/test_outage.py",),
        "thousands of calls in no time",
    ),
    Mutant(
        "G6",
        "no deadline for a server that says nothing",
        "sink/mongo/server.py",
        "async with asyncio.timeout(self.deadline):",
        "async with asyncio.timeout(None):",
        ("tests/exhaustive/test_outage.py",),
        "the sink waits for ever",
    ),
    Mutant(
        "G6",
        "an outage is not shown",
        "sink/stats.py",
        "self.outage = error",
        "self.outage = None",
        (f"{OUTAGE}test_an_outage_of_mongodb_longer_than_the_poll_interval",),
        "the sink's state says nothing of it",
    ),
    Mutant(
        "G6",
        "what was too much for the server is sent to it again as it was",
        "sink/service.py",
        "bulk = writes[: self._write_size.value]",
        "bulk = writes",
        ("tests/integration/sink/test_slow_server.py",),
        "a slow server is never done with a full bulk",
    ),
    Mutant(
        "G6",
        "polling stops while a batch is in flight",
        "lane/service.py",
        "if await self._polling.poll(consumer):",
        "if await (asyncio.sleep(0.1) if self._flights.in_flight else self._polling.poll(consumer)):",
        (f"{OUTAGE}test_an_outage_of_mongodb_longer_than_the_poll_interval",),
        "the group puts a member out that does not poll",
    ),
    Mutant(
        "G6",
        "what is read ahead has no bound",
        "lane/polling/kafka.py",
        "wanted = self._wanted(consumer) or [NOWHERE]",
        "wanted = list(map(kafka_partition, self._partitions)) or [NOWHERE]",
        (f"{OUTAGE}test_memory_stays_bounded_while_mongodb_is_down",),
        "the buffers grow as long as the outage lasts",
    ),
)
