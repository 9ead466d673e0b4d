"""What MongoDB said of each operation of a bulk write, put into classes that say what to do next."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["BAD_DATA", "DUPLICATE_KEY", "INFRASTRUCTURE", "Failure", "Verdict", "classify"]

DUPLICATE_KEY = 11000

INFRASTRUCTURE = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        13,  # Unauthorized: a role is being changed, the document is innocent
        18,  # AuthenticationFailed
        24,  # LockTimeout
        50,  # MaxTimeMSExpired
        63,  # StaleShardVersion
        64,  # WriteConcernTimeout
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        112,  # WriteConflict
        133,  # FailedToSatisfyReadPreference
        134,  # ReadConcernMajorityNotAvailableYet
        150,  # StaleEpoch
        175,  # QueryPlanKilled: another collection took the place of this one under it
        146,  # ExceededMemoryLimit
        189,  # PrimarySteppedDown
        202,  # NetworkInterfaceExceededTimeLimit
        234,  # RetryChangeStream
        262,  # ExceededTimeLimit
        317,  # ConnectionPoolExpired
        9001,  # SocketException
        10058,  # NotWritablePrimary, legacy
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11601,  # Interrupted: somebody killed the operation
        11602,  # InterruptedDueToReplStateChange
        13388,  # StaleConfig
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        14031,  # OutOfDiskSpace
        16500,  # throttled by a hosted service
    }
)
"""Codes that say nothing about the document: wait and send it again."""

BAD_DATA = frozenset(
    {
        2,  # BadValue
        9,  # FailedToParse
        14,  # TypeMismatch
        15,  # Overflow
        16,  # InvalidLength
        22,  # InvalidBSON
        28,  # PathNotViable
        52,  # DollarPrefixedFieldName
        53,  # InvalidIdField
        54,  # NotSingleValueField
        55,  # InvalidDBRef
        56,  # EmptyFieldName
        57,  # DottedFieldName
        66,  # ImmutableField
        121,  # DocumentValidationFailure
        171,  # CannotIndexParallelArrays
        10334,  # BSONObjectTooLarge
        16755,  # geo keys
        17280,  # KeyTooLong
        17419,  # resulting document too large
    }
)
"""Codes that another attempt cannot change: the document is bad."""


class Verdict(Enum):
    """What to do with an operation that failed."""

    KEY_TAKEN = "a document of this key stands: stale if a read shows it newer, else lost a race"
    PRESENT = "the document that an insert would make is there: it was delivered before"
    UNIQUE = "a value of another unique index is taken: it may be moving between keys"
    BAD_DATA = "MongoDB refuses the document"
    RETRY = "the server, not the document: send it again"
    UNKNOWN = "an unlisted code: send it again alone a few times, then it is bad data"


BY_FIELDS = {("_key",): Verdict.KEY_TAKEN, ("_id",): Verdict.PRESENT}
BY_NAME = {"_key_1": Verdict.KEY_TAKEN, "_id_": Verdict.PRESENT}
"""What a duplicate in one of the sink's own indexes means; in any other it is a unique value."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One operation's error.

    Attributes:
        index: the operation's place in its bulk.
        code: MongoDB's error code.
        message: MongoDB's message.
        verdict: what to do.
    """

    index: int
    code: int
    message: str
    verdict: Verdict


def classify(error: Mapping[str, Any]) -> Failure:
    """Classify one entry of a bulk write's ``writeErrors``.

    An E11000 on ``_key`` or ``_id`` is told from one on another unique index by ``keyPattern``; a server
    that sends none is read by the index name in the message.
    """
    code = int(error.get("code", 0))
    message = str(error.get("errmsg", ""))
    if code == DUPLICATE_KEY:
        verdict = _of_duplicate(error, message)
    elif code in INFRASTRUCTURE:
        verdict = Verdict.RETRY
    elif code in BAD_DATA:
        verdict = Verdict.BAD_DATA
    else:
        verdict = Verdict.UNKNOWN
    return Failure(index=int(error.get("index", 0)), code=code, message=message, verdict=verdict)


def _of_duplicate(error: Mapping[str, Any], message: str) -> Verdict:
    pattern = error.get("keyPattern")
    if isinstance(pattern, Mapping):
        return BY_FIELDS.get(tuple(pattern), Verdict.UNIQUE)
    # The first one only: what follows shows the value, which may hold anything.
    index = re.search(r"index: (?:\S*\$)?(\S+)", message)
    return BY_NAME.get(index[1], Verdict.UNIQUE) if index else Verdict.UNIQUE
