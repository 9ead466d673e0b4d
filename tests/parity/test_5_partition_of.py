"""Section 5, its first half: ``partition_of``, public, the same everywhere."""

import subprocess
import sys

import pytest

from prom_faust import partition_of


def test_values_that_every_process_and_every_python_must_give():
    assert [partition_of("host-1", count) for count in (1, 2, 4, 5, 6, 8)] == [0, 1, 1, 4, 5, 5]


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_another_process_with_another_hash_seed_agrees(seed):
    keys = ["host-1", "é", "", "x" * 1000]
    code = f"from prom_faust import partition_of; print([partition_of(k, 64) for k in {keys!r}])"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([partition_of(key, 64) for key in keys])


def test_a_key_is_the_same_as_text_as_bytes_and_as_a_number():
    for count in (1, 8, 1_000):
        assert partition_of("7", count) == partition_of(b"7", count) == partition_of(7, count)
        assert partition_of("é", count) == partition_of("é".encode(), count)


@pytest.mark.parametrize("count", [1, 2, 8, 64, 1_000_000])
def test_it_is_one_of_the_partitions(count):
    assert all(0 <= partition_of(f"host-{number}", count) < count for number in range(200))


@pytest.mark.parametrize("key", [None, True, 1.5, ("a",), bytearray(b"a")], ids=repr)
def test_what_is_no_key_is_an_error(key):
    with pytest.raises(TypeError, match="str, bytes or int"):
        partition_of(key, 8)


@pytest.mark.parametrize("count", [0, -1])
def test_there_is_at_least_one_partition(count):
    with pytest.raises(ValueError, match="at least 1"):
        partition_of("a", count)
