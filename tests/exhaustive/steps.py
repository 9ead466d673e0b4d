"""One flight, once more and fast: the same choices over the pure functions alone, without loop and Projector.

The order of the steps (bury, write, judge, store, commit) is Projector's, written down again, and the choices are
those of :mod:`tests.exhaustive.flight`. A test compares the two on every flight of a smaller bound: same outcomes,
same number of ways to each. What is proved here of longer histories is then proved of the package.
"""

from collections import Counter
from typing import NamedTuple

from prom_faust.exceptions import RecordError
from prom_faust.sink.order import Stored
from prom_faust.sink.outcome import Verdict, classify
from prom_faust.sink.plan import group, plan_write, renewal
from tests.exhaustive.flight import (
    BASE,
    DECODE,
    INSERT,
    KEYS,
    NONE,
    Doc,
    Late,
    Outcome,
    freeze,
    landings,
    record_of,
    thaw,
)
from tests.exhaustive.server import matches

__all__ = ["steps"]

FRESH, UNTOUCHED = 0, 1


class World(NamedTuple):
    """The world in the middle of a flight.

    ``called`` after the first call, ``ended`` with its owner; ``inserts`` once it is known whether documents are sent
    as inserts at first.
    """

    documents: tuple
    letters: frozenset
    late: Late | None
    spent: bool
    faults: int
    losable: bool
    stored: bool = False
    committed: bool = False
    called: bool = False
    ended: bool = False
    inserts: bool | None = None


class Operation(NamedTuple):
    """One write as the server gets it."""

    late: Late
    refused: bool


def land(world, operation):
    """What the server makes of a write: the world after it, and the code of its error."""
    key, n, deleted, query, _ = operation.late
    doc = world.documents[key]
    if operation.refused:
        return world, 121
    if doc is not None and not matches({"_key": KEYS[key], "_src": {"n": doc.n}}, thaw(query)):
        return world, 11000
    return _with_document(world, key, Doc(n, deleted, FRESH)), None


def _with_document(world, key, doc):
    documents = (*world.documents[:key], doc, *world.documents[key + 1 :])
    return world._replace(documents=documents)


class Steps:
    """All ways of one flight."""

    def __init__(self, start):
        self.start = start
        self.known = {}
        self.changes, self.bad = [], []
        for place, event in enumerate(start.events):
            try:
                self.changes.append(DECODE(record_of(event, BASE + place)))
            except RecordError:
                self.bad.append(place)

    def outcomes(self):
        start = self.start
        documents = tuple(
            doc and doc._replace(age=UNTOUCHED if doc.deleted else 0) for doc in start.documents
        )
        world = World(documents, frozenset(), start.late, start.spent, start.faults, start.losable)
        return dict(self.project(world))

    def once(self, step, *args):
        """The ways from here, counted once for equal worlds."""
        name = (step.__name__, *args)
        if name not in self.known:
            found = Counter()
            for ended, ways in step(*args):
                found[ended] += ways
            self.known[name] = found
        return self.known[name].items()

    # -- Projector -------------------------------------------------------------------------------------------

    def project(self, world):
        return self.once(self._project, world)

    def _project(self, world):
        for after, lost in self.publish(world, self.bad):
            if after.ended:
                yield outcome(after), 1
            elif lost:
                yield from self.project(after)
            else:
                plans = group(self.changes).values()
                writes = [plan_write(plan, None, versioned=False) for plan in plans]
                yield from self.write(after, Pending(writes, frozenset(), dropped=False, first=True))

    def write(self, world, pending):
        return self.once(self._write, world, pending)

    def _write(self, world, pending):
        if not pending.writes:
            yield from self.project(world) if pending.dropped else self.once(self._store, world)
            return
        if pending.first and world.inserts is None:
            for either in (False, True):
                yield from self.write(world._replace(inserts=either), pending)
            return
        insert = pending.first and world.inserts
        operations = [operation_of(write, insert=insert) for write in pending.writes]
        late = {place: one.late for place, one in enumerate(operations) if not one.refused}
        for after, answers in self.call(
            world, [lambda world, one=one: land(world, one) for one in operations], late
        ):
            if after.ended:
                yield outcome(after), 1
            elif answers is None:
                yield from self.write(after, pending)
            else:
                failed = [
                    (write, verdict(code))
                    for write, code in zip(pending.writes, answers, strict=True)
                    if code
                ]
                yield from self.judge(after, failed, pending)

    def judge(self, world, failed, pending):
        doubtful = any(verdict is Verdict.KEY_TAKEN for _, verdict in failed)
        for after in self.moments(world) if doubtful else [world]:
            again, renewed = [], set(pending.renewed)
            for write, verdict in failed:
                if verdict is Verdict.KEY_TAKEN:
                    again += again_after(after, write, renewed)
            refused = [write for write, verdict in failed if verdict is Verdict.BAD_DATA]
            yield from self.refuse(after, refused, Pending(again, frozenset(renewed), pending.dropped))

    def refuse(self, world, refused, pending):
        for after, lost in self.publish(world, [write.change.n - BASE for write in refused]):
            if after.ended:
                yield outcome(after), 1
                continue
            rest = [] if lost else [write.plan.without(write.change) for write in refused]
            more = [plan_write(plan, None, versioned=False) for plan in rest if plan.changes]
            yield from self.write(
                after, Pending([*pending.writes, *more], pending.renewed, dropped=pending.dropped or lost)
            )

    def _store(self, world):
        for after, answers in self.call(world, [lambda world: (world._replace(stored=True), None)]):
            if after.ended:
                yield outcome(after), 1
            else:
                yield from self.once(self._store if answers is None else self._commit, after)

    def _commit(self, world):
        for after, answers in self.call(world, [lambda world: (world._replace(committed=True), None)]):
            if after.ended or answers is not None:
                yield outcome(after), 1
            else:
                yield from self.once(self._commit, after)

    # -- the world -------------------------------------------------------------------------------------------

    def publish(self, world, places):
        """(world, whether the answer was lost) after letters about records at these places."""
        if not places:
            yield world, False
            return
        effects = [
            lambda world, place=place: (world._replace(letters=world.letters | {place}), None)
            for place in places
        ]
        for after, answers in self.call(world, effects):
            yield after, answers is None

    def moments(self, world):
        """Before a call: nothing, or what others do meanwhile."""
        if not world.called:
            yield world._replace(called=True)
            return
        yield world
        if world.late is not None:
            yield from self.moments(land(world, Operation(world.late, refused=False))[0]._replace(late=None))
        swept = world
        for key, may in enumerate(self.start.sweepable):
            doc = world.documents[key]
            if may and doc and doc.deleted and doc.age == UNTOUCHED:
                swept = _with_document(swept, key, None)
        if swept is not world:
            yield from self.moments(swept)

    def call(self, world, effects, late=NONE):
        """(world, answers) after a call: answers are None where they were lost."""
        first = not world.called
        everything = tuple(range(len(effects)))
        for before in self.moments(world):
            yield done(before, effects, everything)
            if not before.faults:
                continue
            faulty = before._replace(faults=before.faults - 1)
            for landed, other in landings(len(effects), NONE if before.spent else late):
                after, _ = done(faulty, effects, landed)
                if other is not None:
                    after = after._replace(late=other, spent=True)
                if first or landed or other is not None:
                    yield after._replace(ended=True), None
                if before.losable:
                    yield after._replace(losable=False), None
            if self.start.late is None:
                yield done(faulty, effects, everything)[0]._replace(ended=True), None


class Pending(NamedTuple):
    """Writes on their way to the server."""

    writes: list
    renewed: frozenset
    dropped: bool
    first: bool = False

    def __hash__(self):
        return hash((tuple(write.change.n for write in self.writes), *self[1:]))

    def __eq__(self, other):
        mine, theirs = (
            [(one.change.n, one.filter, len(one.plan.changes)) for one in p.writes] for p in (self, other)
        )
        return (mine, *self[1:]) == (theirs, *other[1:])


def done(world, effects, places):
    answers = []
    for place in places:
        world, answer = effects[place](world)
        answers.append(answer)
    return world, answers


def operation_of(write, *, insert):
    change = write.change
    inserts = insert and not change.deletes and not write.exact
    query = freeze({"_key": change.key}) + INSERT if inserts else freeze(write.filter)
    late = Late(KEYS.index(change.key), change.n, change.deletes, query)
    return Operation(late, b"refuse" in (change.record.value or b""))


def verdict(code):
    return classify({"code": code, "keyPattern": {"_key": 1}}).verdict


def again_after(world, write, renewed):
    """What is written once more after a read."""
    doc = world.documents[KEYS.index(write.change.key)]
    seen = None if doc is None else Stored(doc.n, deleted=doc.deleted)
    newer = plan_write(write.plan, seen, versioned=False)
    if newer is None:
        newer = renewal(write.plan, seen)
        if newer is None or newer.change.n in renewed:
            return []
        renewed.add(newer.change.n)
    return [newer]


def outcome(world):
    return Outcome(*world[:8])


def steps(start):
    """Each outcome of a flight, and in how many ways it comes about."""
    return Steps(start).outcomes()
