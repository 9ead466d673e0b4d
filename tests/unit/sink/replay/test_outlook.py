"""What the log holds for a key decides whether a record that comes late may still count."""

from hypothesis import given
from hypothesis import strategies as st

from prom_faust.sink.order import position_of
from prom_faust.sink.replay.outlook import Outlook, Sighting
from prom_faust.sink.verify.fold import fold


def at(offset, key="k", *, partition=0, version=None, deletes=False, timestamp=0):
    return Sighting(position_of(partition, offset), key, version, deletes, timestamp)


def test_a_candidate_alone_stands():
    with Outlook(versioned=False) as outlook:
        outlook.add([at(5)])
        assert outlook.winner("k") == 5


def test_a_later_tombstone_overtakes_it():
    with Outlook(versioned=False) as outlook:
        outlook.add([at(5)])
        outlook.see([at(6, deletes=True)])
        assert outlook.winner("k") == 6


def test_an_earlier_record_does_not():
    with Outlook(versioned=False) as outlook:
        outlook.add([at(5)])
        outlook.see([at(4)])
        assert outlook.winner("k") == 5


def test_a_higher_partition_is_later():
    with Outlook(versioned=False) as outlook:
        outlook.add([at(5)])
        outlook.see([at(0, partition=1)])
        assert outlook.winner("k") == position_of(1, 0)


def test_with_versions_the_highest_wins_wherever_it_stands():
    with Outlook(versioned=True) as outlook:
        outlook.add([at(5, version=2), at(5, "other", partition=1, version=2)])
        outlook.see([at(3, version=7, deletes=True), at(9, "other", version=1)])
        assert outlook.winner("k") == 3
        assert outlook.winner("other") == position_of(1, 5)


def test_a_dead_letter_takes_its_record_out_and_not_its_candidate():
    with Outlook(versioned=False) as outlook:
        outlook.add([at(5)])
        outlook.bury([5, 6])
        outlook.see([at(6)])
        assert outlook.winner("k") == 5


def test_what_was_replayed_counts_although_it_was_dead():
    with Outlook(versioned=False) as outlook:
        outlook.add([at(5)])
        outlook.bury([6])
        outlook.see([at(6)], replayed=True)
        assert outlook.winner("k") == 6


def test_the_record_of_the_log_does_not_replace_the_mended_one():
    with Outlook(versioned=True) as outlook:
        outlook.add([at(5, version=3)])
        outlook.see([at(5, version=1), at(6, version=2)])
        assert outlook.winner("k") == 5


def test_another_record_at_its_position_makes_it_foreign_and_takes_it_out():
    with Outlook(versioned=False) as outlook:
        outlook.add([at(5, timestamp=10), at(7, timestamp=20)])
        outlook.meet(5, 10)
        outlook.meet(7, 21)
        assert (outlook.is_foreign(5), outlook.is_foreign(7)) == (False, True)
        assert outlook.winner("k") == 5


def test_keys_without_a_candidate_are_passed_over():
    with Outlook(versioned=False) as outlook:
        outlook.add([at(5)])
        outlook.see([at(6, "another")])
        assert outlook.winner("another") is None


CHANGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 3), st.booleans()), min_size=1, max_size=8
)


@given(CHANGES, st.data(), st.booleans())
def test_the_winner_is_that_of_the_fold_whichever_of_its_changes_were_candidates(changes, data, versioned):
    rows = [
        at(
            offset,
            key,
            version=(version if deletes else version or 0) if versioned else None,
            deletes=deletes,
        )
        for offset, (key, version, deletes) in enumerate(changes)
    ]
    late = {row.n for row in rows if data.draw(st.booleans())}
    with Outlook(versioned=versioned) as outlook:
        outlook.add(row for row in rows if row.n in late)
        outlook.see(row for row in rows if row.n not in late)
        expected = {
            outcome.key: outcome.n
            for outcome in fold(
                sorted((row.key, row.n, row.version, row.deletes) for row in rows), versioned=versioned
            )
        }
        keys = {row.key for row in rows if row.n in late}
        assert {key: outlook.winner(key) for key in keys} == {key: expected[key] for key in keys}
