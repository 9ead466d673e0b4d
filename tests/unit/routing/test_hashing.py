import doctest
import json
from pathlib import Path

import pytest
from xxhash import xxh64_intdigest

from prom_faust.routing import hashing
from prom_faust.routing.hashing import jump, key_bytes, left_behind, partition_of

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "jump.json").read_text(encoding="utf-8"))
COUNTS = VECTORS["partitions"]


def key_of(vector):
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    return int(vector["int"]) if "int" in vector else vector["text"]


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda vector: repr(key_of(vector)))
def test_a_key_is_where_another_implementation_puts_it(vector):
    key = key_of(vector)
    assert f"{xxh64_intdigest(key_bytes(key)):016x}" == vector["xxh64"]
    assert [partition_of(key, count) for count in COUNTS] == vector["home"]


@pytest.mark.parametrize("vector", VECTORS["hashes"], ids=lambda vector: vector["hash"])
def test_a_hash_is_in_the_bucket_that_another_implementation_gives(vector):
    assert [jump(int(vector["hash"]), count) for count in COUNTS] == vector["home"]


def test_the_hash_of_nothing_is_the_published_one():
    assert xxh64_intdigest(key_bytes("")) == 0xEF46DB3751D8E999


def test_one_more_partition_moves_its_share_of_the_keys_and_only_to_the_new_one():
    keys = [f"process-{number}" for number in range(20_000)]
    for count in (1, 2, 3, 7, 8, 15, 63):
        before = [partition_of(key, count) for key in keys]
        after = [partition_of(key, count + 1) for key in keys]
        moved = [new for old, new in zip(before, after, strict=True) if old != new]
        assert set(moved) == {count}
        # The share is binomial: five standard deviations are never seen by chance.
        share = 1 / (count + 1)
        deviation = (share * (1 - share) / len(keys)) ** 0.5
        assert abs(len(moved) / len(keys) - share) < 5 * deviation


def test_keys_are_spread_evenly():
    homes = [partition_of(f"process-{number}", 8) for number in range(20_000)]
    counts = [homes.count(partition) for partition in range(8)]
    assert min(counts) > 2_500 * 0.9
    assert max(counts) < 2_500 * 1.1


def test_a_number_and_its_digits_are_one_key():
    assert key_bytes(42) == key_bytes("42") == key_bytes(b"42") == b"42"


@pytest.mark.parametrize("key", [True, False, None, 1.0, bytearray(b"a"), memoryview(b"a"), ("a",)])
def test_any_other_type_is_refused_and_the_allowed_ones_are_named(key):
    with pytest.raises(TypeError, match="str, bytes or int") as raised:
        key_bytes(key)
    assert type(key).__name__ in str(raised.value)


@pytest.mark.parametrize("count", [0, -1])
def test_there_is_at_least_one_bucket(count):
    with pytest.raises(ValueError, match="at least 1"):
        jump(7, count)
    with pytest.raises(ValueError, match="at least 1"):
        partition_of("a", count)


@pytest.mark.parametrize("key_hash", [-1, 2**64, 2**200])
def test_a_hash_has_64_bits(key_hash):
    with pytest.raises(ValueError, match="64-bit"):
        jump(key_hash, 8)


def test_the_examples_are_true():
    assert doctest.testmod(hashing).failed == 0
    assert doctest.testmod(hashing).attempted > 0


def test_a_record_is_left_behind_where_its_key_was_with_fewer_partitions():
    for number in range(500):
        key = f"host-{number}"
        homes = [partition_of(key, count) for count in range(1, 13)]
        for partition in range(12):
            assert left_behind(key, partition, 12) == (partition in homes and partition != homes[-1])
