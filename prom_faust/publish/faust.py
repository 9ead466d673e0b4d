"""Topics and the router of an app that has the plugin."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, cast

import faust
from faust.app.router import Router
from faust.assignor.partition_assignor import PartitionAssignor
from faust.events import USE_EXISTING_HEADERS, USE_EXISTING_KEY, USE_EXISTING_VALUE, Event
from faust.exceptions import KeyDecodeError, ValueDecodeError
from faust.topics import Topic
from faust.types.app import AppT
from faust.types.core import K
from faust.types.tables import CollectionT
from faust.types.tuples import FutureMessage, Message
from pydantic import BaseModel
from yarl import URL

from prom_faust.assignment.faust import RendezvousAssignor
from prom_faust.dlq.faust import Burial
from prom_faust.exceptions import ConfigurationError, RecordKeyError
from prom_faust.publish.gate import Gate
from prom_faust.publish.kafka import routed_partition
from prom_faust.publish.rules import TopicRules
from prom_faust.routing.hashing import key_bytes
from prom_faust.routing.key import chosen_key, key_of_payload
from prom_faust.schema.faust import RecordSkipped, RegistrySchema
from prom_faust.schema.header import without_version
from prom_faust.schema.subject import Subject
from prom_faust.schema.tombstone import is_tombstone
from prom_faust.tables.faust import warm_table

__all__ = ["GatedEvent", "GatedTopic", "SourceRouter", "install_topics"]


class Plugin(Protocol):
    """What topics and router ask of their app's plugin."""

    gate: Gate
    burial: Burial

    def declared_topic(self, name: str) -> faust.Topic | None:
        """A topic that was declared with the plugin."""
        ...


def prom_of(app: Any) -> Plugin:
    """The plugin of an app."""
    return cast(Plugin, app.prom)


def install_topics(app: faust.App, *, rendezvous: bool = True) -> None:
    """Let the app make its topics, its router and its assignor from our classes, once it is configured.

    Args:
        app: the app.
        rendezvous: whether the assignor is ours, unless the app has one of its own.
    """

    def choose(conf: Any) -> None:
        # Not conf.Topic: Faust warns of a setting that is set after it was read.
        own = conf._Topic  # noqa: SLF001
        conf.Topic = GatedTopic if own is Topic else type(own.__name__, (GatedTopic, own), {})
        if conf._Event is Event:  # noqa: SLF001
            conf.Event = GatedEvent
        if conf._Router is Router:  # noqa: SLF001
            conf.Router = SourceRouter
        conf.Table = warm_table(conf._Table)  # noqa: SLF001
        if rendezvous and conf._PartitionAssignor is PartitionAssignor:  # noqa: SLF001
            conf.PartitionAssignor = RendezvousAssignor

    if app.configured:
        choose(app.conf)
    load = app._load_settings  # noqa: SLF001 - a signal's receivers are kept by id, and outlive their app

    def load_settings(**kwargs: Any) -> Any:
        conf = load(**kwargs)
        choose(conf)
        return conf

    cast(Any, app)._load_settings = load_settings  # noqa: SLF001


def _value_type(value_type: Any, topic: str | None, subject: Subject | None) -> Any:
    """What Faust is told of the values: nothing where the registry reads them.

    Raises:
        ConfigurationError: it is a pydantic model that the registry does not know; Faust cannot read any.
    """
    registered = {version.type.cls for version in subject.versions.values()} if subject else set()
    if value_type in registered:
        return None
    if isinstance(value_type, type) and issubclass(value_type, BaseModel):
        raise ConfigurationError(
            f"value_type={value_type.__name__} of topic {topic}: Faust reads no pydantic models; register it "
            f'before, with @registry.schema("{topic}", version=1), and leave value_type= out'
        )
    return value_type


class GatedTopic(Topic):
    """A Faust topic whose sends are checked before they are anywhere else, so that the caller gets the error.

    The app makes all its topics of this class: also ``app.send("name", ...)``, changelogs and repartition topics.
    """

    def __init__(
        self,
        app: AppT,
        *,
        topics: Sequence[str] | None = None,
        schema: Any = None,
        value_type: Any = None,
        internal: bool = False,
        compacting: bool | None = None,
        **kwargs: Any,
    ) -> None:
        prom = prom_of(app)
        name = topics[0] if topics is not None and len(topics) == 1 else None
        if name is not None:
            prom.gate.rules.note(name, compacted=bool(compacting), internal=internal)
        # A table brings its own ways of writing for its changelog, and an app may have a schema class of its own.
        mine = schema is None and app.conf.Schema is cast(Any, faust.Schema)
        if isinstance(schema, RegistrySchema) and schema.topic != name:
            mine = True  # a topic derived from another
        if mine and not internal:
            compacted = partial(prom.gate.rules.is_compacted, name or "")
            schema = RegistrySchema(prom.gate.registry, name, compacted=compacted)
        if value_type is not None:
            value_type = _value_type(value_type, name, prom.gate.registry.find(name or ""))
        super().__init__(
            app,
            topics=topics,
            schema=schema,
            value_type=value_type,
            internal=internal,
            compacting=compacting,
            **kwargs,
        )

    def as_future_message(
        self,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> FutureMessage:
        """Serialise, find the key and the version, and refuse what does not obey the topic.

        Raises:
            SendRefusedError: the record does not obey; nothing is produced.
        """
        if self.pattern or len(self.topics) != 1:
            return super().as_future_message(key, value, partition, timestamp, headers, *args, **kwargs)
        name, gate = self.topics[0], prom_of(self.app).gate
        rules = gate.rules.find(name)
        key, fault = self._key(rules, key, value)
        future = super().as_future_message(key, value, partition, timestamp, headers, *args, **kwargs)
        message = future.message
        final_key, final_value = cast(bytes | None, message.key), cast(bytes | None, message.value)
        if fault is not None and (key is None or not is_tombstone(final_value)):
            raise RecordKeyError(f"the key function of {name} raised {fault!r}") from fault
        admitted, final_headers = gate.admit(name, final_key, final_value, cast(Any, message.headers))
        if admitted is not final_value or final_headers is not message.headers:
            future.message = message._replace(value=admitted, headers=cast(Any, final_headers))
        if partition is None and final_key is None and rules is not None:
            partition = routed_partition(rules.routing, None, admitted, rules.partitions)
            future.message = future.message._replace(partition=partition)
        return future

    def _key(self, rules: TopicRules | None, given: Any, value: Any) -> tuple[Any, Exception | None]:
        """The key of a payload, and what its key function raised: the payload's own faults come first."""
        if rules is None or rules.key is None:
            return given, None
        try:
            found = key_of_payload(rules.key, value)
        except Exception as error:  # noqa: BLE001 - a user's function
            return given, error
        return chosen_key(rules.topic, found, given, same=self._same_key), None

    def _same_key(self, found: Any, given: Any) -> bool:
        return bool(self.prepare_key(found, None)[0] == self.prepare_key(given, None)[0])

    # -- what cannot be read -----------------------------------------------------------------------------------

    def _compile_decode(self) -> None:
        super()._compile_decode()
        decode = self.decode

        async def decode_or_bury(message: Message, **_: Any) -> Any:
            try:
                return await decode(message, propagate=True)
            except RecordSkipped:
                raise
            except (KeyDecodeError, ValueDecodeError) as error:
                # Here and not in on_value_decode_error: before that, Faust acknowledges the record.
                gate = prom_of(self.app).gate
                if gate.rules.find(message.topic) is None and gate.registry.find(message.topic) is None:
                    raise
                await prom_of(self.app).burial.bury(message, error)
                raise RecordSkipped(f"dead-lettered: {error}") from error

        self.decode = decode_or_bury  # type: ignore[method-assign]

    async def on_key_decode_error(self, exc: Exception, message: Message) -> None:
        """Crash the agents, as Faust does; but not for a record that is dealt with."""
        if not isinstance(exc, RecordSkipped):
            await super().on_key_decode_error(exc, message)

    async def on_value_decode_error(self, exc: Exception, message: Message) -> None:
        """Crash the agents, as Faust does; but not for a record that is dealt with."""
        if not isinstance(exc, RecordSkipped):
            await super().on_value_decode_error(exc, message)


class GatedEvent(Event):
    """A Faust event; sent on to another topic, it does not claim a version of its own topic's schema."""

    async def send(
        self,
        channel: Any,
        key: Any = USE_EXISTING_KEY,
        value: Any = USE_EXISTING_VALUE,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = USE_EXISTING_HEADERS,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Send to a channel, with this event's key, value and headers where no others are given."""
        if headers is USE_EXISTING_HEADERS:
            headers = self._headers_for(channel, self.headers)
        return await super().send(channel, key, value, partition, timestamp, headers, *args, **kwargs)

    async def forward(
        self,
        channel: Any,
        key: Any = USE_EXISTING_KEY,
        value: Any = USE_EXISTING_VALUE,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = USE_EXISTING_HEADERS,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Send the record as it came, with its headers where no others are given."""
        if headers is USE_EXISTING_HEADERS:
            headers = self._headers_for(channel, self.message.headers)
        return await super().forward(channel, key, value, partition, timestamp, headers, *args, **kwargs)

    def _headers_for(self, channel: Any, headers: Any) -> Any:
        if not headers:
            return None
        schema = getattr(channel, "schema", None)
        # A repartition topic carries the records of its source, under its source's schema.
        subject = schema.topic if isinstance(schema, RegistrySchema) else channel
        return headers if subject == self.message.topic else without_version(headers)


class SourceRouter(Router):
    """Faust's router, asked where the data of a table is: where its source topic's records are."""

    def key_store(self, table_name: str, key: K) -> URL:
        """The web address of the worker that has a key of a table."""
        table = self._get_table(table_name)
        topic = self._get_table_topic(table)
        return self._assignor.key_store(topic, self.table_key(table, key))

    def table_key(self, table: CollectionT, key: Any) -> bytes:
        """A table's key as its source topic writes it; text and numbers as they are where no source is known.

        A table without ``key_type=str`` writes the key ``k1`` as JSON into its changelog, but into the partition of
        the source's record, whose key is other bytes.
        """
        prom = prom_of(self.app)
        changelog = self._get_table_topic(table)
        source = prom.gate.rules.source_of(changelog) or self._seen_source(table)
        if source is not None:
            prom.gate.rules.follow(changelog, source)
            declared = prom.declared_topic(source)
            if declared is not None:
                return cast(bytes, declared.prepare_key(key, None)[0])
        if isinstance(key, str | bytes | int) and not isinstance(key, bool):
            return key_bytes(key)
        return self._get_serialized_key(table, key)

    @staticmethod
    def _seen_source(table: CollectionT) -> str | None:
        """The one topic that this process has written the table from."""
        seen: set[str] = getattr(table, "_verified_source_topics_for_partitions", set())
        return next(iter(seen)) if len(seen) == 1 else None
