import bson
import pytest

from prom_faust.sink.order import rank_of
from prom_faust.sink.plan import Write
from prom_faust.sink.verify.fold import Outcome
from prom_faust.sink.verify.repair import Expected, Projected, mend

WANTED = {"_key": "k", "a": 1, "_ts": 5, "_src": {"t": "states", "p": 0, "o": 7, "n": 7}}
STANDING = {"_key": "k", "a": 0, "_ts": 4, "_src": {"t": "states", "p": 0, "o": 3, "n": 3}}
MARKER = {"_key": "k", "_deleted": True, "_deleted_at": 1, "_src": {"t": "states", "p": 0, "o": 3, "n": 3}}
ABSENT = {"$exists": False}
EXACT = {"_key": "k", "_src.t": "states", "_src.n": 3, "_v": ABSENT, "_deleted": ABSENT}


def outcome(n, *, deletes=False, version=None, versioned=False):
    return Outcome("k", n, deletes, rank_of(n, version, versioned=versioned, inherits=deletes))


def mended(decided, found, *, wanted=None, inside=True, left_behind=False, **projected):
    expected = None if wanted is None else Expected(bson.encode(wanted), wanted)
    return mend(
        "k",
        decided,
        expected,
        found,
        Projected("states", **projected),
        inside=inside,
        left_behind=left_behind,
        now=1000,
    )


def test_a_missing_document_is_written_under_the_sinks_own_guard():
    write = mended(outcome(7), [], wanted=WANTED)
    assert isinstance(write, Write)
    assert write.filter == {"_key": "k", "_src.n": {"$not": {"$gte": 7}}}
    assert (write.change.n, bson.decode(write.change.body)) == (7, WANTED)


def test_a_different_document_is_replaced_as_long_as_it_is_the_one_that_was_judged():
    assert mended(outcome(7), [STANDING], wanted=WANTED).filter == EXACT


def test_a_marker_in_the_place_of_a_document_is_replaced():
    assert mended(outcome(7), [MARKER], wanted=WANTED).filter == {**EXACT, "_deleted": True}


def test_only_mapped_fields_are_set_where_others_are_not_ours():
    wanted = {**WANTED, "theirs": 2, "_v": 4}
    write = mended(outcome(7), [STANDING], wanted=wanted, owned=("a", "b"))
    assert (write.change.fields, write.version) == ({"a": 1}, 4)
    assert (write.change.record.offset, write.change.record.timestamp) == (7, 5)


def test_an_extra_document_becomes_a_marker_in_its_own_place():
    exact, marker = mended(None, [STANDING])
    assert exact == EXACT
    assert marker == {"_key": "k", "_deleted": True, "_deleted_at": 1000, "_src": STANDING["_src"]}


def test_a_deleted_one_becomes_the_marker_of_its_tombstone():
    _, marker = mended(outcome(9, deletes=True), [STANDING])
    assert marker["_src"] == {"t": "states", "p": 0, "o": 9, "n": 9}


def test_the_marker_ends_the_version_that_the_tombstone_ends():
    decided = outcome(9, deletes=True, version=6, versioned=True)
    _, marker = mended(decided, [{**STANDING, "_v": 5}], versioned=True)
    assert (marker["_v"], marker["_inherits"]) == (6, True)
    _, marker = mended(None, [{**STANDING, "_v": 5}], versioned=True)
    assert (marker["_v"], marker["_inherits"]) == (5, True)


def test_at_a_position_that_the_log_may_yet_reach_nothing_is_left():
    assert mended(None, [STANDING], inside=False) == (EXACT, None)


@pytest.mark.parametrize(
    "found",
    [
        [],
        [MARKER],
        [STANDING, STANDING],
        [{"_key": "k", "a": 1}],
        [{**STANDING, "_src": {**STANDING["_src"], "t": "another topic"}}],
    ],
    ids=["nothing", "a-marker", "two", "another-writers", "another-topics"],
)
def test_what_is_not_to_be_taken_away_stays(found):
    assert mended(None, found) is None


def test_of_two_documents_none_is_written():
    assert mended(outcome(7), [STANDING, STANDING], wanted=WANTED) is None


def test_a_record_that_its_key_has_left_behind_brings_no_document_back():
    assert mended(outcome(7), [], wanted=WANTED, left_behind=True) is None
    assert mended(outcome(7), [MARKER], wanted=WANTED, left_behind=True) is None
    assert mended(outcome(7), [STANDING], wanted=WANTED, left_behind=True) is not None
