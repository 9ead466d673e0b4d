"""Remove the documents of deleted keys whose tombstones are gone: mark every key that the log has, sweep the others.

The log is read beside the lane, which goes on meanwhile: what it has applied needs no second writing, and what it has
not it is about to apply. Nothing here moves an offset or writes a document, so that this may end anywhere, and be
done again from the start by whoever owns the partitions then.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prom_faust.clock import milliseconds
from prom_faust.exceptions import RevokedError
from prom_faust.lane.partition import Partition
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.lane.service import Lane
from prom_faust.sink.decode import decoder
from prom_faust.sink.log.entry import key_of
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.mend import exactly, marker_in_place
from prom_faust.sink.mongo.collection import Collection
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.resync.gone import is_gone
from prom_faust.sink.resync.seen import SeenKeys

__all__ = ["Resync"]

logger = logging.getLogger(__name__)

ROUNDS = 2
"""How often the log is read to its end: a key that is written meanwhile may be cleaned away where it stood before."""
POLL_SECONDS = 0.25


@dataclass(slots=True)
class _Run:
    """One run over some partitions.

    Attributes:
        partitions: as the lane had each of them when this began.
        since: since when each may hold deleted keys, in ms since the epoch.
        until: the log's end of each when the reading began; documents of later records are not looked at.
        doubtful: partitions with keys that cannot be read now, and perhaps once could.
    """

    partitions: Mapping[TopicPartition, Partition]
    since: Mapping[TopicPartition, int]
    until: dict[TopicPartition, int] = field(default_factory=dict)
    doubtful: set[TopicPartition] = field(default_factory=set)


class Resync:
    """Looks after the partitions of which the lane has missed deletes.

    Args:
        options: the projection's options.
        collection: where the documents are.
        lane: reads the topic, and knows which partitions have lost what.
    """

    def __init__(self, options: ChangelogOptions, collection: Collection, lane: Lane) -> None:
        self._options = options
        self._collection = collection
        self._lane = lane
        self._decode = decoder(options)

    async def run(self) -> int:
        """Remove what the logs of the lost partitions owned here do not explain; returns how many documents.

        Raises:
            RevokedError: a partition was revoked meanwhile.
            KafkaError: Kafka does not answer.
            UnreachableError: Kafka or MongoDB does not answer.
        """
        if not self._lane.losses.since:
            return 0
        run = await self._begin()
        if not run.since:
            return 0
        with SeenKeys() as seen:
            ends = await self._mark(run, seen)
            await self._wait(run, ends)
            # Not a word of another log that has the name of this one.
            await self._lane.check_history()
            removed = await self._sweep(run, seen)
        await self._end(run, removed)
        return removed

    async def _begin(self) -> _Run:
        positions = await self._collection.positions.load_positions(self._options.topic)
        partitions: dict[TopicPartition, Partition] = {}
        since: dict[TopicPartition, int] = {}
        for name, partition in self._lane.partitions.items():
            position = positions.get(name.partition)
            if name in self._lane.losses.since and position is not None:
                if position.lost_since is None:
                    self._lane.losses.found(name)
                else:
                    partitions[name], since[name] = partition, position.lost_since
        return _Run(partitions, since)

    def _check(self, run: _Run) -> None:
        if self._lane.crashed or not all(each.token.valid for each in run.partitions.values()):
            raise RevokedError("partitions were revoked while their keys were read again")

    # -- mark ------------------------------------------------------------------------------------------------

    async def _mark(self, run: _Run, seen: SeenKeys) -> dict[TopicPartition, int]:
        """Remember every key of the logs; returns their ends, as they were when that was done."""
        names = list(run.since)
        async with LogReader(self._lane.clients) as log:
            read_to = await log.begins(names)
            for _ in range(ROUNDS):
                ends = await log.ends(names)
                run.until = run.until or ends
                async for records in log.read({name: (read_to[name], ends[name]) for name in names}):
                    self._check(run)
                    self._remember(run, seen, records)
                read_to = ends
            return await log.ends(names)

    def _remember(self, run: _Run, seen: SeenKeys, records: Sequence[Record]) -> None:
        name = TopicPartition(records[0].topic, records[0].partition)
        keys = [key_of(record, self._decode) for record in records]
        seen.add(name.partition, (key for key in keys if key is not None))
        # Text and JSON that is none never named a document; what a user's function refuses today may have.
        if callable(self._options.record_key) and None in keys:
            run.doubtful.add(name)

    async def _wait(self, run: _Run, ends: Mapping[TopicPartition, int]) -> None:
        """Wait until the lane has applied all that may have taken the place of what was read.

        Not where it holds records: the unique value that one waits for may be that of a document which has to go.
        """
        for name, end in ends.items():
            while await self._lane.applied(name) < end and not run.partitions[name].held_since:
                await asyncio.sleep(POLL_SECONDS)
                self._check(run)

    # -- sweep -----------------------------------------------------------------------------------------------

    async def _sweep(self, run: _Run, seen: SeenKeys) -> int:
        until = {name.partition: end for name, end in run.until.items() if name not in run.doubtful}
        removed = 0
        async for documents in self._collection.standing(self._options.topic, until):
            gone = [document for document in documents if is_gone(document, until, seen.has)]
            self._check(run)
            if gone:
                removed += await self._remove(gone)
        return removed

    async def _remove(self, documents: Sequence[Mapping[str, Any]]) -> int:
        now = milliseconds()
        return await self._collection.replace_exactly(
            [
                (
                    exactly(document),
                    marker_in_place(document["_key"], document["_src"], document.get("_v"), deleted_at=now),
                )
                for document in documents
            ]
        )

    async def _end(self, run: _Run, removed: int) -> None:
        self._check(run)
        await self._collection.positions.mark_found(
            self._options.topic, {name.partition: at for name, at in run.since.items()}
        )
        for name, at in run.since.items():
            if self._lane.losses.since.get(name) == at:
                self._lane.losses.found(name)
        logger.warning(
            "%s: the keys of %s were read again, and %d documents without one are removed",
            self._options.collection,
            _listed(run.since),
            removed,
        )
        if run.doubtful:
            logger.warning(
                "%s: there are record keys in %s that cannot be read: every document from there is kept. "
                "sink verify names those without a record",
                self._options.collection,
                _listed(run.doubtful),
            )


def _listed(names: Mapping[TopicPartition, int] | set[TopicPartition]) -> str:
    return ", ".join(map(str, sorted(names)))
