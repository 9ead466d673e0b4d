"""Faust's in-memory tables, without reading again what is in memory already.

Faust's own store remembers no offsets, and after each recovery it drops the copies of partitions that the worker does
not own. So a standby is never used: who takes a partition over reads its changelog from the beginning, and who keeps
one reads what it wrote itself since the last time. An adapter over private members of Faust 0.15; tables in RocksDB
have offsets of their own and are left alone.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

import faust
from faust.stores import memory
from faust.types import TP, EventT
from faust.types.stores import StoreT

from prom_faust.membership.lease.kafka import HeldQueue, Lease

__all__ = ["ChangelogQueue", "WarmStore", "keep_standbys", "warm_table"]


class WarmStore(memory.Store[Any, Any]):
    """A table's partitions in memory, and how far each of them is applied.

    An offset is kept only while it is certain: of the records before it none is missing here, unless compaction has
    removed it. After a write of our own this holds if it comes right after what was applied last; if another worker
    has written in between, the offset stays, and the next recovery reads from there.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._applied: dict[TP, int] = {}

    def persisted_offset(self, tp: TP) -> int | None:
        """The offset of the last record of a changelog partition that is in memory, or None."""
        return self._applied.get(tp)

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """A write of ours is in the changelog."""
        if offset == self._applied.get(tp, -1) + 1:
            self._applied[tp] = offset

    def apply_changelog_batch(
        self,
        batch: Iterable[EventT[Any]],
        to_key: Callable[[Any], Any],
        to_value: Callable[[Any], Any],
    ) -> None:
        """Take in records of the changelog."""
        events = list(batch)
        super().apply_changelog_batch(events, to_key, to_value)
        for event in events:
            tp, offset = event.message.tp, event.message.offset
            self._applied[tp] = max(offset, self._applied.get(tp, -1))

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop what this worker neither owns nor keeps a copy of."""
        kept = active_tps | standby_tps
        await super().on_recovery_completed(kept, set())
        for tp in self._applied.keys() - kept:
            del self._applied[tp]


class ChangelogQueue(HeldQueue):
    """The queue of what is read of changelogs. It keeps what has come for standbys.

    Faust lets records flow, then begins to read its standbys, and when its streams are ready lets records flow once
    more, which empties its queues. What had been read of the standbys by then is not read again: the copy lacks it
    for good, and whoever takes the partition over with it, too.

    Args:
        app: the app.
    """

    _queue: deque[Any]

    def __init__(self, *args: Any, app: faust.App, **kwargs: Any) -> None:
        self._app: Any = app
        super().__init__(*args, **kwargs)

    def clear(self) -> None:
        """Forget what is not of a standby of this generation: that is read again, or belongs to nobody here."""
        generation, standbys = self._app.consumer_generation_id, self._app.tables.recovery.standby_tps
        kept = [
            event
            for event in self._queue
            if event.message.generation_id == generation and event.message.tp in standbys
        ]
        if not kept:
            super().clear()
            return
        self._queue = deque(kept)  # who waits to put more goes on waiting


def keep_standbys(app: faust.App, lease: Lease) -> None:
    """Give the app's tables such a queue, before they are started."""
    cast(Any, app.tables)._changelog_queue = ChangelogQueue(  # noqa: SLF001 - where Faust keeps its own
        maxsize=app.conf.stream_buffer_maxsize,
        clear_on_resume=True,
        flow_control=cast(Any, app).flow_control,
        lease=lease,
        app=app,
    )


def warm_table(own: type[Any]) -> type[Any]:
    """The class of an app's tables, with warm stores where they are in memory."""

    class WarmTable(own):  # type: ignore[misc] # a class that is given
        """A Faust table that stays warm."""

        def _new_store_by_url(self, url: Any) -> StoreT[Any, Any]:
            store: StoreT[Any, Any] = super()._new_store_by_url(url)
            if type(store) is not memory.Store:
                return store
            return WarmStore(
                url,
                self.app,
                self,
                table_name=self.name,
                key_type=self.key_type,
                key_serializer=self.key_serializer,
                value_serializer=self.value_serializer,
                value_type=self.value_type,
                loop=self.loop,
                options=self.options,
            )

    WarmTable.__name__ = own.__name__  # it is shown in logs and in the names of services
    return WarmTable
