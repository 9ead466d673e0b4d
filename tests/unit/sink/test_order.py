import pytest
from hypothesis import given
from hypothesis import strategies as st

from prom_faust.sink.order import OFFSET_BITS, Stored, outranks, position_of, rank_of

PARTITIONS = st.integers(0, 2**15 - 1)
OFFSETS = st.integers(0, 2**48 - 1)
POSITIONS = st.tuples(PARTITIONS, OFFSETS)


def test_the_worked_example_of_a_position():
    assert position_of(0, 7) == 7
    assert position_of(1, 0) == 2**48 == 1 << OFFSET_BITS


@given(POSITIONS, POSITIONS)
def test_positions_sort_like_partition_and_offset(one, other):
    assert (position_of(*one) < position_of(*other)) == (one < other)
    assert (position_of(*one) == position_of(*other)) == (one == other)


def test_the_greatest_position_is_the_greatest_int64():
    assert position_of(2**15 - 1, 2**48 - 1) == 2**63 - 1


@pytest.mark.parametrize(("partition", "offset"), [(-1, 0), (0, -1), (2**15, 0), (0, 2**48)])
def test_what_does_not_fit_a_position_is_refused(partition, offset):
    with pytest.raises(ValueError, match="does not fit"):
        position_of(partition, offset)


def test_the_worked_example_of_ranks():
    ranks = [
        rank_of(10, 5, versioned=True),
        rank_of(9, 5, versioned=True),
        rank_of(11, 5, versioned=True, inherits=True),
        rank_of(12, 6, versioned=True),
    ]
    assert ranks == sorted(set(ranks))


def test_without_versions_only_the_position_ranks():
    assert rank_of(2, 1, versioned=False) > rank_of(1, 9, versioned=False, inherits=True)


def test_no_version_is_older_than_every_version():
    assert rank_of(9, None, versioned=True) < rank_of(1, -(2**63), versioned=True)


def test_among_states_without_a_version_the_later_position_is_newer():
    assert rank_of(1, None, versioned=True) < rank_of(2, None, versioned=True, inherits=True)


@pytest.mark.parametrize("versioned", [True, False])
def test_nothing_and_foreign_documents_are_always_replaced(versioned):
    rank = rank_of(0, None, versioned=versioned)
    assert outranks(rank, None, versioned=versioned)
    assert outranks(rank, Stored(n=None, version=9), versioned=versioned)


@pytest.mark.parametrize(("versioned", "inherits"), [(True, True), (True, False), (False, False)])
def test_a_state_does_not_outrank_itself(versioned, inherits):
    stored = Stored(n=3, version=4, deleted=inherits, inherits=inherits)
    assert not outranks(rank_of(3, 4, versioned=versioned, inherits=inherits), stored, versioned=versioned)


def test_a_null_beats_the_version_it_took_over_once():
    live, marker = Stored(n=1, version=5), Stored(n=2, version=5, deleted=True, inherits=True)
    null = rank_of(2, 5, versioned=True, inherits=True)
    assert outranks(null, live, versioned=True)
    assert not outranks(rank_of(3, 5, versioned=True, inherits=True), marker, versioned=True)
    assert not outranks(rank_of(0, 5, versioned=True), marker, versioned=True)
