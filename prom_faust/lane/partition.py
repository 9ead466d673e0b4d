"""One assigned partition, as the lane keeps it: what is buffered, what is held, and how far a commit may go."""

from collections import deque
from collections.abc import Iterable

from prom_faust.exceptions import PromFaustError
from prom_faust.lane.batch import Share, Token
from prom_faust.lane.failure.policy import FOREVER
from prom_faust.lane.record import Record, record_size

__all__ = ["Partition"]


class Partition:
    """The state of one owned partition. Pure: time is an argument.

    Worked example: records 5..9 are pushed; ``take`` gives all; the agent holds 7; ``settle`` returns 7, the
    offset up to which a commit is safe. The next ``take`` gives 7 again, before 10.

    Args:
        token: ownership of the partition.
        hold_limit: the most held records before no new ones are taken.
        start: the offset from which it is read.
        topic_partitions: how many partitions the topic had when this one was assigned.
    """

    def __init__(self, token: Token, *, hold_limit: int, start: int = 0, topic_partitions: int = 0) -> None:
        self.token = token
        self.buffered_bytes = 0
        self.in_flight = False
        self.in_flight_bytes = 0
        self.served_at = 0.0
        self.polled_to = start
        self.dry_polls = 0
        self.topic_partitions = topic_partitions
        self.error: PromFaustError | None = None
        self.held_since: dict[int, float] = {}
        self._buffer: deque[Record] = deque()
        self._held: list[Record] = []
        self._hold_limit = hold_limit
        self._retry_at: float | None = None
        self._taken_from = -1
        self._taken_at = -1
        self._taken_to = -1

    @property
    def buffered(self) -> int:
        """Records read from Kafka and not yet taken."""
        return len(self._buffer)

    @property
    def held(self) -> int:
        """Records that come again with the next batch."""
        return len(self._held)

    @property
    def idle(self) -> bool:
        """Whether everything that was read of it is done."""
        return not (self._buffer or self._held or self.in_flight)

    @property
    def done(self) -> int:
        """The offset before which everything is done: that of the first record that is not."""
        waiting = [records[0].offset for records in (self._held, self._buffer) if records]
        if self.in_flight:
            waiting.append(self._taken_from)
        return min(waiting, default=self.polled_to)

    @property
    def stopped(self) -> bool:
        """Whether it does not go on by itself: its agent's policy is to stop at a record that it cannot do."""
        return self._retry_at == FOREVER

    @property
    def oldest(self) -> int | None:
        """The timestamp of the first record that is read and not done, in ms since the epoch; None without one."""
        times = [records[0].timestamp for records in (self._held, self._buffer) if records]
        if self.in_flight:
            times.append(self._taken_at)
        return min(times, default=None)

    @property
    def stuck(self) -> bool:
        """Whether reading more of it would not help: it was put back, or holds too much."""
        return self.error is not None or len(self._held) >= self._hold_limit

    def push(self, records: Iterable[Record]) -> None:
        """Add records as they were read."""
        self.dry_polls = 0
        for record in records:
            self._buffer.append(record)
            self.buffered_bytes += record_size(record)
            self.polled_to = record.offset + 1

    def ready_at(self, now: float) -> float | None:
        """When the partition next has something to do: ``now``, a later time, or None for never.

        A partition that was put back waits out its pause even if more records arrive.
        """
        if self.in_flight or not self.token.valid:
            return None
        waiting = self._retry_at is not None and now < self._retry_at
        if self._buffer and self.error is None and len(self._held) < self._hold_limit:
            return now
        if waiting:
            return self._retry_at
        return now if self._held or self._buffer else None

    def take(self, max_records: int, max_bytes: int) -> list[Record]:
        """Take the next records in order, held ones first; at least one, if there is any."""
        taken = self._held
        self._held = []
        size = sum(map(record_size, taken))
        if len(taken) < self._hold_limit:
            while self._buffer and len(taken) < max_records:
                step = record_size(self._buffer[0])
                if taken and size + step > max_bytes:
                    break
                record = self._buffer.popleft()
                taken.append(record)
                size += step
                self.buffered_bytes -= step
        if taken:
            self.in_flight = True
            self.in_flight_bytes = size
            self._taken_from = taken[0].offset
            self._taken_at = taken[0].timestamp
            self._taken_to = max(self._taken_to, taken[-1].offset)
        return taken

    def settle(self, share: Share, *, now: float, retry_after: float) -> int:
        """Take in what the agent said of the partition's share.

        Args:
            share: the share as the agent left it.
            now: monotonic seconds.
            retry_after: seconds until held or put back records come again, where the share says nothing else.

        Returns:
            The offset that may be committed: everything before it is done.
        """
        self.in_flight = False
        self.error = share.put_back
        since_offset = share.put_back_from or 0
        again: list[Record] = [
            record
            for record in share.records
            if record.offset in share.held or (share.put_back is not None and record.offset >= since_offset)
        ]
        self._held = again
        since = self.held_since
        # To be put back is not to be held: `unique_wait` bounds the age of a hold.
        self.held_since = {
            record.offset: since.get(record.offset, now)
            for record in again
            if record.offset in share.held or record.offset in since
        }
        pause = retry_after if share.pause is None else share.pause
        self._retry_at = now + pause if again else None
        return again[0].offset if again else self._taken_to + 1
