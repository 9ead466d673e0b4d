"""Every error that prom_faust raises, in one tree.

    PromFaustError
    ├── ConfigurationError        a setting or a call is wrong: change the code or the environment
    │   ├── TopicError            a topic has the wrong partition count or cleanup policy, or is missing
    │   └── IndexConflictError    a collection has an index that differs from the one asked for
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
    ├── RevokedError              a partition was revoked while its batch was in flight
    ├── AgentCrashedError     R   an agent raised while it had a batch
    ├── NotSettledError       R   a sink has not yet applied what a verification would compare
    └── LocalStackError           the local stack could not do what was asked

R marks the errors for which trying again later can help (``retryable``).
"""

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "AgentCrashedError",
    "ConfigurationError",
    "DeadLetterError",
    "DecodeError",
    "DocumentError",
    "GroupExpiredError",
    "IndexConflictError",
    "KeyMismatchError",
    "LocalStackError",
    "LostHistoryError",
    "NotSettledError",
    "PartitionCountError",
    "PositionLostError",
    "PromFaustError",
    "RecordError",
    "RevokedError",
    "TopicError",
    "TopicRecreatedError",
    "UnreachableError",
    "VersionError",
    "WriteRejectedError",
]


class PromFaustError(Exception):
    """The root: catch this to catch everything that prom_faust raises on purpose."""

    retryable: ClassVar[bool] = False
    """Whether the same call can succeed later without any change."""


class ConfigurationError(PromFaustError):
    """A setting or a call is wrong; the message says what to change."""


class TopicError(ConfigurationError):
    """A topic is missing, or has the wrong partition count or cleanup policy."""


class IndexConflictError(ConfigurationError):
    """A collection already has an index of this name or key with other options."""


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


class RevokedError(PromFaustError):
    """The partition was revoked: its new owner reads the records again."""


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
