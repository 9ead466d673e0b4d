"""A value on its way out: tombstone or checked bytes, and the header that names the version."""

import logging
from typing import Any

from prom_faust.exceptions import PayloadInvalidError
from prom_faust.schema.header import OpenHeaders, reread, with_version, without_version
from prom_faust.schema.subject import Subject
from prom_faust.schema.tombstone import is_deleted, is_tombstone
from prom_faust.schema.version import Checked

__all__ = ["Outgoing", "is_passed", "outgoing"]

logger = logging.getLogger(__name__)

OTHER_BYTES = (bytearray, memoryview)
Outgoing = tuple[bytes | None, OpenHeaders]


def outgoing(subject: Subject, value: Any, headers: OpenHeaders, *, compacted: bool) -> Outgoing:
    """What is produced for a value: its bytes, or None for a tombstone, and the headers.

    On a compacted topic None, the bytes ``null`` and a body with ``_deleted: true`` are tombstones, and no
    version is claimed for them. Everything else obeys a version, which the header names.

    Raises:
        PayloadInvalidError: the value does not obey, and the policy is to enforce.
    """
    if type(value) in OTHER_BYTES:
        value = bytes(value)
    headers = reread(headers)
    if compacted and _is_tombstone(value):
        return (subject.latest.dump(value) if isinstance(value, dict) else value), without_version(headers)
    try:
        version = subject.version_of(value, headers)
        return version.encode(value), with_version(headers, version.number)
    except PayloadInvalidError as error:
        if subject.policy == "enforce":
            raise
        data = subject.latest.dump(value)
        subject.passed += 1
        if (
            subject.passed.bit_count() == 1
        ):  # the 1st, 2nd, 4th, 8th and so on: a flood must not flood the log
            places = ", ".join(dict.fromkeys(path or "payload" for path, _ in error.failures))
            logger.warning(
                "sent all the same, for the policy of the topic is to warn: %s v%s: %s (%d so far)",
                *(subject.topic, "?" if error.version is None else error.version, places, subject.passed),
                extra={"topic": subject.topic},
            )
        return Checked.of(data, subject.topic, None), without_version(headers)


def _is_tombstone(value: Any) -> bool:
    if isinstance(value, dict):
        return is_deleted(value)
    return value is None or (isinstance(value, bytes) and is_tombstone(value))


def is_passed(subject: Subject, value: Any, named: int | None) -> bool:
    """Whether a value was checked for this subject before, under the version that its headers name."""
    if type(value) is not Checked or value.topic != subject.topic:
        return False
    if value.version is None:
        return named is None and subject.policy != "enforce"
    return value.version.number == named and subject.versions.get(named) is value.version
