"""Shares change hands: everybody gives up what is no longer theirs before anybody gets something new. Pure."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

__all__ = ["Holder", "Hook", "OnError", "hand_over"]

logger = logging.getLogger(__name__)

Hook = Callable[[frozenset[int]], Awaitable[Any] | Any]
"""Is called with the partitions that a member lost, or gained; sync or async."""
OnError = Callable[[str, str, Exception], None]
"""Is called with the group, the member's name and the error of its hook."""


@dataclass(slots=True, eq=False)
class Holder:
    """Who holds a share, and how it is told of changes.

    Attributes:
        name: the member's name.
        on_assigned: is told what it gained.
        on_revoked: is told what it lost.
        share: the partitions that it has been told to be its own.
    """

    name: str
    on_assigned: Hook | None = None
    on_revoked: Hook | None = None
    share: frozenset[int] = field(default_factory=frozenset)


async def hand_over(
    group: str,
    shares: Mapping[Holder, frozenset[int]],
    *,
    present: Callable[[], Collection[Holder]],
    on_error: OnError | None,
) -> None:
    """Take every holder from the share that it has to another one.

    A hook that fails is reported, and counts as done: what it was told is true whether it liked it or not.

    Args:
        group: the group, for reports.
        shares: the shares to be; a holder that is gone has an empty one.
        present: the holders that are members at the moment: a hook may take its time, and one that has left
            meanwhile gets nothing new.
        on_error: is told of failures.
    """
    for holder, share in shares.items():
        if lost := holder.share - share:
            await _tell(group, holder, holder.on_revoked, lost, on_error)
            # After the hook, which may still be at work on them: until it is done nobody else gets them.
            holder.share -= lost
    for holder, share in shares.items():
        if holder in present() and (gained := share - holder.share):
            # Before the hook: whoever leaves while it runs has these to give up.
            holder.share |= gained
            await _tell(group, holder, holder.on_assigned, gained, on_error)


async def _tell(
    group: str, holder: Holder, hook: Hook | None, partitions: frozenset[int], on_error: OnError | None
) -> None:
    if hook is None:
        return
    try:
        answer = hook(partitions)
        if isawaitable(answer):
            await answer
    except (
        Exception
    ) as error:  # a user's hook may raise anything, and the others have to be told all the same
        logger.exception("group %s: a hook of member %s failed", group, holder.name)
        if on_error is not None:
            on_error(group, holder.name, error)
