"""The records of a fault run, made from a seed, and the faults that are thrown at three workers meanwhile."""

import asyncio
import json
import os
import random
import signal
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from prom_faust.local import KafkaServer, MongoServer
from prom_faust.sink.mongo.positions import POSITIONS
from tests.support.kafka import Topics, at_home
from tests.support.proxy import Proxy
from tests.support.worker import FaustWorker

TOPIC = "things"
PARTITIONS = 8
SESSION_SECONDS = 10.0
STOP = 16
BACKLOG = 2_000
"""Records that are applied in a few seconds."""
Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is.

    Attributes:
        records: how many are sent.
        keys: of how many keys.
        seconds: over how long a time.
        faults: what is thrown at the workers meanwhile.
    """

    records: int
    keys: int
    seconds: float
    faults: tuple[str, ...]


EACH = ("kill_worker", "terminate_worker", "make_zombie", "cut_network", "kill_mongo", "kill_kafka")
SMALL = Scale(20_000, 2_000, 90.0, EACH)
MIDDLE = Scale(30_000, 3_000, 130.0, (*EACH, "kill_worker", "kill_worker"))
LARGE = Scale(
    200_000,
    20_000,
    900.0,
    (
        *(
            "kill_worker",
            "kill_worker",
            "kill_mongo",
            "kill_worker",
            "cut_network",
            "kill_worker",
            "kill_kafka",
        ),
        *("kill_worker", "make_zombie", "kill_worker", "long_outage", "terminate_worker", "kill_worker"),
        *(
            "kill_mongo",
            "kill_worker",
            "make_zombie",
            "kill_worker",
            "kill_kafka",
            "cut_network",
            "kill_worker",
        ),
        "kill_mongo",
    ),
)


@dataclass(frozen=True, slots=True)
class Message:
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    poison: bool = False


def messages(seed: int, count: int, keys: int) -> list[Message]:
    """10 % tombstones, 1 % poison of eight kinds, the rest live values whose bodies grow and shrink.

    Every twentieth record is the only one of its key: a later one would heal the loss of an earlier one.
    """
    rng = random.Random(seed)
    made: list[Message] = []
    for number in range(count):
        once = number % 20 == 0
        key = f"once{number}" if once else f"k{rng.randrange(keys - count // 20)}"
        fate = 1.0 if once else rng.random()
        if fate < 0.01:
            made.append(poison(key, number))
        elif fate < 0.11:
            made.append(Message(key.encode(), rng.choice([None, None, b"null", b'{"_deleted": true}'])))
        else:
            body = {"id": key, "group": rng.randrange(20), "seq": number, "pad": "x" * rng.randrange(200)}
            made.append(Message(key.encode(), json.dumps(body).encode()))
    return made


def poison(key: str, number: int) -> Message:
    refused = f"refused-{number}"
    good = json.dumps({"id": key}).encode()
    raw, value, *headers = [
        (key.encode(), b'{"id": "' + key.encode()),
        (key.encode(), json.dumps({"id": "another"}).encode()),
        (b"\xff\xfe", json.dumps({"id": "x"}).encode()),
        (key.encode(), json.dumps({"id": key, "big": 2**63}).encode()),
        (key.encode(), b"[1, 2]"),
        (key.encode(), json.dumps({"id": key, "_id": 1}).encode()),
        (key.encode(), good, ("x-schema-version", b"one")),
        # Only the server refuses it, and only if it is the winner: a key of its own makes it one.
        (refused.encode(), json.dumps({"id": refused, "refuse": 1}).encode()),
    ][number % 8]
    return Message(raw, value, tuple(headers), poison=True)


class Traced:
    """One worker and the counters of its bulk writes."""

    def __init__(self, name: str, folder: Path, env: dict[str, str], proxy: Proxy) -> None:
        self.name = name
        self.proxy = proxy
        self.trace = folder / name
        self.worker = FaustWorker(
            "tests.faults.hub",
            folder / f"{name}.log",
            {**env, "TRACE": str(self.trace), "MONGO_URL": f"mongodb://127.0.0.1:{proxy.port}"},
        )

    def bulks(self) -> tuple[int, int]:
        """(begun, ended)"""
        if not self.trace.exists() or len(raw := self.trace.read_bytes()) < 16:
            return 0, 0
        begun, ended = struct.unpack_from("qq", raw)
        return begun, ended

    @property
    def in_flight(self) -> bool:
        begun, ended = self.bulks()
        return begun > ended

    def ask_to_stop(self) -> None:
        with self.trace.open("r+b") as file:
            file.seek(STOP)
            file.write(struct.pack("q", 1))

    @property
    def stopped(self) -> bool:
        state = Path(f"/proc/{self.worker.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"


@dataclass
class Run:
    """One run: what was produced, what was done, and what was seen."""

    seed: int
    kafka: KafkaServer
    mongo: MongoServer
    database: Any
    workers: list[Traced]
    seconds: float
    began: float = field(default_factory=time.monotonic)
    poisoned: set[Position] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    backwards: list[str] = field(default_factory=list)
    changes: int = 0

    def note(self, text: str) -> None:
        self.events.append(f"{time.monotonic() - self.began:6.1f} s  {text}")
        print(self.events[-1], flush=True)

    # -- records ---------------------------------------------------------------------------------------------

    async def produce(self, made: list[Message]) -> None:
        """Send at a steady rate over the whole schedule, whatever happens to the broker."""
        producer = AIOKafkaProducer(
            bootstrap_servers=f"127.0.0.1:{self.kafka.port}",
            partitioner=at_home,
            enable_idempotence=True,
            request_timeout_ms=60_000,
            linger_ms=5,
        )
        await producer.start()
        began = time.monotonic()
        futures: list[tuple[Message, Awaitable[Any]]] = []
        for number, message in enumerate(made):
            due = began + self.seconds * number / len(made)
            if (early := due - time.monotonic()) > 0.005:
                await asyncio.sleep(early)
            futures.append((message, await self._send(producer, message)))
        for message, future in futures:
            metadata = await future
            if message.poison:
                self.poisoned.add((metadata.partition, metadata.offset))
        await producer.stop()
        self.note(f"produced {len(made)} records, {len(self.poisoned)} of them poison")

    @staticmethod
    async def _send(producer: AIOKafkaProducer, message: Message) -> Awaitable[Any]:
        future: Awaitable[Any] = await producer.send(
            TOPIC, key=message.key, value=message.value, headers=list(message.headers)
        )
        return future

    async def tombstone(self, key: str) -> Position:
        producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{self.kafka.port}", partitioner=at_home)
        await producer.start()
        metadata = await producer.send_and_wait(TOPIC, key=key.encode(), value=None)
        await producer.stop()
        return metadata.partition, metadata.offset

    # -- the witness -----------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Follow the change stream; a document whose ``_src.n`` falls while it stands is a set-back."""
        token: Any = None
        standing: dict[Any, int] = {}
        while True:
            try:
                stream = await self.database.things.watch(full_document="updateLookup", resume_after=token)
                async with stream:
                    async for change in stream:
                        token = change["_id"]
                        self.changes += 1
                        self._judge(change, standing)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the server is being killed
                self.note(f"the witness reconnects: {type(error).__name__}")
                await asyncio.sleep(0.5)

    def _judge(self, change: Any, standing: dict[Any, int]) -> None:
        identity = change["documentKey"]["_id"]
        if change["operationType"] == "delete":
            standing.pop(identity, None)
            return
        document = change.get("fullDocument")
        if document is None:
            return
        n = document["_src"]["n"]
        if n < standing.get(identity, -1):
            self.backwards.append(f"{document['_key']}: {standing[identity]} -> {n}")
        standing[identity] = n

    # -- faults ----------------------------------------------------------------------------------------------

    async def at(self, share: float) -> None:
        await asyncio.sleep(max(0.0, self.began + self.seconds * share - time.monotonic()))

    async def until(self, check: Callable[[], Any], what: str, seconds: float = 40.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := check()):
            assert time.monotonic() < deadline, f"seed {self.seed}: not within {seconds} s: {what}"
            await asyncio.sleep(0.001)
        return found

    async def someone_writing(self, *names: str) -> Traced:
        wanted = [worker for worker in self.workers if not names or worker.name in names]
        return await self.until(
            lambda: next((worker for worker in wanted if worker.in_flight), None), "a bulk in flight"
        )

    def still_writing(self, worker: Traced, what: str) -> None:
        assert worker.in_flight, f"seed {self.seed}: {what} did not hit a bulk in flight"
        self.note(f"{what}, {worker.name} having a bulk in flight {worker.bulks()}")

    async def kill_worker(self) -> None:
        victim = await self.someone_writing()
        victim.worker.kill()
        self.still_writing(victim, f"kill -9 of {victim.name}")
        victim.trace.unlink()  # or its last bulk would be in flight until the next one has come up
        await asyncio.sleep(2.0)
        victim.worker.start()

    async def terminate_worker(self) -> None:
        victim = await self.someone_writing()
        victim.worker.signal(signal.SIGTERM)
        self.still_writing(victim, f"SIGTERM of {victim.name}")
        began = time.monotonic()
        code = await asyncio.to_thread(victim.worker.wait, 10.0)
        self.note(f"{victim.name} ended with {code} after {time.monotonic() - began:.1f} s")
        assert code == 0, victim.worker.tail()
        victim.worker.start()

    async def make_zombie(self) -> None:
        # Its late write must come before the marker's time is over, so the tombstone must not wait behind a backlog.
        await self.until_async(self._caught_up, "the end of the backlog", seconds=600.0, every=2.0)
        victim = await self.someone_writing()
        victim.ask_to_stop()
        await self.until(
            lambda: victim.trace.with_suffix(".keys").exists() and victim.stopped, "a stopped worker"
        )
        self.still_writing(victim, f"SIGSTOP of {victim.name} between check and send")
        keys = [key for key in json.loads(victim.trace.with_suffix(".keys").read_text()) if key[0] == "k"]
        await asyncio.sleep(SESSION_SECONDS + 1.0)
        partition, offset = await self.tombstone(keys[0])
        n = (partition << 48) + offset
        await self.until_async(lambda: self._reached(keys[0], n), f"the tombstone of {keys[0]}")
        victim.worker.signal(signal.SIGCONT)
        self.note(f"{keys[0]} was deleted at {partition}:{offset} meanwhile; SIGCONT of {victim.name}")

    async def _caught_up(self) -> bool:
        found = await self.database[POSITIONS].find({"topic": TOPIC}).to_list()
        applied = {position["partition"]: position["applied"] for position in found}
        async with Topics(f"127.0.0.1:{self.kafka.port}") as topics:
            ends = await topics.ends(TOPIC)
        return sum(end - applied.get(partition, 0) for partition, end in ends.items()) < BACKLOG

    async def _reached(self, key: str, n: int) -> bool:
        found = await self.database.things.find_one({"_key": key, "_src.n": {"$gte": n}})
        return found is not None

    async def until_async(
        self, check: Callable[[], Awaitable[bool]], what: str, seconds: float = 60.0, every: float = 0.1
    ) -> None:
        deadline = time.monotonic() + seconds
        while not await check():
            assert time.monotonic() < deadline, f"seed {self.seed}: not within {seconds} s: {what}"
            await asyncio.sleep(every)

    async def strike(self, server: KafkaServer | MongoServer, what: str) -> None:
        """kill -9 a server at the very moment at which a bulk is in flight."""
        witness = await self.someone_writing()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        self.still_writing(witness, what)
        await asyncio.to_thread(server.kill)

    async def cut_network(self) -> None:
        """Lose what a worker has sent to MongoDB, or the answer to it, for longer than its write deadline."""
        victim = await self.someone_writing()
        victim.proxy.cut()
        self.still_writing(victim, f"the network between {victim.name} and MongoDB is cut")
        await asyncio.sleep(8.0)
        victim.proxy.heal()
        self.note("the network is back")

    async def kill_mongo(self, seconds: float = 15.0) -> None:
        await self.strike(self.mongo, f"kill -9 of MongoDB for {seconds:g} s")
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.mongo.start)
        self.note("MongoDB is back")

    async def long_outage(self) -> None:
        await self.kill_mongo(120.0)

    async def kill_kafka(self) -> None:
        await self.strike(self.kafka, "kill -9 of the broker")
        await asyncio.to_thread(self.kafka.start)
        self.note("the broker is back")

    async def all_faults(self, faults: Sequence[str]) -> None:
        """Throw these at the workers, spread evenly over the time in which records come."""
        for number, name in enumerate(faults):
            await self.at(0.06 + 0.86 * number / len(faults))
            await getattr(self, name)()
