"""Every history, every delivery: small histories of one key through a model of the server.

The model understands the filters that the sink makes, upsert, and a unique ``_key``. Over each history all
states that any delivery can reach are explored: every split into windows, any number of restarts from any earlier
offset, and one write of a former owner that was planned at any time and lands at any later one, also between a
read and the write that it decides. Markers are never removed.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import pytest

from prom_faust.lane.record import PlainRecord
from prom_faust.sink.event import Change
from prom_faust.sink.order import Stored, outranks, position_of, rank_of
from prom_faust.sink.plan import Write, group, needs_read, plan_write

KEY = "k"
FOREIGN = Stored(n=None)
BEFORE_VERSIONS = Stored(n=position_of(0, 0))
STARTS = (None, FOREIGN, BEFORE_VERSIONS)
LIVE, DELETE, NULL = "live", "delete", "null"


class Event(NamedTuple):
    """One record in short: what it does, with which version, in which partition."""

    kind: str
    version: int | None = None
    partition: int = 0


LIVE_VERSIONS = [Event(LIVE, version) for version in (1, 2, 3)]
EVERY_KIND = [*LIVE_VERSIONS, *(Event(DELETE, version) for version in (1, 2, 3)), Event(NULL)]


def changes_of(history):
    offsets = [1] * 2
    changes = []
    for event in history:
        offset = offsets[event.partition]
        offsets[event.partition] += 1
        record = PlainRecord("t", event.partition, offset, key=KEY.encode())
        body = b"document" if event.kind == LIVE else None
        changes.append(Change(KEY, position_of(event.partition, offset), record, body, event.version))
    return changes


def fold(changes, *, versioned):
    """The reference: the position of the live record that must stand, or None for no document."""
    standing, highest = None, None
    for change in sorted(changes, key=lambda one: one.n):
        if not versioned or change.version is None:
            standing = None if change.deletes else change.n
        elif highest is None or change.version > highest:
            standing, highest = None if change.deletes else change.n, change.version
    return standing


def visible(stored):
    """The position of the live document, or None."""
    return None if stored is None or stored.deleted else stored.n


def holds(stored: Stored, path: str, condition: Any) -> bool:
    source = stored.foreign if stored.n is None else {"n": stored.n}
    present = {"_key": KEY, "_src": source, "_src.n": stored.n, "_v": stored.version}
    value = present[path]
    match condition:
        case {"$exists": False}:
            return value is None
        case {"$not": {"$gte": bound}}:
            return not (value is not None and value >= bound)
        case dict():
            raise NotImplementedError(condition)
    return value == condition


def upsert(stored: Stored | None, write: Write) -> Stored | None:
    """The document after the write, or None for E11000: one that the filter does not match has the key."""
    if stored is not None and not all(holds(stored, *term) for term in write.filter.items()):
        return None
    change = write.change
    inherits = change.deletes and change.version is None and write.version is not None
    return Stored(change.n, write.version, change.deletes, inherits)


@dataclass(frozen=True)
class Late:
    """A write of a former owner, not landed yet."""

    change: int
    filter: str
    version: int | None


class Explorer:
    """All states that deliveries of one history can reach."""

    def __init__(self, history, *, versioned):
        self.versioned = versioned
        self.changes = changes_of(history)
        self.logs = [[one for one in self.changes if one.record.partition == number] for number in (0, 1)]
        self.ends = tuple(map(len, self.logs))
        self.late_writes: dict[Late, Write] = {}
        self.planned: set[Late] = set()
        self.transitions = 0

    def run(self, start):
        """Explore; gives the documents with which some delivery ends."""
        todo = [(start, (0, 0), None)]
        seen = set(todo)
        final = set()
        while todo:
            state = todo.pop()
            if state[1] == self.ends:
                final.add(state[0])
            for following in self.following(*state):
                self.transitions += 1
                self.check_forward(state[0], following[0])
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        return final

    def check_forward(self, before, after):
        if after != before and before is not None and before.n is not None:
            rank = rank_of(after.n, after.version, versioned=self.versioned, inherits=after.inherits)
            assert outranks(rank, before, versioned=self.versioned), (before, after)

    def following(self, stored, offsets, late):
        for offset in product(*(range(offset + 1) for offset in offsets)):
            if offset != offsets:
                yield stored, offset, late
        if isinstance(late, Late):
            yield self.land(stored, late), offsets, "landed"
        for ends in product(
            *(range(offset, end + 1) for offset, end in zip(offsets, self.ends, strict=True))
        ):
            if ends == offsets:
                continue
            window = [one for log, a, b in zip(self.logs, offsets, ends, strict=True) for one in log[a:b]]
            self.planned = set()
            (plan,) = group(window).values()
            for after, late_after in self.project(stored, late, plan):
                yield after, ends, late_after
            if late is None:
                for write in self.planned:
                    yield stored, offsets, write

    def land(self, stored, late):
        after = upsert(stored, self.late_writes[late])
        return stored if after is None else after

    def moments(self, stored, late):
        """Now, or just after the late write has landed."""
        yield stored, late
        if isinstance(late, Late):
            yield self.land(stored, late), "landed"

    def project(self, stored, late, plan):
        for now, late_now in self.moments(stored, late):
            seen = now if needs_read(plan, versioned=self.versioned) else None
            write = plan_write(plan, seen, versioned=self.versioned, exact=seen is not None)
            yield from self.write(now, late_now, plan, write)

    def write(self, stored, late, plan, write):
        if write is None:
            yield stored, late
            return
        name = Late(write.change.n, repr(write.filter), write.version)
        self.late_writes[name] = write
        self.planned.add(name)
        for now, late_now in self.moments(stored, late):
            after = upsert(now, write)
            if after is not None:
                yield after, late_now
                continue
            for shown, late_shown in self.moments(now, late_now):
                again = plan_write(plan, shown, versioned=self.versioned, exact=self.versioned)
                yield from self.write(shown, late_shown, plan, again)


def histories(length, events):
    """All histories up to a length; one of each group that differs by the versions' names only."""
    for count in range(1, length + 1):
        for history in product(events, repeat=count):
            versions = {event.version for event in history} - {None}
            in_order = sorted(history, key=lambda event: event.partition) == list(history)
            if in_order and versions == set(range(1, len(versions) + 1)):
                yield history


def explore(histories, *, versioned, starts=STARTS):
    cases = transitions = 0
    for history in histories:
        for start in starts:
            explorer = Explorer(history, versioned=versioned)
            final = explorer.run(start)
            expected = fold(explorer.changes, versioned=versioned)
            assert {visible(stored) for stored in final} == {expected}, (history, start, final)
            cases += 1
            transitions += explorer.transitions
    print(f"{cases} cases, {transitions} transitions")
    return cases


def test_unversioned_histories_over_two_partitions_end_as_their_fold():
    events = [Event(kind, None, partition) for kind in (LIVE, NULL) for partition in (0, 1)]
    assert explore(histories(4, events), versioned=False) == 384


@pytest.mark.parametrize(
    ("length", "events", "starts", "cases"),
    [
        pytest.param(3, EVERY_KIND, STARTS, 501, id="every-kind"),
        pytest.param(4, [*LIVE_VERSIONS, Event(NULL)], STARTS, 480, id="four-long"),
        pytest.param(5, [*LIVE_VERSIONS[:2], Event(NULL)], (None,), 306, id="five-long"),
    ],
)
def test_versioned_histories_end_as_their_fold(length, events, starts, cases):
    assert explore(histories(length, events), versioned=True, starts=starts) == cases


def test_versioned_histories_over_two_partitions_end_as_their_fold():
    events = [Event(kind, version, p) for kind in (LIVE, DELETE) for version in (1, 2) for p in (0, 1)]
    assert explore(histories(3, events), versioned=True) == 792


def deliver(stored, write, refused):
    """One write as the sink sees it through: what stands then, and what of it was refused as bad data."""
    dead = set()
    while write is not None:
        plan, change = write.plan, write.change
        if change.n in refused:
            dead.add(change.n)
            rest = plan.without(change)
            write = plan_write(rest, None, versioned=True) if rest.changes else None
        elif (after := upsert(stored, write)) is not None:
            return after, dead
        else:
            write = plan_write(plan, stored, versioned=True, exact=True)
    return stored, dead


def windows(changes):
    """Every split of the history into windows."""
    if not changes:
        yield []
    for end in range(1, len(changes) + 1):
        for rest in windows(changes[end:]):
            yield [changes[:end], *rest]


def test_whatever_the_server_refuses_the_rest_ends_as_its_fold():
    cases = 0
    for history in histories(4, [*LIVE_VERSIONS, Event(NULL)]):
        changes = changes_of(history)
        live = [change.n for change in changes if not change.deletes]
        for bits, split in product(range(2 ** len(live)), windows(changes)):
            refused = {n for place, n in enumerate(live) if bits >> place & 1}
            stored, dead = None, set()
            for window in split:
                plan = group(window)[KEY]
                seen = stored if needs_read(plan, versioned=True) else None
                write = plan_write(plan, seen, versioned=True, exact=seen is not None)
                stored, buried = deliver(stored, write, refused)
                dead |= buried
            kept = [change for change in changes if change.n not in dead]
            assert visible(stored) == fold(kept, versioned=True), (history, refused, split)
            cases += 1
    print(f"{cases} cases")
    assert cases == 11129
