"""One version of a topic's schema: the arbiter of what may be sent under its number."""

from dataclasses import dataclass, field
from typing import Any, Literal

import jsonschema_rs

from prom_faust.exceptions import DecodeError, Failure, PayloadInvalidError
from prom_faust.schema.json import JSONSchema, failures, takes_null, validator
from prom_faust.schema.payload.plain import dump_json, load_json, not_finite
from prom_faust.schema.payload.type import DumpError, PayloadType

__all__ = ["Checked", "Compatibility", "SchemaVersion"]

Compatibility = Literal["none", "backward", "forward"]


class Checked(bytes):
    """Bytes that were checked; they carry the version that they obey, so that nobody checks them again.

    Attributes:
        topic: the topic for which they were checked.
        version: the version, or None where they do not obey and the topic's policy lets them pass.
    """

    topic: str
    version: "SchemaVersion | None"

    @classmethod
    def of(cls, data: bytes, topic: str, version: "SchemaVersion | None") -> "Checked":
        """Mark bytes."""
        checked = cls(data)
        checked.topic = topic
        checked.version = version
        return checked


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """A registered version.

    Attributes:
        topic: the topic; the subject is ``<topic>-value``.
        number: the version, in the header ``x-schema-version``.
        compatibility: what it promises towards the version before it.
        type: the type that was registered.
    """

    topic: str
    number: int
    compatibility: Compatibility
    type: PayloadType
    _certain: jsonschema_rs.Validator | None = field(init=False, repr=False, compare=False)
    _validator: jsonschema_rs.Validator = field(init=False, repr=False, compare=False)
    _takes_null: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_validator", validator(self.type.writer))
        certain = None if self.type.certain is None else validator(self.type.certain)
        object.__setattr__(self, "_certain", certain)
        object.__setattr__(self, "_takes_null", takes_null(self.type.writer))

    @property
    def subject(self) -> str:
        """The name under which a schema registry knows it."""
        return f"{self.topic}-value"

    @property
    def schema(self) -> JSONSchema:
        """The JSON Schema that a send must obey."""
        return self.type.writer

    @property
    def reader_schema(self) -> JSONSchema:
        """The JSON Schema of what is accepted on reading."""
        return self.type.reader

    def encode(self, value: Any) -> Checked:
        """The bytes of a value as they go on the wire, checked there.

        Bytes are checked and stay as they are; plain values are dumped as JSON; models by themselves.

        Raises:
            PayloadInvalidError: the value does not obey; every failing path is named.
        """
        try:
            data = self._dump(value)
            wire = load_json(data)
            if self._certain is None or not self._certain.is_valid(wire):
                if not self._validator.is_valid(wire):
                    raise self._refusal(self._why_not(value, wire))
                self.type.load(data)  # a class may refuse what its schema admits
            if self._takes_null and type(value) is not bytes and b"null" in data:
                hidden = tuple(not_finite(value))
                if hidden:
                    raise self._refusal(hidden)
        except DumpError as error:
            raise self._refusal(error.failures) from error
        return Checked.of(data, self.topic, self)

    def dump(self, value: Any) -> bytes:
        """The bytes of a value, unchecked.

        Raises:
            PayloadInvalidError: it has none.
        """
        try:
            return self._dump(value, strict=False)
        except DumpError as error:
            raise self._refusal(error.failures) from error

    def _dump(self, value: Any, *, strict: bool = True) -> bytes:
        kind = type(value)
        if kind is dict:
            return dump_json(value, strict=strict)
        if kind is self.type.cls or (self.type.cls is not None and isinstance(value, self.type.cls)):
            return self.type.dump(value, strict=strict)
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        return dump_json(value, strict=strict)

    def _why_not(self, value: Any, wire: Any) -> tuple[Failure, ...]:
        """What the schema says of the wire value; where a NaN became null, it is called by its name."""
        hidden = tuple(not_finite(value))
        named = {failure.path for failure in hidden}
        found = failures(self._validator, wire)
        return tuple(sorted({*hidden, *(failure for failure in found if failure.path not in named)}))

    def _refusal(self, found: tuple[Failure, ...]) -> PayloadInvalidError:
        return PayloadInvalidError(self.topic, self.number, found)

    def decode(self, data: bytes) -> Any:
        """The value of a record's bytes.

        Raises:
            DecodeError: they are none of this type.
        """
        try:
            return self.type.load(data)
        except DumpError as error:
            found = "; ".join(f"{path or 'value'}: {reason}" for path, reason in error.failures)
            name = self.type.cls.__name__ if self.type.cls else f"{self.topic} v{self.number}"
            raise DecodeError(f"not a {name}: {found}") from error
