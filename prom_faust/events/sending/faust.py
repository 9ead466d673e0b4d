"""How an event's handler sends: at once, or into the transaction that says that the event is done."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

import faust
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from prom_faust.clients import Clients
from prom_faust.events.event import Message
from prom_faust.exceptions import SendRefusedError
from prom_faust.lane.service import Lane
from prom_faust.publish.gate import Gate
from prom_faust.schema.header import pairs
from prom_faust.settings import Settings

__all__ = ["DirectSender", "Host", "Outbox", "message_of"]


class Host(Protocol):
    """What an event agent needs of the plugin."""

    app: faust.App
    settings: Settings
    clients: Clients
    gate: Gate
    lanes: dict[str, Lane]

    def declared_topic(self, name: str) -> faust.Topic | None:
        """A topic that was declared with the plugin."""
        ...


class DirectSender:
    """Sends at once, with the app's own producer.

    Args:
        host: the plugin.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    async def send(self, topic: Any, **message: Any) -> None:
        """Send, and wait until the message is on its topic."""
        await (await topic_of(self._host, topic).send(**message))

    def close(self) -> Sequence[Message]:
        """Nothing is left to be sent."""
        return ()


class Outbox:
    """Keeps what one event's handler sends until its transaction.

    Args:
        host: the plugin.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._messages: list[Message] = []
        self._closed = False

    async def send(self, topic: Any, **message: Any) -> None:
        """Take a message that its topic would take.

        Raises:
            SendRefusedError: it would not, or the handler has returned already.
        """
        if self._closed:
            raise SendRefusedError("the event is done: what its handler sends must be sent before it returns")
        self._messages.append(message_of(self._host, topic_of(self._host, topic), **message))

    def close(self) -> Sequence[Message]:
        """All messages, in the order in which they were sent."""
        self._closed = True
        return self._messages


def message_of(
    host: Host, topic: faust.Topic, *, partition: int | None, timestamp: float | None, **message: Any
) -> Message:
    """A message as the topic's own ``send`` would produce it.

    Raises:
        SendRefusedError: it would refuse it, or a broker would.
    """
    name = str(topic.get_topic_name())
    found = topic.as_future_message(partition=partition, timestamp=timestamp, **message).message
    key, value = cast(bytes | None, found.key), cast(bytes | None, found.value)
    value, open_headers = host.gate.admit(name, key, value, cast(Any, found.headers))
    headers, count = pairs(open_headers), host.gate.rules.partitions(name)
    # What only the producer refuses would fail the transaction again and again, and nobody would know for what.
    size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers)
    limit = host.app.conf.producer_max_request_size
    if key is None and value is None:
        raise SendRefusedError(f"a message to {name} needs a key or a value")
    if size > limit:
        raise SendRefusedError(
            f"a message to {name} has {size} bytes, and producer_max_request_size is {limit}"
        )
    if found.partition is not None and not 0 <= found.partition < (count or found.partition + 1):
        raise SendRefusedError(f"topic {name} has no partition {found.partition}")
    return Message(
        name,
        key,
        value,
        partition=found.partition,
        timestamp=None if timestamp is None else int(timestamp * 1000),
        headers=tuple(headers),
    )


def topic_of(host: Host, topic: Any) -> faust.Topic:
    """A topic of the app, by itself or by its name.

    Raises:
        SendRefusedError: it is none.
    """
    if isinstance(topic, str):
        return host.declared_topic(topic) or cast(faust.Topic, host.app.topic(topic))
    if not isinstance(topic, faust.Topic):
        raise SendRefusedError(f"send() takes a topic or its name, not {topic!r:.80}")
    return topic
