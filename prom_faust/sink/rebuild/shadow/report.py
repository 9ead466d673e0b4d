"""What a rebuild in a shadow has come to."""

from dataclasses import dataclass
from typing import Any

from prom_faust.sink.verify import Report

__all__ = ["Swapped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """The outcome of a rebuild in a shadow.

    Attributes:
        collection: the collection's name.
        shadow: the shadow's name; it stands only where the rebuild was not clean.
        report: what the verification of the shadow found; None where an earlier run's swap was only finished.
        begun: why it was begun anew, where an earlier run had left a shadow; or an empty text.
        resumed: whether an earlier run's shadow was gone on with, or its swap finished.
        records: records that were projected, those of earlier runs not counted.
        behind: records that were applied after the swap: for so many, readers saw an older state for a moment.
        behind_seconds: how long that took.
        lost: indexes and options of the replaced collection that the projection does not declare.
        seconds: how long all of it took.
    """

    collection: str
    shadow: str
    report: Report | None
    begun: str
    resumed: bool
    records: int
    behind: int
    behind_seconds: float
    lost: tuple[str, ...]
    seconds: float

    @property
    def done(self) -> bool:
        """Whether the collection is the new one; else the shadow is not equal to its topic, and stands."""
        return self.report is None or self.report.clean

    def as_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name not in {"report", "lost"}}
        report = None if self.report is None else self.report.as_json()
        return {"done": self.done, **fields, "lost": list(self.lost), "report": report}
