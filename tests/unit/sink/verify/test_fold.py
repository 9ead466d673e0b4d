"""The fold over a whole topic gives what the sink's own planner gives."""

from hypothesis import given
from hypothesis import strategies as st

from prom_faust.lane.record import PlainRecord
from prom_faust.sink.event import Change
from prom_faust.sink.order import position_of
from prom_faust.sink.plan import group, winner
from prom_faust.sink.verify.fold import fold

KEYS = st.sampled_from(["a", "b", 1])
POSITIONS = st.builds(position_of, st.integers(0, 2), st.integers(0, 12))
VERSIONS = st.none() | st.integers(-3, 3)


@st.composite
def changes(draw, *, versioned):
    made = []
    for n in draw(st.sets(POSITIONS, max_size=25)):
        deletes = draw(st.booleans())
        version = draw(VERSIONS if deletes else st.integers(-3, 3)) if versioned else None
        record = PlainRecord("t", n >> 48, n & (2**48 - 1))
        made.append(
            Change(key=draw(KEYS), n=n, record=record, body=None if deletes else b"x", version=version)
        )
    return made


def rows(made):
    return sorted(
        ((change.key, change.n, change.version, change.deletes) for change in made),
        key=lambda row: (str(row[0]), row[1]),
    )


def by_planner(made, *, versioned):
    outcomes = {}
    for key, plan in group(made).items():
        change, rank, _ = winner(plan, None, versioned=versioned)
        outcomes[key] = (change.n, change.deletes, rank)
    return outcomes


def by_fold(made, *, versioned):
    return {
        outcome.key: (outcome.n, outcome.deletes, outcome.rank)
        for outcome in fold(rows(made), versioned=versioned)
    }


@given(changes(versioned=True))
def test_with_versions_it_agrees_with_the_planner_over_all_changes_at_once(made):
    assert by_fold(made, versioned=True) == by_planner(made, versioned=True)


@given(changes(versioned=False))
def test_without_versions_it_agrees_with_the_planner_over_all_changes_at_once(made):
    assert by_fold(made, versioned=False) == by_planner(made, versioned=False)


def test_a_null_takes_over_the_version_before_it():
    rows = [("a", 10, 5, False), ("a", 11, None, True), ("a", 12, 3, False)]
    (outcome,) = fold(rows, versioned=True)
    assert (outcome.n, outcome.deletes) == (11, True)


def test_a_tie_of_versions_goes_to_the_earlier_position():
    (outcome,) = fold([("a", 10, 5, False), ("a", 11, 5, False)], versioned=True)
    assert outcome.n == 10
