"""Where a worker starts: at the stored positions, and before them where a rebuild was cut off in its swap."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from prom_faust.lane.freshness import Synced
from prom_faust.lane.history import Position
from prom_faust.sink.mongo.positions import Positions

__all__ = ["Starts"]

logger = logging.getLogger(__name__)


class Starts:
    """The positions of a collection, as the lane and the sweeps may count on them.

    What was written between the position that a new collection had and the one that is stored here may have gone
    into the collection that it replaced. To write it twice is harmless, for every write is guarded by its position.

    Args:
        positions: the projection's.
    """

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._said = False

    async def load_positions(self, topic: str) -> Mapping[int, Position]:
        """Partition number to position."""
        stored = await self._positions.load_positions(topic)
        redo = await self._positions.load_redo(topic)
        lowered = {
            number: replace(stored[number], applied=offset)
            for number, offset in redo.items()
            if number in stored and offset < stored[number].applied
        }
        if lowered and not self._said:
            name = self._positions.name
            logger.warning(
                "sink %s: a rebuild is in its swap, or was cut off in it; a start reads %d partitions from before "
                "it. If it runs no more, run it again: sink rebuild %s --shadow",
                *(name, len(lowered), name),
            )
        self._said = bool(lowered)
        return stored | lowered

    async def store_positions(self, topic: str, positions: Mapping[int, Position], *, now: int) -> None:
        """Store positions, never backwards."""
        await self._positions.store_positions(topic, positions, now=now)

    async def mark_lost(self, topic: str, lost: Mapping[int, Synced]) -> None:
        """Flag partitions of which deletes may have been lost, see ``Positions.mark_lost``."""
        await self._positions.mark_lost(topic, lost)

    async def keep_synced(self, topic: str, synced: Mapping[int, Synced]) -> None:
        """Store up to when all is applied, see ``Positions.keep_synced``."""
        await self._positions.keep_synced(topic, synced)
