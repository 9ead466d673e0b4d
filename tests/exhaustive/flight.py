"""One flight: a batch from the poll to its commit, with everything that can happen to it on the way.

What runs is the package's own: Partition, Flights, Deliveries, Projector with its decoder, planner and judgement,
Collection and Committer. What is modelled is the world around them: Kafka's records and commits, the dead-letter
topic, MongoDB, and Faust's agent, which only hands batches on. A fault is no exception of a test's own making but
what a client would see, or the end of the process.

At every call that leaves the process the script may choose: a write of a former owner lands before it, or an old
marker is swept; the process crashes in the middle of it; its answer is lost; or the partition is revoked meanwhile.
Of a call with several effects any subset may have happened by then, and one of the others may still land later.
One answer is lost in a run at most.
"""

import asyncio
from contextlib import suppress
from itertools import chain, combinations
from types import MappingProxyType, SimpleNamespace
from typing import NamedTuple

from aiokafka.errors import KafkaError
from pymongo import InsertOne, ReplaceOne
from pymongo.errors import AutoReconnect

from prom_faust.exceptions import DeadLetterError
from prom_faust.lane.agent import Deliveries
from prom_faust.lane.batch import Token
from prom_faust.lane.failure.policy import Policy
from prom_faust.lane.kafka import Committer
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import PlainRecord, TopicPartition
from prom_faust.lane.tasks import Flights
from prom_faust.sink.decode import decoder
from prom_faust.sink.document import document_of, marker_of
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.mongo.server import Server as SinkServer
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.service import Projector
from tests.exhaustive.loop import Loop
from tests.exhaustive.server import REFUSED, Documents, RefusedError, bulk_error

__all__ = [
    "BASE",
    "BROKEN",
    "DELETE",
    "INSERT",
    "KEYS",
    "LIVE",
    "NAME",
    "OPTIONS",
    "REFUSE",
    "SERVER",
    "Doc",
    "Event",
    "Late",
    "Outcome",
    "Start",
    "document_at",
    "documents_of",
    "land",
    "landings",
    "outcomes",
    "projector",
    "record_of",
]

KEYS = ("a", "b")
LIVE, DELETE, REFUSE, BROKEN = "live", "delete", "refuse", "broken"
NAME = TopicPartition("t", 0)
OPTIONS = ChangelogOptions(topic="t", collection="c")
BASE = 100
"""The offset of a flight's first record; what was written before stands at lower ones."""
HOUR = 3600.0
NONE = MappingProxyType({})
UNTOUCHED = -1
"""When a marker was made that stood before the flight."""


class Event(NamedTuple):
    """One record in short; a record that cannot be decoded is nobody's."""

    kind: str
    key: int = 0


class Doc(NamedTuple):
    """What stands for a key: a document, or a marker and its age in ticks; in an outcome, 1 if it is untouched."""

    n: int
    deleted: bool
    age: int = 0


class Late(NamedTuple):
    """A write that was sent and has not landed."""

    key: int
    n: int
    deleted: bool
    filter: tuple
    age: int = 0


class Start(NamedTuple):
    """All that a flight can depend on.

    Attributes:
        events: the batch.
        documents: what stands, by key.
        late: a former owner's write, or None.
        spent: whether no write of this run may come late any more.
        faults: how many may still happen.
        losable: whether an answer may still be lost.
        sweepable: by key, whether a sweep may take its marker meanwhile.
    """

    events: tuple[Event, ...]
    documents: tuple[Doc | None, Doc | None]
    late: Late | None
    spent: bool
    faults: int
    losable: bool
    sweepable: tuple[bool, bool]


class Outcome(NamedTuple):
    """What a flight leaves behind; what is not named here is as in ``Start``.

    Attributes:
        letters: places in the batch of records that have got a letter.
        stored: whether the position after the batch is stored.
        committed: whether its offset is committed.
    """

    documents: tuple[Doc | None, Doc | None]
    letters: frozenset[int]
    late: Late | None
    spent: bool
    faults: int
    losable: bool
    stored: bool
    committed: bool


def record_of(event, offset):
    key = KEYS[event.key].encode()
    value = {
        LIVE: b'{"v": %d}' % offset,
        DELETE: None,
        REFUSE: b'{"v": %d, "refuse": true}' % offset,
        BROKEN: b"{",
    }[event.kind]
    return PlainRecord(NAME.topic, NAME.partition, offset, timestamp=offset, key=key, value=value)


DECODE = decoder(OPTIONS)


def freeze(query):
    return tuple(
        (name, freeze(value)) if isinstance(value, dict) else (name, value) for name, value in query.items()
    )


def thaw(query):
    return {name: thaw(value) if isinstance(value, tuple) else value for name, value in query}


class CrashError(BaseException):
    """The process ends here: nobody may handle it."""


class Script:
    """The choices of one run; the next run is the next in lexicographic order."""

    def __init__(self):
        self._choices = []
        self._arities = []
        self._at = 0

    def choose(self, count):
        if self._at == len(self._choices):
            self._choices.append(0)
            self._arities.append(count)
        choice = self._choices[self._at]
        self._at += 1
        return choice

    def advance(self):
        """Whether there is another run."""
        del self._choices[self._at :], self._arities[self._at :]
        self._at = 0
        while self._choices and self._choices[-1] + 1 == self._arities[-1]:
            self._choices.pop()
            self._arities.pop()
        if self._choices:
            self._choices[-1] += 1
        return bool(self._choices)


def landings(count, late):
    """Which effects of a call happen, and which of the others happens later (None for none)."""
    for landed in chain.from_iterable(combinations(range(count), size) for size in range(count + 1)):
        yield landed, None
        for place, write in late.items():
            if place not in landed:
                yield landed, write


class Flight:
    """One run of one flight."""

    def __init__(self, start, script):
        self.start = start
        self.script = script
        self.faults = start.faults
        self.losable = start.losable
        self.late = start.late
        self.spent = start.spent
        self.letters = set()
        self.documents = Documents("_key")
        for key, doc in zip(KEYS, start.documents, strict=True):
            if doc is not None:
                self.documents.by_key[key] = document_at(key, doc)
        self.sweepable = [key for key, old in zip(KEYS, start.sweepable, strict=True) if old]
        self.positions = Documents("_id")
        self.committed = False
        self.revoked = False
        self.fault = None
        self.over = asyncio.Event()
        self.token = Token(NAME)
        self._called = False
        self._inserts = None

    @property
    def likely(self):
        """Whether the first bulk of documents is inserted: what went before may have made either likely."""
        if self._inserts is None:
            self._inserts = bool(self.script.choose(2))
        return self._inserts

    # -- choices ---------------------------------------------------------------------------------------------

    def moment(self):
        """Before a call: nothing, or what others do meanwhile."""
        if self.revoked:
            self.fail("a call after the partition was revoked")
        if not self._called:
            # Before the first call is between two flights.
            self._called = True
            return
        while True:
            moves = [None]
            if self.late is not None:
                moves.append(self.land)
            if any(self._sweeps(key) for key in self.sweepable):
                moves.append(self.sweep)
            move = moves[self.script.choose(len(moves))]
            if move is None:
                return
            move()

    def land(self):
        land(self.documents, self.late)
        self.late = None

    def _sweeps(self, key):
        document = self.documents.by_key.get(key)
        return document is not None and document.get("_deleted_at") == UNTOUCHED

    def sweep(self):
        for key in [key for key in self.sweepable if self._sweeps(key)]:
            del self.documents.by_key[key]

    def call(self, effects, *, lost, late=NONE):
        """A call with effects: all of them happen, unless the script says otherwise.

        Args:
            effects: functions.
            lost: the error that is seen when the answer is lost.
            late: the effects that may happen much later, by their places.
        """
        first = not self._called
        self.moment()
        options = [None]
        if self.faults:
            for landed, other in landings(len(effects), NONE if self.spent else late):
                nothing = not landed and other is None
                # To crash before a call is to crash after the one before it.
                options += [("crash", landed, other)] * (first or not nothing)
                options += [("lost", landed, other)] * self.losable
            # For the world a revocation is a crash; here it is the package's checks that are tried.
            options += [("revoked", tuple(range(len(effects))), None)] * (self.start.late is None)
        chosen = options[self.script.choose(len(options))]
        if chosen is None:
            return [effect() for effect in effects]
        self.faults -= 1
        kind, landed, other = chosen
        done = [effects[place]() for place in landed]
        if other is not None:
            self.late, self.spent = other, True
        if kind == "lost":
            self.losable = False
            raise lost
        if kind == "crash":
            self.over.set()
            raise CrashError
        self.revoked, self.token.valid = True, False
        return done

    def fail(self, what):
        self.fault = self.fault or what
        self.over.set()
        raise CrashError

    # -- what the package calls ------------------------------------------------------------------------------

    def write(self, operations):
        late = {place: late_write(one) for place, one in enumerate(operations) if REFUSED not in one._doc}
        self._bulk(self.documents, operations, late)

    def store(self, operations):
        self._bulk(self.positions, operations, NONE)

    def _bulk(self, documents, operations, late):
        def effect(operation):
            try:
                documents.apply(operation)
            except RefusedError as error:
                return error
            return None

        answers = self.call(
            [lambda one=one: effect(one) for one in operations], lost=AutoReconnect("gone"), late=late
        )
        errors = [
            {"index": place, **error.details} for place, error in enumerate(answers) if error is not None
        ]
        if errors:
            raise bulk_error(errors)

    def publish(self, letters):
        for letter in letters:
            event = self.start.events[letter.record.offset - BASE]
            if event.kind not in {BROKEN, REFUSE} or letter.record != record_of(event, letter.record.offset):
                self.fail(f"a letter about {letter.record}")
        failed = DeadLetterError("gone")
        try:
            self.call(
                [lambda one=one: self.letters.add(one.record.offset - BASE) for one in letters], lost=failed
            )
        except DeadLetterError:
            return [failed] * len(letters)
        return [None] * len(letters)

    @property
    def applied(self):
        """The stored position, or where the batch begins."""
        return next((document["applied"] for document in self.positions.by_key.values()), BASE)

    def commit(self, offsets):
        def effect():
            self.committed = True

        (offset,) = offsets.values()
        if offset > self.applied:
            self.fail(f"offset {offset} is committed, {self.applied} is stored")
        if offset == BASE:
            return  # the batch was put back
        self.call([effect], lost=KafkaError("gone"))
        self.over.set()

    @property
    def outcome(self):
        """What it leaves behind."""
        return Outcome(
            documents_of(self.documents),
            frozenset(self.letters),
            self.late,
            self.spent,
            self.faults,
            self.losable,
            self.applied != BASE,
            self.committed,
        )


INSERT = (("_never", True),)
"""The filter of an insert: no document matches, so that it is refused where one stands."""


def late_write(operation):
    """A write as it is on its way."""
    document = operation._doc
    inserts = isinstance(operation, InsertOne)
    return Late(
        KEYS.index(document["_key"]),
        document["_src"]["n"],
        document.get("_deleted") is True,
        freeze({"_key": document["_key"]}) + INSERT if inserts else freeze(operation._filter),
    )


def document_at(key, doc):
    if not doc.deleted:
        return {"_key": key, "v": doc.n, "_src": {"n": doc.n}}
    return {
        "_key": key,
        "_deleted": True,
        "_deleted_at": UNTOUCHED,
        "_src": {"t": "t", "p": 0, "o": doc.n, "n": doc.n},
    }


def documents_of(documents):
    """What stands, by key."""
    return tuple(_doc(documents.by_key.get(key)) for key in KEYS)


def _doc(document):
    if document is None:
        return None
    n, deleted = document["_src"]["n"], document.get("_deleted") is True
    assert deleted or document["v"] == n
    return Doc(n, deleted, int(document.get("_deleted_at") == UNTOUCHED))


def land(documents, late):
    """A late write lands, or finds that it is stale."""
    change = DECODE(record_of(Event(DELETE if late.deleted else LIVE, late.key), late.n))
    now = 1
    document = (
        marker_of(change, deleted_at=now, version=None, inherits=False)
        if late.deleted
        else document_of(change)
    )
    with suppress(RefusedError):
        documents.apply(ReplaceOne(thaw(late.filter), document, upsert=True))


class Server:
    """What stands for pymongo's database, its collections and the consumer: each call goes to the current flight."""

    flight = None

    def get_collection(self, name, **_):
        return Calls(self, documents=name == OPTIONS.collection)

    async def commit(self, offsets):
        self.flight.commit(offsets)

    async def publish(self, letters):
        return self.flight.publish(letters)


class EitherWay:
    """What stands for the sink's memory of what it wrote."""

    @property
    def likely(self):
        return SERVER.flight.likely

    def saw(self, written, new):
        pass


class Calls:
    """One collection's calls."""

    def __init__(self, server, *, documents):
        self._server = server
        self._documents = documents

    async def bulk_write(self, operations, *, ordered):
        assert not ordered
        flight = self._server.flight
        (flight.write if self._documents else flight.store)(operations)
        return SimpleNamespace(upserted_ids={})

    def find(self, query, *_):
        return Cursor(self._server.flight, query)


class Cursor:
    def __init__(self, flight, query):
        self._flight = flight
        self._query = query

    async def to_list(self, _):
        self._flight.moment()
        return self._flight.documents.find(self._query)


class Agent:
    """What stands for Faust's agent: hands batches to the sink."""

    def __init__(self, projector):
        self._projector = projector
        self._queue = asyncio.Queue()

    async def deliver(self, delivery):
        await self._queue.put(delivery)

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self._queue.get()

    async def run(self, flight):
        deliveries = Deliveries(self)
        try:
            async for batch in deliveries:
                await deliveries.cancellable(self._projector.project(batch))
        except Exception as error:  # noqa: BLE001 - whatever the package raises here is wrong
            flight.fail(repr(error))


SERVER = Server()


def projector(options):
    """The sink's own, on the current flight's servers."""
    return Projector(
        options,
        Collection(SinkServer(SERVER, deadline=HOUR), options, EitherWay()),
        SERVER,
        consumer="g",
        unique_wait=HOUR,
        log=lambda _: (0, 1),
    )


PROJECTOR = projector(OPTIONS)


async def fly(flight, loop):
    """A batch's way through the package, until its commit or the end of its owner."""
    partition = Partition(flight.token, hold_limit=10, start=BASE, topic_partitions=1)
    partition.push(record_of(event, BASE + place) for place, event in enumerate(flight.start.events))
    agent, committer = Agent(PROJECTOR), Committer(lambda: SERVER, timeout=HOUR)
    flights = Flights(
        agent,
        {NAME: partition},
        slots=1,
        parts=1,
        batch=len(flight.start.events),
        max_bytes=1_000_000,
        retry_after=1.0,
        done=committer.mark,
        leased=lambda: True,
        policy=Policy(),
        bury=None,
        label="model",
    )
    work = loop.create_task(flights.work(0, lambda: flight.over.is_set() or flight.revoked))
    work.add_done_callback(lambda _: flight.over.set())
    loop.create_task(agent.run(flight))
    loop.create_task(committer.run())
    await flight.over.wait()
    loop.cancel_all()


def outcomes(start):
    """Run a flight with every choice; each outcome, and how many runs have it."""
    found = {}
    script = Script()
    while True:
        flight, loop = Flight(start, script), Loop()
        SERVER.flight = flight
        loop.run(fly(flight, loop))
        assert flight.fault is None, f"{flight.fault}: {start}"
        found[flight.outcome] = found.get(flight.outcome, 0) + 1
        if not script.advance():
            return found
