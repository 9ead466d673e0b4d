"""Measures a program that has no stopwatch within: from outside, by the collection that it fills.

The clock starts when a document is there, and stops when the collection is complete; the records of the documents
that the first look found do not count. Their reading and decoding lie before the clock, where the stopwatches of the
other paths have those of their first batch in their time: a difference in this program's favour. A look costs the
reading of one document per partition, 20 times a second.
"""

from dataclasses import dataclass, field
from typing import Any

from pymongo.collection import Collection

from benchmarks.measurement import Measurement, Meter
from benchmarks.settings import RunSettings
from benchmarks.workload import final, last_written

__all__ = ["Onlooker"]


@dataclass
class Onlooker:
    """Looks at a collection and, meanwhile, at the process that fills it.

    Args:
        run: the run.
        collection: what the process fills; it was empty at its start.
    """

    run: RunSettings
    collection: Collection[dict[str, Any]]
    _last: dict[str, int] = field(init=False)
    _size: int = field(init=False)
    _before: int = 0
    _meter: Meter | None = None

    def __post_init__(self) -> None:
        self._last = last_written(self.run.workload, self.run.records)
        self._size = len(final(self.run.workload, self.run.records))

    def look(self, pid: int) -> Measurement | None:
        """What the process ``pid`` took, or None as long as the collection is not complete."""
        if self._meter is None:
            self._before = self.collection.count_documents({})
            if self._before:
                self._meter = Meter(self.run.mongo_pid, pid)
                self._meter.start()
            return None
        self._meter.sample()
        documents = self.collection.find({"id": {"$in": list(self._last)}}, {"id": 1, "pid": 1})
        if {document["id"]: document["pid"] for document in documents} != self._last:
            return None
        # Counting takes a while, and the process may do something else by then.
        measurement = self._meter.stop(max(self.run.records - self._before, 1))
        return measurement if self.collection.count_documents({}) == self._size else None
