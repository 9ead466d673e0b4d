"""How long silence may last. Pure: the time is an argument.

A process is silent only as long as somebody listens. After a worker has started, or has got a partition from
another worker, the heartbeats of the meantime are still unread; so silence counts from the last heartbeat or
from the moment when the worker began to listen, whichever is later. Processes that ended while no worker ran
expire all the same, counted from the restart.
"""

from dataclasses import dataclass
from typing import Literal

from agents.models import ProcessState

__all__ = ["Limits", "Verdict", "judge"]

Verdict = Literal["heard", "stale", "gone"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many seconds of silence make a process stale, and how many make it gone."""

    stale_after: float
    gone_after: float


def judge(state: ProcessState, *, now_ms: int, listening_since_ms: int, limits: Limits) -> Verdict:
    """What should become of a process: `heard` leaves it as it is.

    Example: with limits of 15 and 60 s, a process last seen at 100 s is left alone until 115 s, stale after
    that, and gone after 160 s. If its worker began to listen at 500 s, it is stale after 515 s and gone after
    560 s.
    """
    silent = (now_ms - max(state.last_seen_ts, listening_since_ms)) / 1000
    if silent > limits.gone_after:
        return "gone"
    if silent > limits.stale_after and state.status == "alive":
        return "stale"
    return "heard"
