"""Shares change hands: everybody gives up what is no longer theirs before anybody gets something new."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from prom_faust.assignment.tasks import Hook, call

__all__ = ["Holder", "Hook", "OnError", "hand_over"]

logger = logging.getLogger(__name__)

OnError = Callable[[str, str, Exception], None]
"""Is called with the group, the member's name and the error of its hook."""


@dataclass(slots=True, eq=False)
class Holder:
    """Who holds a share, and how it is told of changes.

    Attributes:
        name: the member's name.
        on_assigned: is told what it gained.
        on_revoked: is told what it lost.
        share: the partitions that it has to give up before anybody else gets them.
        told: those of them of which it knows: where a hook was cut, that is not so until it is called again.
    """

    name: str
    on_assigned: Hook | None = None
    on_revoked: Hook | None = None
    share: frozenset[int] = field(default_factory=frozenset)
    told: frozenset[int] = field(default_factory=frozenset)


async def hand_over(
    group: str,
    shares: Mapping[Holder, frozenset[int]],
    *,
    present: Callable[[], Collection[Holder]],
    on_error: OnError | None,
) -> None:
    """Take every holder from the share that it has to another one.

    A hook that fails is reported, and counts as done: what it was told is true whether it liked it or not. Where
    the caller is cancelled, the next one goes on, and calls the hook that was at work again.

    Args:
        group: the group, for reports.
        shares: the shares to be; a holder that is gone has an empty one.
        present: the holders that are members at the moment: a hook may take its time, and one that has left
            meanwhile gets nothing new.
        on_error: is told of failures.
    """
    for holder, share in shares.items():
        if lost := holder.share - share:
            # Before the hook: if that is cut nobody can say what it has done with them.
            holder.told -= lost
            await _tell(group, holder, holder.on_revoked, lost, on_error)
            # After the hook, which may still be at work on them: until it is done nobody else gets them.
            holder.share -= lost
    for holder, share in shares.items():
        if holder in present() and (gained := share - holder.told):
            # Before the hook: whoever leaves while it runs has these to give up.
            holder.share |= gained
            await _tell(group, holder, holder.on_assigned, gained, on_error)
            holder.told |= gained


async def _tell(
    group: str, holder: Holder, hook: Hook | None, partitions: frozenset[int], on_error: OnError | None
) -> None:
    if hook is None:
        return
    try:
        await call(hook, partitions)
    except Exception as error:  # a user's hook may raise anything, and the others have to be told too
        logger.exception("group %s: a hook of member %s failed", group, holder.name)
        if on_error is not None:
            on_error(group, holder.name, error)
