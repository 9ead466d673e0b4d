"""The dead letter: a bad record's own bytes, and where it stood and why it failed, as headers.

Key, value and headers are the record's, byte for byte; what is added stands behind them. Kafka Connect's header
names are written too, so that tools made for Connect's dead-letter queues can read ours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from prom_faust.exceptions import DecodeError, RecordError
from prom_faust.lane.record import PlainRecord, Record

__all__ = ["PREFIX", "DeadLetter", "State", "decode", "dlq_topic", "encode", "letter_of", "value_of"]

PREFIX = "x-dlq-"
"""Of the names of the headers that are added."""
MESSAGE_LIMIT = 4_000
"""Characters of an error message that are kept: a header must not outgrow its record."""
ATTEMPTS = re.compile(rb"[0-9]{1,9}")

Headers = list[tuple[str, bytes | None]]


def dlq_topic(topic: str) -> str:
    """The dead-letter topic of a topic."""
    return f"{topic}.dlq"


class State(Enum):
    """What has become of a dead-lettered record."""

    DEAD = "dead"
    """It is out of the way, and waits for somebody."""
    REPLAYED = "replayed"
    """It was applied after all, at its own position; the letter holds what was applied."""
    MOVED = "moved"
    """It was sent to its topic once more, as a new record."""
    DISCARDED = "discarded"
    """Somebody has decided that it is not needed."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was taken out of the way.

    Attributes:
        record: the record, with its position and timestamp.
        consumer: the consumer group that could not use it: letters of several sinks share a topic.
        error_class: the error's class.
        message: the error's message.
        attempts: how often it was tried, this one included.
        died_at: integer milliseconds since the epoch.
        state: what has become of the record; the last letter of a position and consumer says it.
        redacted: whether parts of the value were left out of the letter: it cannot be replayed then.
    """

    record: Record
    consumer: str
    error_class: str
    message: str
    attempts: int = 1
    died_at: int = 0
    state: State = State.DEAD
    redacted: bool = False

    @property
    def replayed(self) -> bool:
        """Whether this letter records that the record was applied after all."""
        return self.state is State.REPLAYED


def letter_of(record: Record, error: RecordError, *, consumer: str, died_at: int) -> DeadLetter:
    """The letter of a bad record; the class shown is that of the cause, where a user's function raised it."""
    cause = error.__cause__ or error
    attempts = 1
    for name, value in record.headers:
        if name == f"{PREFIX}attempts" and value is not None and ATTEMPTS.fullmatch(value):
            attempts = int(value) + 1
    return DeadLetter(
        record=record,
        consumer=consumer,
        error_class=f"{type(cause).__module__}.{type(cause).__qualname__}",
        message=str(error)[:MESSAGE_LIMIT],
        attempts=attempts,
        died_at=died_at,
    )


def encode(letter: DeadLetter) -> Headers:
    """All headers of the letter: the record's own first, then ours. Key is the record's, value see ``value_of``."""
    record = letter.record
    ours = {  # all of them, always: what is left out would be read from a letter about which this one is
        "headers": len(record.headers),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "consumer": letter.consumer,
        "error-class": letter.error_class,
        "error-message": letter.message,
        "attempts": letter.attempts,
        "died-at": letter.died_at,
        "state": letter.state.value,
        "redacted": int(letter.redacted),
        "empty": int(record.key is None and record.value is None),
    }
    connect = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "connector.name": letter.consumer,
        "task.id": record.partition,
        "stage": "TASK_PUT",
        "class.name": "prom_faust.sink",
        "exception.class.name": letter.error_class,
        "exception.message": letter.message,
    }
    return [
        *record.headers,
        *((f"{PREFIX}{name}", _text(value)) for name, value in ours.items()),
        *((f"__connect.errors.{name}", _text(value)) for name, value in connect.items()),
    ]


def value_of(letter: DeadLetter) -> bytes | None:
    """The letter's value: the record's, but no client sends a record with neither key nor value."""
    record = letter.record
    return b"" if record.key is None and record.value is None else record.value


def _text(value: object) -> bytes:
    # An error's message may hold half a surrogate pair, and a letter must always be written.
    return str(value).encode(errors="backslashreplace")


def decode(letter: Record) -> DeadLetter:
    """Read a letter back.

    Raises:
        DecodeError: the record is no letter of ours.
    """
    fields = {name.removeprefix(PREFIX): value for name, value in letter.headers if name.startswith(PREFIX)}
    try:
        text = {name: (value or b"").decode() for name, value in fields.items()}
        return DeadLetter(
            record=PlainRecord(
                topic=text["topic"],
                partition=int(text["partition"]),
                offset=int(text["offset"]),
                timestamp=int(text["timestamp"]),
                key=letter.key,
                value=None if text["empty"] == "1" else letter.value,
                headers=_own_headers(letter.headers, int(text["headers"])),
            ),
            consumer=text["consumer"],
            error_class=text["error-class"],
            message=text["error-message"],
            attempts=int(text["attempts"]),
            died_at=int(text["died-at"]),
            state=State(text["state"]),
            redacted=text["redacted"] == "1",
        )
    except (KeyError, ValueError) as error:
        raise DecodeError(f"offset {letter.offset} of {letter.topic} is no dead letter: {error!r}") from error


def _own_headers(
    headers: Sequence[tuple[str, bytes | None]], count: int
) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((name, value) for name, value in headers[:count])
