"""Section 1a: jump consistent hash, as the paper lists it."""

import pytest
from xxhash import xxh64_intdigest

from prom_faust.routing.hashing import jump, partition_of


def listing(key, num_buckets):
    """The paper's C++ listing, line by line, with unsigned 64-bit arithmetic."""
    b, j = -1, 0
    while j < num_buckets:
        b = j
        key = (key * 2862933555777941757 + 1) % 2**64
        j = int((b + 1) * (float(1 << 31) / float((key >> 33) + 1)))
    return b


@pytest.mark.parametrize("num_buckets", [1, 2, 3, 7, 8, 100, 1_000, 100_000])
def test_it_is_the_paper_s(num_buckets):
    for key in [*range(300), 2**32, 2**63, 2**64 - 1, 0xDEADBEEF]:
        assert jump(key, num_buckets) == listing(key, num_buckets)


def test_published_values():
    # The test vectors of several implementations, Guava's among them.
    assert [jump(256, 1024), jump(10863919174838991, 11), jump(0, 1), jump(1, 1)] == [520, 6, 0, 0]


def test_a_key_is_hashed_by_its_bytes_and_stays_for_a_partition_count():
    for key in ("host-1", "é", b"\xff\x00", 7):
        data = key if isinstance(key, bytes) else str(key).encode()
        assert partition_of(key, 8) == jump(xxh64_intdigest(data), 8)


def test_growth_moves_a_key_only_to_the_new_partition_and_about_one_in_n():
    keys = [f"host-{number}" for number in range(10_000)]
    moved = [key for key in keys if partition_of(key, 8) != partition_of(key, 9)]
    assert {partition_of(key, 9) for key in moved} == {8}
    assert 0.09 < len(moved) / len(keys) < 0.13
