"""Every error that prom_faust raises, in one tree.

    PromFaustError
    ├── ConfigurationError        a setting or a call is wrong: change the code or the environment
    │   ├── TopicError            a topic has the wrong partition count or cleanup policy, or is missing
    │   │   └── RoutingMismatchError  its keys are not where its routing puts them
    │   ├── IndexConflictError    a collection has an index that differs from the one asked for
    │   ├── SchemaError           a schema or its registration is wrong
    │   │   └── IncompatibleSchemaError  a version cannot read, or be read by, the one before it
    │   ├── WebPortError          the address of the worker's web server cannot be had
    │   ├── AccessError           a server does not let the worker in: credentials, or certificates
    │   └── GroupError            the worker cannot be a member of its consumer group
    │       └── DuplicateMemberError  another worker has its name
    ├── SendRefusedError          a send was refused to its caller, and nothing was produced
    │   ├── PayloadInvalidError   its payload does not obey the topic's schema
    │   └── RecordKeyError        it has no key where one is needed, or two that differ
    ├── UnreachableError      R   a server did not answer within the time allowed
    ├── LostHistoryError          the log or the group is not the one that the sink stopped at
    │   ├── TopicRecreatedError   the topic was deleted and created again
    │   ├── PartitionCountError   the topic's partition count changed under a sink
    │   ├── GroupExpiredError     the consumer group lost its committed offsets
    │   └── PositionLostError     the database lost what was stored beside the data
    ├── RecordError               one record is bad; it belongs into the dead-letter queue
    │   ├── DecodeError           its bytes are not what the topic should hold
    │   ├── KeyMismatchError      its record key is missing or is not the key of its value
    │   ├── VersionError          it has no usable version
    │   ├── DocumentError         it maps to something that MongoDB cannot store
    │   └── WriteRejectedError    MongoDB refused it
    ├── DeadLetterError       R   a dead letter could not be published
    ├── NotToleratedError     R   a bad record stops its partition, as the sink's tolerance asks
    ├── FailureRateError      R   more of a sink's records are bad than it may dead-letter
    ├── RevokedError              a partition was revoked while its batch was in flight
    │   └── ProducerFencedError   another owner has its transactions, or Kafka has ended them
    ├── TransactionAbortedError R what a record sends could not be written, and nothing of it was
    ├── AgentCrashedError     R   an agent raised while it had a batch
    ├── NotSettledError       R   a sink has not yet applied what a verification would compare
    └── LocalStackError           the local stack could not do what was asked

R marks the errors for which trying again later can help (``retryable``).
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple

import click

__all__ = [
    "AccessError",
    "AgentCrashedError",
    "ConfigurationError",
    "DeadLetterError",
    "DecodeError",
    "DocumentError",
    "DuplicateMemberError",
    "Failure",
    "FailureRateError",
    "GroupError",
    "GroupExpiredError",
    "IncompatibleSchemaError",
    "IndexConflictError",
    "KeyMismatchError",
    "LocalStackError",
    "LostHistoryError",
    "NotSettledError",
    "NotToleratedError",
    "PartitionCountError",
    "PayloadInvalidError",
    "PositionLostError",
    "ProducerFencedError",
    "PromFaustError",
    "RecordError",
    "RecordKeyError",
    "RevokedError",
    "RoutingMismatchError",
    "SchemaError",
    "SendRefusedError",
    "TopicError",
    "TopicRecreatedError",
    "TransactionAbortedError",
    "UnreachableError",
    "VersionError",
    "WebPortError",
    "WriteRejectedError",
]


class PromFaustError(Exception):
    """The root: catch this to catch everything that prom_faust raises on purpose."""

    retryable: ClassVar[bool] = False
    """Whether the same call can succeed later without any change."""


class ConfigurationError(PromFaustError, click.ClickException):
    """A setting or a call is wrong; the message says what to change.

    Such errors are raised while an app's module is imported, and ``faust -A`` imports it from within click: for
    click the error is one line on stderr and exit code 1. Everywhere else it is an exception like any other.
    """

    def format_message(self) -> str:
        """The message in one line."""
        return " ".join(self.message.split())


class TopicError(ConfigurationError):
    """A topic is missing, or has the wrong partition count or cleanup policy."""


class RoutingMismatchError(TopicError):
    """The keys of a topic are not where its routing puts them: updates of a key would go to another partition."""


class IndexConflictError(ConfigurationError):
    """A collection already has an index of this name or key with other options."""


class SchemaError(ConfigurationError):
    """A schema, or its registration, is wrong."""


class IncompatibleSchemaError(SchemaError):
    """A version does not keep the compatibility that it declares; every place is named."""


class Failure(NamedTuple):
    """One place at which a payload does not obey its schema.

    Attributes:
        path: JSON pointer (RFC 6901) to it; empty for the whole payload.
        reason: what is wrong there.
    """

    path: str
    reason: str


class SendRefusedError(PromFaustError):
    """A send was refused: its caller gets this error, and nothing was produced."""


class PayloadInvalidError(SendRefusedError):
    """A payload does not obey its topic's schema.

    Attributes:
        topic: the topic.
        version: the version that it was checked against, or None where there is no such version.
        failures: every failing path, with the reason.
    """

    def __init__(self, topic: str, version: int | None, failures: Iterable[Failure]) -> None:
        self.topic = topic
        self.version = version
        self.failures = tuple(failures)
        found = "; ".join(f"{path or 'payload'}: {reason}" for path, reason in self.failures)
        super().__init__(f"{topic} v{version}: {found}" if version is not None else f"{topic}: {found}")


class RecordKeyError(SendRefusedError):
    """A record has no key on a topic that needs one, or an explicit key that differs from its payload's."""


class WebPortError(ConfigurationError):
    """The worker's web server cannot listen on its address: most often another worker does."""


class AccessError(ConfigurationError):
    """A server does not let the worker in: its credentials or certificates are not those of the other side."""


class GroupError(ConfigurationError):
    """The worker cannot be a member of its consumer group: the broker refuses it, and would every time."""


class DuplicateMemberError(GroupError):
    """Another worker of the group has the same name; of two, only one can have the homes of that name."""


class UnreachableError(PromFaustError):
    """A server did not answer within the time allowed."""

    retryable = True


class LostHistoryError(PromFaustError):
    """The log or the group is not the one at which the sink stopped; going on would be silently stale."""


class TopicRecreatedError(LostHistoryError):
    """The topic was deleted and created again: its offsets mean other records now."""


class PartitionCountError(LostHistoryError):
    """The partition count changed, so a key's records are no longer in one partition."""


class GroupExpiredError(LostHistoryError):
    """The sink has a stored position but its consumer group has no committed offset."""


class PositionLostError(LostHistoryError):
    """The consumer group has committed offsets but no position is stored: the database was emptied."""


class RecordError(PromFaustError):
    """One record is bad. It is published to the dead-letter queue, and the rest goes on."""


class DecodeError(RecordError):
    """The record's bytes are not what the topic should hold."""


class KeyMismatchError(RecordError):
    """The record has no key, or its key is not the key of its value."""


class VersionError(RecordError):
    """The version function gave something that is not a 64-bit integer."""


class DocumentError(RecordError):
    """The map gave something that MongoDB cannot store."""


class WriteRejectedError(RecordError):
    """MongoDB refused the document: validation, a unique index, its size."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class DeadLetterError(PromFaustError):
    """A dead letter could not be published; its partition waits."""

    retryable = True


class NotToleratedError(PromFaustError):
    """A bad record may not be dead-lettered, as the sink's ``tolerance`` asks; its partition waits before it."""

    retryable = True


class FailureRateError(PromFaustError):
    """More of the sink's last records are bad than ``max_failure_rate`` allows; their partitions wait."""

    retryable = True


class RevokedError(PromFaustError):
    """The partition was revoked: its new owner reads the records again."""


class ProducerFencedError(RevokedError):
    """The transactions of the partition are another owner's, or what became of the last one is not known."""


class TransactionAbortedError(PromFaustError):
    """What records send could not be written; the transaction was aborted, and they come again."""

    retryable = True


class AgentCrashedError(PromFaustError):
    """The agent raised or was cancelled while it had the batch; the lane sends it again."""

    retryable = True


class NotSettledError(PromFaustError):
    """The sink has not applied the records that were on the topic when the verification began.

    Attributes:
        lag: partition to records that are not applied.
    """

    retryable = True

    def __init__(self, message: str, *, lag: Mapping[int, int]) -> None:
        super().__init__(message)
        self.lag = dict(lag)


class LocalStackError(PromFaustError):
    """The local stack could not do what was asked; the message holds the reason and the log's end."""
