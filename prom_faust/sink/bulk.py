"""How many documents one call reads or writes, so that MongoDB answers well before the deadline. Pure.

A server that is too slow for a full chunk would be sent the same one again and again, and work ever more for nothing.
"""

__all__ = ["FEW", "BulkSize"]

FAST = 0.25
"""Of the deadline: a call that is answered within it lets the next ones grow by a tenth."""
SLOW = 0.5
"""Of the deadline: within it they grow by a hundredth, for the time may be the distance's, not the size's."""
FEW = 10
"""An answer, however late, makes no call smaller than this. Only none at all does."""


class BulkSize:
    """The size of the next call: much smaller when one took too long, a little larger when one did not.

    Several are in flight at once, of several workers, and each that is answered lets the next one grow: so by little.

    Args:
        most: the most documents of a call.
        deadline: seconds within which one has to be answered.

    Attributes:
        value: how many the next one may have.

    Worked example: with a deadline of 10 s a bulk of 500 that was given up after 10 s is followed by one of 125. It
    takes 2 s, which is less than 2.5 s, so the next one has 138.
    """

    def __init__(self, most: int, *, deadline: float) -> None:
        self.value = most
        self._most = most
        self._fast, self._slow = deadline * FAST, deadline * SLOW

    def answered(self, count: int, seconds: float) -> None:
        """A call for so many documents was answered after so long."""
        if seconds <= self._fast:
            self._grow(1.1)
        elif seconds <= self._slow or self.value <= FEW:
            self._grow(1.01)
        else:
            self._shrink(count, seconds, least=FEW)

    def given_up(self, count: int, seconds: float) -> None:
        """A call for so many documents was not answered in all this time."""
        if seconds > self._fast:
            self._shrink(count, seconds, least=1)

    def _grow(self, factor: float) -> None:
        self.value = min(self._most, int(factor * self.value) + 1)

    def _shrink(self, count: int, seconds: float, *, least: int) -> None:
        fits = int(count * self._fast / seconds)
        self.value = min(self.value, max(least, fits))
