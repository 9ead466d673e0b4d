"""How far a rebuild in a shadow is, and what is to be done next, whatever cut the last run off. Pure.

The state is one document. Together with the question whether the shadow is there it tells every place at which a run
can end:

    state      shadow   the run ended                                    next
    none       absent   before it began, or when all was done            begin
    none       there    never: the collection is somebody else's         refuse
    reading    absent   before the shadow was made                       begin
    reading    there    while it was filled or verified, or not clean    resume
    swapping   there    after the intent, before the rename              resume
    swapping   absent   after the rename, before all was done            finish
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Found", "Phase", "Plan", "State", "Step", "lowest", "outlived", "plan"]


class Phase(Enum):
    """What a run was at when its state was stored."""

    READING = "reading"
    SWAPPING = "swapping"


class Found(Enum):
    """What stands under the shadow's name."""

    ABSENT = "absent"
    WHOLE = "whole"
    DAMAGED = "damaged"
    """A collection without the index that a shadow gets first."""


class Step(Enum):
    """What is to be done."""

    BEGIN = "begin"
    RESUME = "resume"
    FINISH = "finish"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class State:
    """A rebuild under way.

    Attributes:
        phase: what it was at.
        fingerprint: of the projection's options.
        since: milliseconds since the epoch: every record that was on the topic then is in the shadow, or, in the
            first round, none was read before.
        redo: partition to the position of the shadow at the latest when it was swapped in. What workers wrote
            behind it may be lost until the swap is finished.
    """

    phase: Phase
    fingerprint: str
    since: int
    redo: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and why an earlier run's shadow is not used, or an empty text."""

    step: Step
    reason: str = ""


def plan(
    state: State | None,
    found: Found,
    *,
    fingerprint: str,
    now: int,
    retention: int | None,
    lost: str | None = None,
    restart: bool = False,
) -> Plan:
    """Decide what a run does first.

    Args:
        state: what is stored, or None.
        found: what stands under the shadow's name.
        fingerprint: of the options of this run.
        now: milliseconds since the epoch.
        retention: milliseconds that the topic keeps tombstones, or None where it keeps no record for its key.
        lost: why the topic is not the one that the shadow was read from, or None.
        restart: whether the operator wants no earlier run's shadow.
    """
    if state is None:
        return Plan(Step.BEGIN if found is Found.ABSENT else Step.REFUSE)
    unusable = lost or outlived(state.since, now=now, retention=retention)
    if state.phase is Phase.SWAPPING and found is Found.ABSENT:
        # What the old collection had is gone: to catch up is right, however the options are now.
        return Plan(Step.BEGIN, unusable) if unusable else Plan(Step.FINISH)
    if found is Found.ABSENT:
        return Plan(Step.BEGIN)
    faults = (
        (found is Found.DAMAGED, "it has no index on _key"),
        (restart, "--restart was given"),
        (state.fingerprint != fingerprint, "the projection's options have changed"),
        (bool(unusable), unusable or ""),
    )
    reason = next((text for holds, text in faults if holds), None)
    return Plan(Step.RESUME) if reason is None else Plan(Step.BEGIN, reason)


def outlived(since: int, *, now: int, retention: int | None) -> str | None:
    """Why deletes may have been missed, or None.

    A tombstone stays for ``delete.retention.ms`` at least after the cleaner has removed the records before it. Who
    has read such a record and comes to the tombstone later than that may find none, and keeps the document.
    """
    if retention is None or now - since < retention:
        return None
    return (
        f"it is {(now - since) / 1000:,.0f} s behind and the topic keeps tombstones for {retention / 1000:,.0f} s "
        "(delete.retention.ms): deletes may have been missed"
    )


def lowest(redo: Mapping[int, int], at: Mapping[int, int]) -> dict[int, int]:
    """The lower offset of each partition: an earlier swap that was never finished still counts."""
    return {number: min(redo.get(number, offset), offset) for number, offset in {**redo, **at}.items()}
