"""Versioned histories in every order of delivery and through windows of every size, by the real Projector.

A null without a version takes over the highest version before it. So it comes after every record before it, as
Kafka gives them; all others come in any order.
"""

from collections import Counter
from itertools import chain, combinations, product
from math import factorial
from typing import NamedTuple

import orjson

from prom_faust.lane.batch import Batch, Share, Token
from prom_faust.lane.record import PlainRecord
from prom_faust.sink.options import ChangelogOptions
from prom_faust.testing import fold
from tests.exhaustive.flight import NAME, SERVER, projector
from tests.exhaustive.loop import Loop
from tests.exhaustive.server import Documents, RefusedError, bulk_error

OPTIONS = ChangelogOptions(topic="t", collection="c", version_of="version")
PROJECTOR = projector(OPTIONS)
VERSIONS = (3, 4, 9)
KEY = "k"


class Event(NamedTuple):
    """One record in short; without a version it is a bare null."""

    version: int | None
    deletes: bool


class Standing(NamedTuple):
    """What stands."""

    n: int
    version: int | None
    deleted: bool
    inherits: bool


KINDS = [
    *(Event(version, deletes) for deletes in (False, True) for version in VERSIONS),
    Event(None, deletes=True),
]


def record_of(event, offset):
    body, headers = {"version": event.version, "at": offset}, ()
    if event.version is None or (event.deletes and offset % 2):
        body = None
        headers = () if event.version is None else (("x-version", b"%d" % event.version),)
    elif event.deletes:
        body["_deleted"] = True
    value = None if body is None else orjson.dumps(body)
    return PlainRecord("t", 0, offset, key=KEY.encode(), value=value, headers=headers)


def standing_after(history):
    """The reference: the position of the live record that must stand, or None."""
    standing = highest = None
    for n, (version, deletes) in enumerate(history):
        if version is None:
            standing = None
        elif highest is None or version > highest:
            standing, highest = None if deletes else n, version
    return standing


class Calm:
    """A flight in which nothing happens; ``likely`` if documents are inserted first."""

    def __init__(self, standing, *, likely):
        self.likely = likely
        self.documents = Documents("_key")
        if standing is not None:
            document = {"_key": KEY, "at": standing.n, "_src": {"n": standing.n}}
            document |= {"_v": standing.version} if standing.version is not None else {}
            document |= {"_deleted": True, "_deleted_at": 0} if standing.deleted else {}
            document |= {"_inherits": True} if standing.inherits else {}
            self.documents.by_key[KEY] = document

    def write(self, operations):
        (operation,) = operations
        try:
            self.documents.apply(operation)
        except RefusedError as error:
            raise bulk_error([{"index": 0, **error.details}]) from error

    def store(self, _):
        pass

    def moment(self):
        pass

    @property
    def standing(self):
        document = self.documents.by_key[KEY]
        deleted = "_deleted" in document
        assert deleted or document["at"] == document["_src"]["n"]
        return Standing(document["_src"]["n"], document.get("_v"), deleted, "_inherits" in document)


class Deliveries:
    """What becomes of a history, however it is delivered."""

    def __init__(self):
        self.windows = {}
        self.ways = 0

    def project(self, standing, window):
        """What stands after a window; equal ones are projected once."""
        if (standing, window) not in self.windows:
            (after,) = {self._projected(standing, window, likely=likely) for likely in (False, True)}
            self.windows[standing, window] = after
        return self.windows[standing, window]

    @staticmethod
    def _projected(standing, window, *, likely):
        calm = SERVER.flight = Calm(standing, likely=likely)
        share = Share(Token(NAME), [record_of(event, n) for n, event in reversed(window)])
        Loop().run(PROJECTOR.project(Batch({NAME: share}, held_since={}, clock=lambda: 0.0)))
        return calm.standing

    def ends(self, history):
        """All that can stand in the end."""
        everything = frozenset(enumerate(history))
        layers = {frozenset(): Counter({None: 1})}
        for delivered in subsets(everything):
            for standing, ways in layers.pop(delivered, Counter()).items():
                if delivered == everything:
                    self.ways += ways
                    yield standing
                    continue
                for window in subsets(everything - delivered):
                    if window and in_order(delivered | window):
                        after = self.project(standing, tuple(sorted(window)))
                        layers.setdefault(delivered | window, Counter())[after] += ways * factorial(
                            len(window)
                        )


def subsets(of):
    """All of them, smaller ones first."""
    return map(frozenset, chain.from_iterable(combinations(sorted(of), size) for size in range(len(of) + 1)))


def in_order(delivered):
    """Whether every bare null has all before it."""
    places = {n for n, _ in delivered}
    return all(event.version is not None or places.issuperset(range(n)) for n, event in delivered)


def test_every_delivery_of_every_versioned_history_ends_as_its_fold():
    deliveries, cases = Deliveries(), 0
    for history in chain.from_iterable(product(KINDS, repeat=length) for length in range(1, 5)):
        n = standing_after(history)
        found = fold([record_of(event, place) for place, event in enumerate(history)], OPTIONS)
        assert [document["at"] for document in found.values()] == ([] if n is None else [n]), history
        for standing in deliveries.ends(history):
            assert (None if standing.deleted else standing.n) == n, (history, standing)
        cases += 1
    print(f"{cases} histories, {deliveries.ways:,} deliveries, {len(deliveries.windows):,} different windows")
    assert cases == 7 + 7**2 + 7**3 + 7**4
