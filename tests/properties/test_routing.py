"""Jump hash, for any key: what growth may do to it, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from prom_faust.routing.hashing import jump, key_bytes, partition_of

HASHES = st.integers(0, 2**64 - 1)
KEYS = st.text() | st.binary() | st.integers()
COUNTS = st.integers(1, 2_000)


@given(HASHES, COUNTS)
def test_one_more_bucket_leaves_a_hash_where_it_is_or_takes_it_to_the_new_one(key_hash, count):
    assert jump(key_hash, count + 1) in {jump(key_hash, count), count}


@given(HASHES, COUNTS, COUNTS)
def test_growth_never_moves_a_hash_down(key_hash, one, other):
    assert jump(key_hash, min(one, other)) <= jump(key_hash, max(one, other))


@given(KEYS, COUNTS)
def test_every_key_has_a_partition(key, count):
    assert 0 <= partition_of(key, count) < count


@given(KEYS, COUNTS)
def test_a_key_is_where_its_bytes_are(key, count):
    assert partition_of(key, count) == partition_of(key_bytes(key), count)
