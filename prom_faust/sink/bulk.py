"""How many documents one call reads or writes, so that MongoDB answers well before the deadline. Pure.

A server that is too slow for a full chunk would be sent the same one again and again, and work ever more for nothing.
"""

__all__ = ["BulkSize"]

SHARE = 0.25
"""Of the deadline: a call that takes longer makes the next ones smaller."""
GROWTH = 1.1
"""By how much the next one is larger. Several are in flight at once, and each that is answered makes it so."""


class BulkSize:
    """The size of the next call: smaller at once when one took too long, a little larger after one that did not.

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
        self._target = deadline * SHARE

    def answered(self, count: int, seconds: float) -> None:
        """A call for so many documents was answered after so long."""
        if seconds > self._target:
            self._shrink(count, seconds)
        else:
            self.value = min(self._most, int(GROWTH * self.value) + 1)

    def given_up(self, count: int, seconds: float) -> None:
        """A call for so many documents was not answered in all this time."""
        if seconds > self._target:
            self._shrink(count, seconds)

    def _shrink(self, count: int, seconds: float) -> None:
        self.value = max(1, min(self.value, int(count * self._target / seconds)))
