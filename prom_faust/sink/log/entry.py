"""Record or letter -> what it does at its position. Pure.

The sink's own decoder decides what a record means; here its answer, or its refusal, becomes one row.
"""

from typing import NamedTuple

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.dlq.redaction import HASHED
from prom_faust.exceptions import RecordError
from prom_faust.lane.record import PlainRecord, Record
from prom_faust.sink.decode import Decoder
from prom_faust.sink.event import position
from prom_faust.sink.key import Key

__all__ = ["DEAD", "LIVE", "NULL", "POISON", "Entry", "entry_of", "entry_of_letter", "key_of"]

LIVE, NULL, DEAD, POISON = range(4)
"""What a position holds: a document, a tombstone, a dead-lettered record, one that does not decode."""


class Entry(NamedTuple):
    """What one record or letter does at one position.

    Attributes:
        n: the packed position.
        key: the key, or None where the record has none that can be read, or its letter does not tell it.
        version: the version, or None.
        kind: LIVE, NULL, DEAD or POISON.
        body: the encoded document; of POISON the error's text.
    """

    n: int
    key: Key | None
    version: int | None
    kind: int
    body: bytes | None


def entry_of(record: Record, decode: Decoder) -> Entry:
    """What a record does, as long as no letter says that it was dead-lettered."""
    try:
        change = decode(record)
    except RecordError as error:
        return Entry(position(record), key_of(record, decode), None, POISON, str(error).encode())
    return Entry(change.n, change.key, change.version, NULL if change.deletes else LIVE, change.body)


def entry_of_letter(letter: DeadLetter, decode: Decoder) -> Entry:
    """What a letter does: it takes its record out, or puts it back in with the value that was replayed."""
    if letter.replayed:
        return entry_of(letter.record, decode)
    record = letter.record
    hashed = letter.redacted and (record.key or b"").startswith(HASHED)
    return Entry(position(record), None if hashed else key_of(record, decode), None, DEAD, None)


def key_of(record: Record, decode: Decoder) -> Key | None:
    """The key of a record that may not decode, or None: a tombstone needs nothing but its key."""
    tombstone = PlainRecord(record.topic, record.partition, record.offset, key=record.key)
    try:
        return decode(tombstone).key
    except RecordError:
        return None
