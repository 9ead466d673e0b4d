"""The pauses between attempts, for outages of any length: exponential, with full jitter, capped.

tenacity computes them; a class of its own because the waiting is done by loops that also watch for revocation.
"""

from tenacity import RetryCallState, Retrying, wait_random_exponential

__all__ = ["Backoff"]


class Backoff:
    """Jittered pauses: uniform between 0 and ``min(cap, base * 2**attempt)`` seconds.

    Source: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), the "full jitter" variant.

    Args:
        base: seconds of the first pause at most.
        cap: seconds of any pause at most.
    """

    def __init__(self, base: float = 0.2, cap: float = 10.0) -> None:
        self._wait = wait_random_exponential(multiplier=base, max=cap)
        self._state = RetryCallState(Retrying(), None, (), {})

    def next(self) -> float:
        """Seconds to pause before the next attempt."""
        delay = self._wait(self._state)
        self._state.attempt_number += 1
        return delay

    def reset(self) -> None:
        """An attempt succeeded."""
        self._state.attempt_number = 1
