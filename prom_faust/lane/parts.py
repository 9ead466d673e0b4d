"""A batch in parts that may be worked on at once: each key's records are in one part, in their order. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from prom_faust.lane.batch import Share
from prom_faust.lane.record import TopicPartition
from prom_faust.lane.records.order import strands

__all__ = ["by_key", "in_turn", "put_together"]

NEVER = 1 << 62
"""An offset behind every record."""

Shares = Mapping[TopicPartition, Share]


def by_key(shares: Shares, count: int) -> list[dict[TopicPartition, Share]]:
    """Divide a batch into at most so many parts, by a hash of the record keys.

    Records without a key keep the order of their partition.

    >>> from prom_faust.lane.batch import Token
    >>> from prom_faust.lane.record import PlainRecord
    >>> name = TopicPartition("t", 0)
    >>> records = [PlainRecord("t", 0, offset, key=key) for offset, key in enumerate([b"a", b"b", b"a"])]
    >>> [[r.offset for r in part[name].records] for part in by_key({name: Share(Token(name), records)}, 8)]
    [[0, 2], [1]]
    """
    parts: dict[int, dict[TopicPartition, Share]] = {}
    for name, share in shares.items():
        for number, records in strands(share.records, count).items():
            parts.setdefault(number, {})[name] = Share(share.token, records)
    return list(parts.values())


def in_turn(shares: Shares, size: int) -> Iterator[dict[TopicPartition, Share]]:
    """Pieces of at most so many records, to be given one after the other: each partition keeps its order.

    >>> from prom_faust.lane.batch import Token
    >>> whole = {TopicPartition("t", 0): Share(Token(TopicPartition("t", 0)), [1, 2, 3])}
    >>> [[share.records for share in piece.values()] for piece in in_turn(whole, 2)]
    [[[1, 2]], [[3]]]
    """
    piece: dict[TopicPartition, Share] = {}
    room = size
    for name, share in shares.items():
        start = 0
        while start < len(share.records):
            piece[name] = Share(share.token, share.records[start : start + room])
            start += room
            room -= len(piece[name].records)
            if not room:
                yield piece
                piece, room = {}, size
    if piece:
        yield piece


def put_together(shares: Shares, parts: Iterable[Shares]) -> None:
    """Let a batch say what was said of its parts: of one that was put back only its own records come again."""
    for part in parts:
        for name, share in part.items():
            whole = shares[name]
            whole.held |= share.held
            if share.put_back is None:
                continue
            since = 0 if share.put_back_from is None else share.put_back_from
            whole.held |= {
                record.offset: str(share.put_back) for record in share.records if record.offset >= since
            }
            if whole.put_back is None or _longer(share.pause, whole.pause):
                whole.put_back, whole.put_back_from, whole.pause = share.put_back, NEVER, share.pause


def _longer(pause: float | None, other: float | None) -> bool:
    return pause is not None and (other is None or pause > other)
