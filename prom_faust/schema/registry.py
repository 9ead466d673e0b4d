"""The schema registry of an app: what each topic may carry, version by version."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from prom_faust.exceptions import IncompatibleSchemaError, SchemaError
from prom_faust.schema.compatibility import Incompatibility, incompatibilities
from prom_faust.schema.faust import RegistryCodec
from prom_faust.schema.json import JSONSchema
from prom_faust.schema.payload.faust import Record, is_record
from prom_faust.schema.payload.model import Model
from prom_faust.schema.payload.plain import PlainJson
from prom_faust.schema.payload.type import PayloadType
from prom_faust.schema.subject import Policy, Subject
from prom_faust.schema.version import Compatibility, SchemaVersion

__all__ = ["SchemaRegistry"]

T = TypeVar("T", bound=type)
LEVELS: Mapping[Compatibility, str] = {
    "none": "nothing is promised",
    "backward": "the new schema reads all old data",
    "forward": "the old schema reads all new data",
}


class SchemaRegistry:
    """What each topic may carry.

    Example::

        registry = SchemaRegistry()

        @registry.schema("orders", version=1)
        class Order(BaseModel):
            id: str
            total: float
    """

    def __init__(self) -> None:
        self._subjects: dict[str, Subject] = {}

    def __contains__(self, topic: object) -> bool:
        return topic in self._subjects

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._subjects.values())

    def schema(
        self,
        topic: str,
        *,
        version: int,
        compatibility: Compatibility = "backward",
        policy: Policy | None = None,
        exclude_none: bool = False,
    ) -> Callable[[T], T]:
        """Register the decorated class; the arguments are those of :meth:`register`."""

        def decorate(cls: T) -> T:
            self.register(
                topic,
                cls,
                version=version,
                compatibility=compatibility,
                policy=policy,
                exclude_none=exclude_none,
            )
            return cls

        return decorate

    def register(
        self,
        topic: str,
        schema: type | JSONSchema,
        *,
        version: int,
        compatibility: Compatibility = "backward",
        policy: Policy | None = None,
        exclude_none: bool = False,
    ) -> SchemaVersion:
        """Register a version of a topic's values.

        Args:
            topic: the topic.
            schema: a pydantic model, a ``faust.Record`` class, or a JSON Schema (draft 2020-12).
            version: its number, from 1; higher than every one before, gaps are allowed.
            compatibility: what is checked against the version before: ``backward``, the new schema reads all
                old data; ``forward``, the old one reads all new; ``none``.
            policy: of the whole topic: ``enforce`` (default), ``warn`` or ``off``.
            exclude_none: leave fields that are None out of what the model emits.

        Returns:
            The version.

        Raises:
            IncompatibleSchemaError: compatibility does not hold, or cannot be decided; every place is named.
            SchemaError: the number does not rise, or the schema is none.
        """
        known = self._subjects.get(topic)
        before = known.latest if known else None
        if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 10**9:
            raise SchemaError(f"the version of {topic} must be a whole number from 1, not {version!r}")
        if before is not None and version <= before.number:
            raise SchemaError(f"version must increase for {topic}: {version} after {before.number}")
        if compatibility not in LEVELS:
            raise SchemaError(
                f"compatibility of {topic} must be one of {', '.join(LEVELS)}, not {compatibility!r}"
            )
        if policy not in {None, "off", "warn", "enforce"}:
            raise SchemaError(f"policy of {topic} must be off, warn or enforce, not {policy!r}")
        new = SchemaVersion(topic, version, compatibility, payload_type(schema, exclude_none=exclude_none))
        _check_own(new)
        if before is not None:
            _check_against(before, new)
        subject = self._subjects.setdefault(topic, Subject(topic))
        subject.add(new)
        subject.policy = policy or subject.policy
        return new

    def find(self, topic: str) -> Subject | None:
        """The versions of a topic, or None where nothing is registered."""
        return self._subjects.get(topic)

    def latest(self, topic: str) -> SchemaVersion:
        """The highest version of a topic.

        Raises:
            SchemaError: the topic has no schema.
        """
        return self._subject(topic).latest

    def get(self, topic: str, version: int) -> SchemaVersion:
        """A version of a topic.

        Raises:
            SchemaError: there is no such version.
        """
        versions = self._subject(topic).versions
        if version not in versions:
            raise SchemaError(f"{topic} has no version {version}; there are: {', '.join(map(str, versions))}")
        return versions[version]

    def validate(self, topic: str, payload: Any, version: int | None = None) -> SchemaVersion:
        """Check a payload as if it were sent: a model, plain JSON values, or bytes.

        Args:
            topic: the topic.
            payload: the payload.
            version: the version; by default that of the payload's class, else the latest.

        Returns:
            The version that it obeys.

        Raises:
            PayloadInvalidError: it does not; every failing path is named.
            SchemaError: there is no such topic or version.
        """
        chosen = (
            self._subject(topic).version_of(payload, None) if version is None else self.get(topic, version)
        )
        chosen.encode(payload)
        return chosen

    def codec(self, topic: str) -> RegistryCodec:
        """The codec of a topic's values, for ``value_serializer=``; it works without ``install``.

        Raises:
            SchemaError: the topic has no schema.
        """
        return RegistryCodec(self._subject(topic))

    def _subject(self, topic: str) -> Subject:
        if topic not in self._subjects:
            known = ", ".join(sorted(self._subjects)) or "none"
            raise SchemaError(f"topic {topic} has no schema; topics that have one: {known}")
        return self._subjects[topic]


def payload_type(schema: type | JSONSchema, *, exclude_none: bool = False) -> PayloadType:
    """What a registered thing is.

    Raises:
        SchemaError: it is neither a model nor a record nor a JSON Schema.
    """
    if is_record(schema):
        return Record(cast(Any, schema))
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return Model(schema, exclude_none=exclude_none)
    if isinstance(schema, Mapping | bool):
        return PlainJson(schema)
    raise SchemaError(
        f"{schema!r} is no schema: give a pydantic model, a faust.Record class or a JSON Schema as a dict"
    )


def _check_own(new: SchemaVersion) -> None:
    """A model that cannot read what it emits would dead-letter its own records."""
    every = incompatibilities(reader=new.reader_schema, writer=new.schema)
    found = [each for each in every if each.rule != "undecided"]
    if new.type.certain is None:
        # Then schemas say only a part of what is read, and every send is read back.
        found = [each for each in found if each.rule in {"property-removed", "closed-object"}]
    if found:
        raise IncompatibleSchemaError(f"{new.topic} v{new.number} cannot read what it writes: {_list(found)}")


def _check_against(before: SchemaVersion, new: SchemaVersion) -> None:
    if new.compatibility == "none":
        return
    reader, writer = (new, before) if new.compatibility == "backward" else (before, new)
    found = incompatibilities(reader=reader.reader_schema, writer=writer.schema)
    if found:
        raise IncompatibleSchemaError(
            f"{new.topic} v{new.number} is not {new.compatibility} compatible with v{before.number} "
            f"({LEVELS[new.compatibility]}): {_list(found)}"
        )


def _list(found: list[Incompatibility]) -> str:
    return "; ".join(f"{each.path or 'payload'}: {each.reason} [{each.rule}]" for each in found)
