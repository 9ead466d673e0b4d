"""What a record carries through a repartition topic: where it came from, and by which key it went. Pure.

Its own key, value and headers stay as they are, byte for byte; two headers stand behind them. Its timestamp is one
of these: in Kafka's field, a topic's retention would remove old records before they are read.
"""

from prom_faust.exceptions import DecodeError
from prom_faust.lane.record import PlainRecord, Record

__all__ = ["carried", "original"]

SOURCE = "x-prom-source"
KEY = "x-prom-key"

Headers = list[tuple[str, bytes | None]]


def carried(record: Record, key: str) -> Headers:
    """The headers of a record on its way through a repartition topic.

    Args:
        record: the record as it was read.
        key: what chooses its logical partition.
    """
    position = f"{record.partition}:{record.offset}:{record.timestamp}"
    return [*record.headers, (SOURCE, position.encode()), (KEY, key.encode())]


def original(record: Record, topic: str) -> tuple[PlainRecord, str]:
    """The record as it was on its own topic, and its key.

    Args:
        record: as it was read from the repartition topic.
        topic: its own topic.

    Raises:
        DecodeError: it did not come from that topic by way of ours.
    """
    own: Headers = list(record.headers)
    (key_name, key), (source_name, source) = (own.pop() if own else ("", None) for _ in range(2))
    try:
        if (source_name, key_name) != (SOURCE, KEY):
            raise ValueError("the headers of its source are not there")  # noqa: TRY301 - one way out
        partition, offset, timestamp = map(int, (source or b"").split(b":"))
        text = (key or b"").decode()
    except ValueError as error:
        raise DecodeError(f"offset {record.offset} of {record.topic} was not sent by us: {error}") from error
    return PlainRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(own),
    ), text
