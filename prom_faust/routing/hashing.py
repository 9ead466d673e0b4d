"""From a key to its partition: xxh64 of the key's bytes, then jump consistent hash. Pure.

Nothing here depends on the process, the machine or Python's version: ``tests/vectors/jump.json`` holds values
that other implementations gave.
"""

from typing import Final, Literal

from xxhash import xxh64_intdigest

__all__ = ["Routing", "jump", "key_bytes", "left_behind", "partition_of"]

Routing = Literal["jump", "kafka"]
"""How a topic's keys find their partition: by ``partition_of``, or by the default partitioner of Kafka's clients."""

MASK: Final = 2**64 - 1
MULTIPLIER: Final = 2862933555777941757
"""Of the linear congruential generator in the paper's listing; its increment is 1 and its modulus 2**64."""
TWO_31: Final = float(2**31)


def jump(key_hash: int, num_buckets: int) -> int:
    """The bucket of a hash: jump consistent hash.

    John Lamping and Eric Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014, arXiv:1406.2294. The
    hash seeds a generator that tells at which bucket counts this key moves; the last such count within
    ``num_buckets`` is where it is. So when n buckets become n + 1, a key stays or moves to bucket n, and about
    1 / (n + 1) of all keys move.

    Example: hash 1 is in bucket 0 for one to six buckets, and goes to bucket 6 when there are seven::

        >>> [jump(1, n) for n in (1, 6, 7, 8)]
        [0, 0, 6, 6]

    Args:
        key_hash: an unsigned 64-bit hash of the key; its bits should be well mixed.
        num_buckets: how many buckets there are, at least 1.

    Returns:
        The bucket, from 0 to ``num_buckets - 1``.

    Raises:
        ValueError: there is no bucket, or the hash is no unsigned 64-bit number.
    """
    if num_buckets < 1:
        raise ValueError(f"num_buckets must be at least 1, not {num_buckets}")
    if not 0 <= key_hash <= MASK:
        raise ValueError(f"key_hash must be an unsigned 64-bit number, not {key_hash}")
    bucket, following = 0, 0
    while following < num_buckets:
        bucket = following
        key_hash = (key_hash * MULTIPLIER + 1) & MASK
        # The paper's expression in its order: another order rounds otherwise, and another language must agree.
        following = int((bucket + 1) * (TWO_31 / ((key_hash >> 33) + 1)))
    return bucket


def key_bytes(key: str | bytes | int) -> bytes:
    r"""A key as the bytes that are hashed: text as UTF-8, bytes as they are, a number as its decimal digits.

    So ``7`` and ``"7"`` are one key, as they are on the wire.

        >>> key_bytes("host-é"), key_bytes(b"\xff"), key_bytes(-7)
        (b'host-\xc3\xa9', b'\xff', b'-7')

    Raises:
        TypeError: the key is neither ``str``, ``bytes`` nor ``int``; a ``bool`` is none of them here.
        UnicodeEncodeError: the text holds half a surrogate pair, which UTF-8 cannot express.
    """
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bytes):
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return b"%d" % key
    raise TypeError(f"a key must be str, bytes or int, not {type(key).__name__}")


def partition_of(key: str | bytes | int, partitions: int) -> int:
    """The partition of a key on a jump-routed topic: ``jump`` over xxh64 with seed 0 of the key's bytes.

        >>> [partition_of("host-1", n) for n in (1, 2, 4, 5, 6, 8)]
        [0, 1, 1, 4, 5, 5]

    Args:
        key: the record key, see ``key_bytes``.
        partitions: how many partitions the topic has.

    Raises:
        TypeError: the key is of another type.
        ValueError: ``partitions`` is less than 1.
    """
    return jump(xxh64_intdigest(key_bytes(key)), partitions)


def left_behind(key: str | bytes | int, partition: int, partitions: int) -> bool:
    """Whether a record stands where its key was when the jump-routed topic had fewer partitions.

    A key moves to partition p only when the topic gets p + 1 partitions, so p was its home once if it is its home
    among p + 1.

        >>> [left_behind("host-1", partition, 6) for partition in range(6)]  # at home in 0, 1, 4, and now 5
        [True, True, False, False, True, False]

    Args:
        key: the record key, see ``key_bytes``.
        partition: where the record stands.
        partitions: how many partitions the topic has.
    """
    return partition_of(key, partitions) != partition == partition_of(key, partition + 1)
