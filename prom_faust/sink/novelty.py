"""Whether documents are likely new: then an insert does what a guarded upsert does, at a fifth of the cost. Pure.

An insert needs no guard but the unique index on ``_key``: where anything stands for the key it is refused, and the
write is sent again as an upsert, guarded, after a read. So nothing here can make a write wrong, only slow.
"""

__all__ = ["Novelty"]

MEMORY = 500
"""Documents after which what was seen before them counts no more."""
ENOUGH = 0.9
"""Share of new documents from which on inserts pay: a refused one costs a read beside the upsert."""


class Novelty:
    """The share of new documents among those written last.

    Worked example: a full bulk of 500 upserts finds that nothing stood for 480 of its keys. The share is 0.96, so the
    next bulk is inserted. Should 100 of that be refused, the share is 0.8, and the one after it is upserted again.
    """

    def __init__(self) -> None:
        self._share = 0.0

    @property
    def likely(self) -> bool:
        """Whether the next documents are likely to be new."""
        return self._share >= ENOUGH

    def saw(self, written: int, new: int) -> None:
        """Take account of one bulk.

        Args:
            written: documents in it, markers left out.
            new: those of them for whose keys nothing stood.
        """
        if written:
            self._share += min(written / MEMORY, 1.0) * (new / written - self._share)
