"""The versions of one topic's values, and which of them a value is sent as. Pure."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from prom_faust.exceptions import DecodeError, Failure, PayloadInvalidError
from prom_faust.schema.header import OpenHeaders, schema_version
from prom_faust.schema.version import Checked, SchemaVersion

__all__ = ["Policy", "Subject", "Subjects"]

Policy = Literal["off", "warn", "enforce"]


@dataclass(slots=True)
class Subject:
    """The versions of one topic's values.

    Attributes:
        topic: the topic.
        policy: what happens to a payload that does not obey: ``enforce`` refuses it, ``warn`` logs it, ``off``
            does not look.
        versions: by number, rising.
        latest: the highest version: that of plain values, and the one that reads.
        passed: how many payloads did not obey, and were sent all the same.
    """

    topic: str
    policy: Policy = "enforce"
    versions: dict[int, SchemaVersion] = field(default_factory=dict)
    latest: SchemaVersion = field(init=False)
    passed: int = 0
    _by_class: dict[type, SchemaVersion] = field(default_factory=dict)

    def add(self, version: SchemaVersion) -> None:
        """Add a version, higher than every one before."""
        self.versions[version.number] = self.latest = version
        if version.type.cls is not None:
            self._by_class[version.type.cls] = version

    def version_of(self, value: Any, headers: OpenHeaders) -> SchemaVersion:
        """The version under which a value is sent.

        That is the one which its headers name, else that of its class, else the latest.

        Raises:
            PayloadInvalidError: the headers name none that is registered.
        """
        try:
            named = schema_version(headers)
        except DecodeError as error:
            raise PayloadInvalidError(self.topic, None, [Failure("", str(error))]) from error
        if named is None:
            if type(value) is Checked and value.topic == self.topic and value.version is not None:
                return value.version
            return self._by_class.get(type(value)) or self.latest
        if named not in self.versions:
            known = ", ".join(map(str, self.versions))
            reason = f"version {named} is not registered (there are: {known}); without the header the latest is taken"
            raise PayloadInvalidError(self.topic, named, [Failure("", reason)])
        return self.versions[named]


class Subjects(Protocol):
    """What those who send and read ask of a registry."""

    def find(self, topic: str) -> Subject | None:
        """The versions of a topic, or None where nothing is registered."""
        ...
