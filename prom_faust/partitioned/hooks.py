"""A member's hooks, told of logical partitions; what they raise is reported, and ends nothing. Pure."""

import logging
from collections.abc import Iterable, Sequence

from prom_faust.assignment.tasks import Hook, call
from prom_faust.lane.record import TopicPartition

__all__ = ["Hooks", "tell"]

logger = logging.getLogger(__name__)


class Hooks:
    """Passes what a lane owns on to a user's hooks: its Kafka partitions are the logical ones.

    Kafka's group protocol takes everything back at every rebalance, and so does ``on_revoked``: what it names may
    be named by the ``on_assigned`` that follows, or go to another member.

    Args:
        group: for reports.
        on_assigned: the user's, or None.
        on_revoked: the user's, or None.
    """

    def __init__(self, group: str, on_assigned: Hook | None, on_revoked: Hook | None) -> None:
        self._group = group
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked

    async def assigned(self, names: Sequence[TopicPartition]) -> None:
        """These are owned now."""
        await tell(self._group, self._on_assigned, _numbers(names))

    async def revoked(self, names: Sequence[TopicPartition]) -> None:
        """These are given back."""
        await tell(self._group, self._on_revoked, _numbers(names))


async def tell(group: str, hook: Hook | None, partitions: frozenset[int]) -> None:
    """Call a hook, sync or async; a failing one is logged."""
    if hook is None:
        return
    try:
        await call(hook, partitions)
    except Exception:  # a user's function
        logger.exception("group %s: the hook %r failed over %s", group, hook, sorted(partitions))


def _numbers(names: Iterable[TopicPartition]) -> frozenset[int]:
    return frozenset(name.partition for name in names)
