"""Every history, every way through it: the states between flights, until there are no new ones.

The producer is lazy: which record comes next is chosen when it is polled, so that one graph holds all histories,
and each state in which everything is applied is the end of one. Two states are one if they differ in names only:
keys may be swapped, and a key's positions that lie before the batch are renumbered, because nothing but their
order, key by key, is ever compared. So there is an end to the states, though not to the histories: what holds in
each of them holds for histories of any length. The runs of shorter ones are counted through the graph, not walked.

Time goes in ticks of a little more than half the time for which markers stand (``keep``). A write that was sent
lands within two ticks of it, that is what ``keep`` is for; a marker of two ticks' age may be swept.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from prom_faust.lane.history import LogState, Position, check_history, start_offset
from prom_faust.sink.sweep import Observation, removable_before
from tests.exhaustive.flight import (
    BASE,
    BROKEN,
    DELETE,
    KEYS,
    LIVE,
    NAME,
    REFUSE,
    Doc,
    Event,
    Late,
    Start,
    document_at,
    documents_of,
    land,
)
from tests.exhaustive.server import Documents
from tests.exhaustive.steps import steps

__all__ = ["Machine", "State", "WrongEndError", "standing_after"]

KEEP = 100.0
TICK_MS = 50_001
BATCH = 3
NOTE_EVERY = 10_000
KINDS = [*(Event(kind, key) for kind in (LIVE, DELETE, REFUSE) for key in (0, 1)), Event(BROKEN)]
EXPIRES = 2
"""Ticks after which a write cannot land any more, and a marker is older than ``keep``."""


class State(NamedTuple):
    """The world between two flights.

    Attributes:
        unread: the records from the stored position on that the log holds already.
        documents: what stands, by key.
        expected: by key, the position of the live record that must stand once ``unread`` is empty, or None.
        late: a write that was sent and has not landed.
        spent: whether no write may come late any more.
        faults: how many may still happen.
        losable: whether an answer may still be lost.
        room: how many more records the log may get; None for any number.
    """

    unread: tuple[Event, ...]
    documents: tuple[Doc | None, Doc | None]
    expected: tuple[int | None, int | None]
    late: Late | None
    spent: bool
    faults: int
    losable: bool
    room: int | None


def standing_after(expected, events, start):
    """The reference: by key the position of the live record that must stand after these records too."""
    standing = list(expected)
    for n, event in enumerate(events, start=start):
        if event.kind in {LIVE, DELETE}:
            standing[event.key] = n if event.kind == LIVE else None
    return tuple(standing)


def _renumbered(query, names):
    return tuple(
        (name, _renumbered(value, names) if isinstance(value, tuple) else names.get(value, value))
        for name, value in query
    )


def _numbers(query):
    for _, value in query:
        if isinstance(value, tuple):
            yield from _numbers(value)
        elif isinstance(value, int):
            yield value


def swapped(state):
    """A state, or the start or outcome of a flight, with its keys exchanged."""
    changed = {"documents": state.documents[::-1], "late": state.late and _swapped_late(state.late)}
    match state:
        case State():
            changed |= {"unread": _swapped_events(state.unread), "expected": state.expected[::-1]}
        case Start():
            changed |= {"events": _swapped_events(state.events), "sweepable": state.sweepable[::-1]}
    return state._replace(**changed)


def _swapped_late(late):
    other = 1 - late.key
    query = tuple((name, KEYS[other] if name == "_key" else value) for name, value in late.filter)
    return late._replace(key=other, filter=query)


def _swapped_events(events):
    """The same of the other key; a record that is nobody's stays as it is."""
    return tuple(event if event.kind == BROKEN else event._replace(key=1 - event.key) for event in events)


def canonical(state, shift=0):
    """The one of all states that differ in names only. ``shift`` records were applied since the last renumbering."""
    late = state.late
    documents, expected = [], []
    for key, (doc, n) in enumerate(zip(state.documents, state.expected, strict=True)):
        mine = late if late and late.key == key else None
        used = {n, doc and doc.n, *((mine.n, *_numbers(mine.filter)) if mine else ())} - {None}
        before = sorted((n for n in used if n < BASE + shift), reverse=True)
        names = {n: n - shift for n in used} | {n: BASE - 1 - place for place, n in enumerate(before)}
        documents.append(doc and Doc(names[doc.n], doc.deleted, doc.age))
        expected.append(n and names[n])
        if mine:
            late = mine._replace(n=names[mine.n], filter=_renumbered(mine.filter, names))
    calm = not state.faults  # no write can come late any more, and no answer be lost
    state = State(
        unread=state.unread,
        documents=tuple(documents),
        expected=tuple(expected),
        late=late,
        spent=calm or state.spent,
        faults=state.faults,
        losable=not calm and state.losable,
        room=state.room,
    )
    return min(state, swapped(state), key=hash)


class WrongEndError(AssertionError):
    """A run ends with something else than its fold."""


@dataclass
class Machine:
    """Explores what can happen to the sink.

    Attributes:
        faults: how many crashes and other faults there may be in one run.
        length: of the longest history; None for any.
        fly: gives the outcomes of a flight.
        note: is called with the machine, now and then.
        ways: how many ways the flights had.
    """

    faults: int
    length: int | None = None
    fly: Callable = steps
    note: Callable = lambda _: None
    ways: int = 0
    _edges: dict = field(default_factory=dict)
    _flown: dict = field(default_factory=dict)
    _removable: dict = field(default_factory=dict)

    def __post_init__(self):
        nothing = (None, None)
        self._start = canonical(State((), nothing, nothing, None, False, self.faults, True, self.length))

    @property
    def states(self):
        return len(self._edges)

    @property
    def flights(self):
        return len(self._flown)

    def explore(self):
        """Explore all.

        Raises:
            WrongEndError: with the way that led there.
        """
        came_from, todo = {self._start: None}, [self._start]
        while todo:
            state = todo.pop()
            check(state, came_from)
            self._edges[state] = edges = []
            for what, following, added, ways in self.following(state):
                if following not in came_from:
                    came_from[following] = what, state
                    todo.append(following)
                edges.append((following, added, ways))
            if self.states % NOTE_EVERY == 0:
                self.note(self)

    def runs(self, length):
        """How many runs, from the first record to everything applied, the histories up to a length have."""
        known = {}

        def ends(state, room):
            if (state, room) not in known:
                known[state, room] = (not state.unread) + sum(
                    ways * ends(following, room - added)
                    for following, added, ways in self._edges[state]
                    if added <= room
                )
            return known[state, room]

        return ends(self._start, length)

    def summary(self):
        """What was explored, in one line."""
        length = "any number of" if self.length is None else f"up to {self.length}"
        return (
            f"{length} records, {self.faults} faults: {self.states:,} states, "
            f"{self.flights:,} flights in {self.ways:,} ways"
        )

    # -- between flights -------------------------------------------------------------------------------------

    def following(self, state):
        """What can happen next: what it is, the state after it, how many records came, and in how many ways."""
        if any(doc and doc.deleted and doc.age < EXPIRES for doc in state.documents):
            yield "a tick", tick(state), 0, 1
        if state.late is not None:
            yield "the late write lands", landed(state), 0, 1
        if any(removable := self.removable(state.documents)):
            documents = tuple(
                None if old else doc for doc, old in zip(state.documents, removable, strict=True)
            )
            yield "a sweep", canonical(state._replace(documents=documents)), 0, 1
        for size in range(1, BATCH + 1):
            for grown in longer(state, size):
                start = start_of(grown, size, self.removable(grown.documents))
                for outcome, ways in self.outcomes(start).items():
                    yield outcome, after(grown, size, outcome), len(grown.unread) - len(state.unread), ways

    def outcomes(self, start):
        """What a flight leaves behind, and in how many ways; equal ones are flown once."""
        if start in self._flown:
            return self._flown[start]
        other = swapped(start)
        if other in self._flown:
            return {swapped(outcome): ways for outcome, ways in self._flown[other].items()}
        found = self._flown[start] = self.fly(start)
        self.ways += sum(found.values())
        return found

    def removable(self, documents):
        """By key, whether the sink's own rule lets its marker go."""
        if documents not in self._removable:
            now = 10 * TICK_MS
            before = removable_before(Observation(now, {}), {}, now=now, keep=KEEP)
            self._removable[documents] = tuple(
                bool(doc and doc.deleted and now - doc.age * TICK_MS < before) for doc in documents
            )
        return self._removable[documents]


def start_of(state, size, sweepable):
    """A flight of a state's first records."""
    check_start(state)
    return Start(
        state.unread[:size],
        tuple(doc and doc._replace(age=0) for doc in state.documents),
        state.late and state.late._replace(age=0),
        state.spent,
        state.faults,
        state.losable,
        sweepable,
    )


def check(state, came_from):
    """Whether what must stand stands, where everything is applied.

    Raises:
        WrongEndError: with the way that led there.
    """
    standing = tuple(None if doc is None or doc.deleted else doc.n for doc in state.documents)
    if state.unread or standing == state.expected:
        return
    way = [str(state)]
    while (before := came_from[state]) is not None:
        what, state = before
        way += [f"  {what}", str(state)]
    raise WrongEndError("\n".join(reversed(way)))


def check_start(state):
    """A new owner starts where the stored position is, whatever is committed, and the log is the one it was."""
    stored = Position(BASE, BASE, BASE - 1, 0, 1)
    for committed in (BASE - 1, BASE):
        log = LogState(BASE - 1, BASE + len(state.unread), committed, 1, applied=BASE)
        assert check_history(NAME, log, stored, group="g", rebuild="") is None
        assert start_offset(log, "earliest") == BASE


def tick(state):
    def older(doc):
        return doc._replace(age=min(EXPIRES, doc.age + 1)) if doc and doc.deleted else doc

    late = state.late and state.late._replace(age=state.late.age + 1)
    if late is not None and late.age == EXPIRES:
        late = None
    return canonical(state._replace(documents=tuple(map(older, state.documents)), late=late))


def landed(state):
    documents = Documents("_key")
    for key, doc in zip(KEYS, state.documents, strict=True):
        if doc is not None:
            documents.by_key[key] = document_at(key, doc)
    land(documents, state.late)
    return canonical(
        state._replace(documents=tuple(map(aged, documents_of(documents), state.documents)), late=None)
    )


def longer(state, size):
    """The state, with as many records of any kind as the log lacks for a batch of this size."""
    lacking = size - len(state.unread)
    if lacking <= 0:
        yield state
        return
    if state.room is not None and lacking > state.room:
        return
    for events in product(KINDS, repeat=lacking):
        yield state._replace(unread=state.unread + events, room=state.room and state.room - lacking)


def after(state, size, outcome):
    """The world after a flight."""
    late = outcome.late
    if late is not None and state.late is not None:
        late = late._replace(age=state.late.age)  # there is one only
    shift = size if outcome.stored else 0
    passed = state.unread[:shift]
    check_letters(passed, outcome.letters)
    return canonical(
        State(
            unread=state.unread[shift:],
            documents=tuple(map(aged, outcome.documents, state.documents)),
            expected=standing_after(state.expected, passed, BASE),
            late=late,
            spent=outcome.spent,
            faults=outcome.faults,
            losable=outcome.losable,
            room=state.room,
        ),
        shift,
    )


def aged(doc, before):
    """What stands after a flight: an untouched marker is as old as it was."""
    return doc and doc._replace(age=before.age if doc.age else 0)


def check_letters(passed, letters):
    """Every record that cannot be used has its letter when the position passes it, and no other has one.

    One that only MongoDB refuses is never shown to it when a later one of its key is in the batch.
    """
    for place, event in enumerate(passed):
        later = any(other.kind in {LIVE, DELETE} and other.key == event.key for other in passed[place + 1 :])
        if event.kind == BROKEN or (event.kind == REFUSE and not later):
            assert place in letters, (passed, letters)
        elif event.kind != REFUSE:
            assert place not in letters, (passed, letters)
