"""What a table in memory remembers of its changelog."""

from types import SimpleNamespace

import faust
import pytest
from faust.types import TP

from prom_faust.tables.faust import WarmStore, warm_table

MINE, COPIED, LOST = TP("t-changelog", 0), TP("t-changelog", 1), TP("t-changelog", 2)


@pytest.fixture
def store():
    app = faust.App("warm", broker="kafka://127.0.0.1:1")
    return WarmStore("memory://", app, app.Table("t", default=int))


def event(tp, offset, key, value):
    message = SimpleNamespace(tp=tp, offset=offset, partition=tp.partition, value=value)
    return SimpleNamespace(key=key, value=value, message=message)


def take_in(store, *events):
    store.apply_changelog_batch(events, to_key=lambda key: key, to_value=lambda value: value)


def test_nothing_is_known_of_a_partition_that_was_not_read(store):
    assert store.persisted_offset(MINE) is None


def test_what_was_read_is_known_also_across_gaps_of_compaction(store):
    take_in(store, event(MINE, 3, "a", 1), event(MINE, 9, "b", 2))
    assert store.persisted_offset(MINE) == 9


def test_a_write_of_our_own_counts_right_after_what_is_known(store):
    take_in(store, event(MINE, 3, "a", 1))
    store.set_persisted_offset(MINE, 4)
    store.set_persisted_offset(MINE, 5)
    assert store.persisted_offset(MINE) == 5


def test_a_write_of_our_own_into_an_empty_partition_counts(store):
    store.set_persisted_offset(MINE, 0)
    assert store.persisted_offset(MINE) == 0


def test_after_a_write_of_another_worker_ours_does_not_count(store):
    take_in(store, event(MINE, 3, "a", 1))
    store.set_persisted_offset(MINE, 5)  # 4 is somebody else's, and not in memory
    store.set_persisted_offset(MINE, 6)
    assert store.persisted_offset(MINE) == 3


async def test_copies_stay_and_what_is_neither_owned_nor_copied_goes(store):
    take_in(store, *(event(tp, 0, f"k{tp.partition}", 1) for tp in (MINE, COPIED, LOST)))
    await store.on_recovery_completed({MINE}, {COPIED})
    assert dict(store.data) == {"k0": 1, "k1": 1}
    assert [store.persisted_offset(tp) for tp in (MINE, COPIED, LOST)] == [0, 0, None]


def test_tables_elsewhere_keep_their_own_store():
    app = faust.App("warm-rocks", broker="kafka://127.0.0.1:1")
    made = warm_table(type(app.Table("t", default=int)))
    assert isinstance(made(app, name="u", default=int).data, WarmStore)
