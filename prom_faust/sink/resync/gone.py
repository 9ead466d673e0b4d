"""Document and keys -> does the log still have a record for it? Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from prom_faust.sink.key import Key, found_key

__all__ = ["is_gone"]


def is_gone(document: Mapping[str, Any], until: Mapping[int, int], seen: Callable[[int, Key], bool]) -> bool:
    """Whether a document's key has no record any more in the partition that it came from.

    Args:
        document: one of the sink's, and no marker.
        until: partition to the offset up to which all of its keys are known.
        seen: whether a partition has a key.

    Worked example: the keys of partition 0 are known up to offset 90. A document from offset 70 whose key was not
    seen has been deleted: its tombstone stood after 70, and is gone with its retention. One from offset 95 says
    nothing, and neither does one from partition 1, where its key may have moved.
    """
    key, source = found_key(document.get("_key")), document.get("_src")
    if not isinstance(source, Mapping) or key is None:
        return False
    partition, offset = source.get("p"), source.get("o")
    if not isinstance(partition, int) or not isinstance(offset, int) or not isinstance(source.get("n"), int):
        return False
    return offset < until.get(partition, 0) and not seen(partition, key)
