"""One window of changes -> one winner per key, and the guarded write that makes it so.

The guard is one field, because that is what an index on ``_key`` answers fast: a document at or above the write's
own place does not match, the upsert then runs into the unique ``_key`` (E11000), and a read decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from prom_faust.sink.event import Change
from prom_faust.sink.key import Key, key_value
from prom_faust.sink.order import Rank, Stored, outranks

__all__ = [
    "KeyPlan",
    "Write",
    "apart",
    "compare_and_set",
    "group",
    "guard",
    "needs_read",
    "plan_write",
    "renewal",
    "winner",
]


@dataclass(slots=True)
class KeyPlan:
    """What a window holds for one key.

    Attributes:
        key: the key.
        changes: its changes that are still in the running, by position.
    """

    key: Key
    changes: list[Change] = field(default_factory=list)

    def without(self, change: Change) -> "KeyPlan":
        """The plan after MongoDB refused a change as bad data."""
        return KeyPlan(self.key, [other for other in self.changes if other is not change])


@dataclass(frozen=True, slots=True)
class Write:
    """The write of one key: its winner, and the guard under which it may be applied.

    Attributes:
        plan: the key's plan, from which the next best is taken if the winner is refused.
        change: the winner.
        filter: MongoDB filter, with the guard.
        version: the version that is stored with it.
        exact: whether the guard is the very state that was read.
    """

    plan: KeyPlan
    change: Change
    filter: dict[str, Any]
    version: int | None
    exact: bool = False


def group(changes: Iterable[Change]) -> dict[Key, KeyPlan]:
    """Gather changes by key, each key's in the order of their positions."""
    plans: dict[Key, KeyPlan] = {}
    for change in changes:
        plan = plans.get(change.key)
        if plan is None:
            plan = plans[change.key] = KeyPlan(change.key)
        plan.changes.append(change)
    for plan in plans.values():
        if len(plan.changes) > 1:
            plan.changes.sort(key=_position)
    return plans


def apart(changes: Iterable[Change]) -> list[KeyPlan]:
    """A plan for every change: in an append-only projection none replaces another."""
    return [KeyPlan(change.key, [change]) for change in changes]


def _position(change: Change) -> int:
    return change.n


def needs_read(plan: KeyPlan, *, versioned: bool) -> bool:
    """Whether the winner depends on what is stored: a null that inherits its version does."""
    return versioned and any(change.deletes and change.version is None for change in plan.changes)


def winner(
    plan: KeyPlan, stored: Stored | None, *, versioned: bool
) -> tuple[Change, Rank, int | None] | None:
    """The change that should stand after this window, with its rank and the version stored with it.

    Args:
        plan: the key's changes by position; their latest wins without versions.
        stored: what a read showed, or None where nothing was read or nothing stands.
        versioned: whether versions decide.

    Returns:
        None where what is stored outranks every change.

    Worked example (versioned): v5 at 10, null at 11, v3 at 12. The null takes over version 5 and beats it; v3 is
    stale; the null is the winner, remembered with version 5.
    """
    best: tuple[Change, Rank, int | None] | None = None
    if not versioned and plan.changes:
        last = plan.changes[-1]  # the position decides, and they are in its order
        best = last, (last.n,), None
    for change in plan.changes if versioned else ():
        inherited = _highest_before(change, plan, stored)
        rank = change.rank(versioned=True, inherited=inherited)
        if best is None or rank > best[1]:
            best = change, rank, change.version if change.version is not None else inherited
    if best is None or not outranks(best[1], stored, versioned=versioned):
        return None
    return best


def _highest_before(change: Change, plan: KeyPlan, stored: Stored | None) -> int | None:
    """The highest version before a null in position: in the window, and in the document."""
    if not change.deletes or change.version is not None:
        return None
    versions = [other.version for other in plan.changes if other.n < change.n and other.version is not None]
    if stored is not None and stored.version is not None and (stored.n is None or stored.n < change.n):
        versions.append(stored.version)
    return max(versions, default=None)


def guard(change: Change, version: int | None, *, versioned: bool) -> dict[str, Any]:
    """The filter of an optimistic write: only an older document matches, and one that is not there."""
    key = key_value(change.key)
    if versioned and version is not None:
        return {"_key": key, "_v": {"$not": {"$gte": version}}}
    older = {"_key": key, "_src.n": {"$not": {"$gte": change.n}}}
    # A null that found no version must not replace one that came meanwhile: it would forget it.
    return {**older, "_v": {"$exists": False}} if versioned else older


def compare_and_set(change: Change, stored: Stored) -> dict[str, Any]:
    """The filter of a write that a read has decided: only the very state that was read matches."""
    if stored.n is None:
        # Without the field it is None, which in a filter stands for that, too.
        return {"_key": key_value(change.key), "_src": stored.foreign}
    return {
        "_key": key_value(change.key),
        "_src.n": stored.n,
        "_v": stored.version if stored.version is not None else {"$exists": False},
    }


def plan_write(plan: KeyPlan, stored: Stored | None, *, versioned: bool, exact: bool = False) -> Write | None:
    """The write for one key, or None where nothing is to be done.

    Args:
        plan: the key's changes.
        stored: what a read showed.
        versioned: whether versions decide.
        exact: guard by the state that was read instead of by order: where the one-field guard would refuse
            a write that the order allows (a tie of versions).
    """
    best = winner(plan, stored, versioned=versioned)
    if best is None:
        return None
    change, _, version = best
    if exact and stored is not None:
        return Write(plan, change, compare_and_set(change, stored), version, exact=True)
    return Write(plan, change, guard(change, version, versioned=versioned), version)


def renewal(plan: KeyPlan, stored: Stored | None) -> Write | None:
    """The write that lets a marker age anew whose tombstone comes once more; None where no such marker stands.

    A marker may go when no write of an older record can arrive any more. Records that come again are written again,
    so until its own record has come again too, a marker's age says nothing of them.

    Args:
        plan: the key's changes, all older than what is stored, or the same.
        stored: what a read showed.
    """
    if stored is None or not stored.deleted:
        return None
    for change in plan.changes:
        if change.deletes and change.n == stored.n:
            return Write(plan, change, compare_and_set(change, stored), stored.version, exact=True)
    return None
