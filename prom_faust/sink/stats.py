"""What a sink has done since its worker started."""

from dataclasses import dataclass

__all__ = ["SinkStats"]


@dataclass(slots=True)
class SinkStats:
    """Counters since the worker started, for operators. They never go down.

    Attributes:
        records: records done: applied, needless, stale or dead-lettered.
        writes: documents and markers written.
        coalesced: records that a later one of their key made needless.
        stale: writes that a newer state had overtaken.
        dead: records dead-lettered.
        retries: attempts that were repeated.
        outage: the last error of an outage that lasts, or None.
    """

    records: int = 0
    writes: int = 0
    coalesced: int = 0
    stale: int = 0
    dead: int = 0
    retries: int = 0
    outage: str | None = None
    _outage_began: float = 0.0
    _outage_seconds: float = 0.0

    def outage_begins(self, error: str, now: float) -> bool:
        """The server does not answer, at a monotonic time in seconds; whether that is new."""
        began = self.outage is None
        if began:
            self._outage_began = now
        self.outage = error
        return began

    def outage_ends(self, now: float) -> bool:
        """The server answers; whether that is new."""
        ended = self.outage is not None
        if ended:
            self._outage_seconds += now - self._outage_began
        self.outage = None
        return ended

    def outage_seconds(self, now: float) -> float:
        """How long the server was away, all in all and up to now."""
        return self._outage_seconds + (now - self._outage_began if self.outage is not None else 0.0)
