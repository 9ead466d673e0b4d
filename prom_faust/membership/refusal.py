"""What a broker says to a worker that cannot be in a group, as one error that says what to do. Pure."""

from prom_faust.exceptions import DuplicateMemberError, GroupError

__all__ = ["duplicate", "refusal"]

REASONS = {
    "InconsistentGroupProtocolError": (
        "its other members offer no assignor that this worker offers. To get a running group from one to the other, "
        "deploy once with PROM_FAUST_ASSIGNOR=both, and then without"
    ),
    "InvalidSessionTimeoutError": (
        "the session timeout is outside of what the broker allows (group.min.session.timeout.ms, 6 s by default, to "
        "group.max.session.timeout.ms, 30 minutes)"
    ),
    "InvalidGroupIdError": "the broker does not take its name",
    "GroupAuthorizationFailedError": "the credentials do not allow it",
    "GroupMaxSizeReachedError": "it is full (group.max.size)",
    "UnsupportedVersionError": "the broker does not speak the protocol of client-side assignors",
}
"""Names of aiokafka's errors that the same join would give again, and what they mean."""

NAME = "Give every worker a name of its own (PROM_FAUST_WORKER_NAME, or consumer_group_instance_id)"


def refusal(group: str, error: BaseException) -> GroupError | None:
    """What an error of a group's coordinator means for a member, or None where trying again may help.

    Args:
        group: the consumer group.
        error: what aiokafka raised, which may have been wrapped.
    """
    said = f"{type(error).__name__} {error!r}"
    for name, reason in REASONS.items():
        if name in said:
            return GroupError(f"this worker cannot join group {group}: {reason}")
    if "FencedInstanceId" in said:
        return duplicate(group, "another worker has joined with its consumer_group_instance_id")
    return None


def duplicate(group: str, reason: str) -> DuplicateMemberError:
    """There are two workers with one name, and this one goes."""
    return DuplicateMemberError(f"this worker cannot stay in group {group}: {reason}. {NAME}")
