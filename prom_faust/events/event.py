"""What an event agent gets, and how it is to work. Pure."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prom_faust.exceptions import ConfigurationError
from prom_faust.lane.failure.policy import Policy
from prom_faust.lane.history import Reset
from prom_faust.partitioned.event import PartitionedEvent

__all__ = ["Event", "EventFun", "EventOptions", "Message", "Sender"]


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way to a producer: it has passed the gate.

    Attributes:
        topic: where it goes.
        key: raw bytes, or None.
        value: raw bytes, or None.
        partition: its partition; None where the topic's routing says it.
        like: the number that, modulo the topic's partitions, is its partition; or None.
        timestamp: integer milliseconds since the epoch; None for now.
        headers: name and raw bytes.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    like: int | None = None
    timestamp: int | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Sender(Protocol):
    """Sends for the handler of one event."""

    async def send(self, topic: Any, **message: Any) -> None:
        """Send to a topic."""
        ...

    def close(self) -> Sequence[Message]:
        """The handler has returned; gives what is still to be sent."""
        ...


@dataclass(frozen=True, slots=True)
class Event(PartitionedEvent):
    """One record, as an event agent gets it. Its ``partition`` is that of the topic.

    ``value`` is None for a null or a tombstone, where the agent asks for them. Its ``sender`` is what ``send`` uses.
    """

    sender: Sender = field(repr=False, compare=False)

    async def send(
        self,
        topic: Any,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Mapping[str, bytes] | None = None,
    ) -> None:
        """Send to a topic; schema, key and routing are those of ``topic.send``.

        With ``exactly_once`` the message becomes visible together with the fact that this event is done, to
        consumers that read committed; if the handler raises, it is never sent. Without, it is on its topic when this
        returns, and is sent again if the event comes again.

        Args:
            topic: a topic of the app, or a name.
            key: the key; not needed where the topic has ``key=``.
            value: the value.
            partition: the partition; that of the key by default.
            timestamp: seconds since the epoch; now by default.
            headers: name to bytes.

        Raises:
            SendRefusedError: it does not obey its topic, or this event is done already; nothing is sent.
        """
        await self.sender.send(
            topic, key=key, value=value, partition=partition, timestamp=timestamp, headers=headers
        )


EventFun = Callable[[Event], Awaitable[Any] | Any]
"""What a user writes: ``async def handle(event): ...``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """How an event agent works.

    Args:
        topic: what it reads.
        group: its consumer group.
        name: its name.
        reset: where a group without committed offsets starts.
        concurrency: how many events it works on at once.
        policy: what is done when it raises.
        allow_empty: whether it gets nulls and tombstones.
        exactly_once: whether what it sends is done together with the event.

    Raises:
        ConfigurationError: one of them cannot be.
    """

    topic: str
    group: str
    name: str
    reset: Reset = "earliest"
    concurrency: int = 1
    policy: Policy = field(default_factory=Policy)
    allow_empty: bool = False
    exactly_once: bool = False

    def __post_init__(self) -> None:
        if (
            not isinstance(self.concurrency, int)
            or isinstance(self.concurrency, bool)
            or self.concurrency < 1
        ):
            raise ConfigurationError(
                f"agent {self.name}: concurrency= must be a whole number of at least 1, not {self.concurrency!r}"
            )
        if self.reset not in {"earliest", "latest"}:
            raise ConfigurationError(
                f"agent {self.name}: reset= must be earliest or latest, not {self.reset!r}"
            )
