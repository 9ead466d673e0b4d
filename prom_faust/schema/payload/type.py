"""What a kind of payload type gives the registry."""

from collections.abc import Iterable
from typing import Any, Protocol

from prom_faust.exceptions import Failure
from prom_faust.schema.json import JSONSchema

__all__ = ["DumpError", "PayloadType"]


class DumpError(Exception):
    """A value has no JSON; ``failures`` says where and why."""

    def __init__(self, failures: Iterable[Failure]) -> None:
        self.failures = tuple(failures)
        super().__init__(self.failures)


class PayloadType(Protocol):
    """A registered type: how its values become JSON and come back.

    Attributes:
        cls: the class of its values, by which a value finds its version; None where values are plain JSON.
        writer: the schema of what it emits: the arbiter of a send.
        reader: the schema of what it accepts.
        certain: a schema, no wider than the writer's, whose every value is accepted; None where no schema can say
            so (dates, validators), and what is sent must be read once to know that it can be.
    """

    cls: type | None
    writer: JSONSchema
    reader: JSONSchema
    certain: JSONSchema | None

    def dump(self, value: Any, *, strict: bool = True) -> bytes:
        """The JSON of a value of the class.

        Args:
            value: the value.
            strict: whether a value that is not what its class says is an error.

        Raises:
            DumpError: it has none.
        """
        ...

    def load(self, data: bytes) -> Any:
        """The value of some JSON.

        Raises:
            DumpError: it is none; with every failing path.
        """
        ...
