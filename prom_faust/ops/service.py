"""The status topic at work: this worker's status is written again and again, and those of all others are read.

Neither may ever end the worker, or end before it: without Kafka they wait, with growing pauses, and say so once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from prom_faust.assignment.identity import worker_identity
from prom_faust.backoff import Backoff
from prom_faust.clients import Clients, LateProducer, close_consumer
from prom_faust.logs import Throttle
from prom_faust.ops.board import Board, Seen
from prom_faust.ops.clients import ClusterView
from prom_faust.ops.faust import Observer
from prom_faust.ops.status import TOPIC, WorkerStatus, decode, encode, key_of, worker_of

__all__ = ["StatusService", "steady_clock"]

logger = logging.getLogger(__name__)

WRITE_SECONDS = 5.0
OPEN_SECONDS = 5.0
PAUSE_CAP = 3.0
"""The longest pause. With an attempt that hangs, ten seconds after an outage the statuses are known again."""
GOODBYE_SECONDS = 1.0
POLL_SECONDS = 1.0
DEAF_INTERVALS = 10.0
"""After so many intervals without a status of anybody, our own included, the reader begins anew."""
STATUS = TopicPartition(TOPIC, 0)


class StatusService(Service):
    """Writes and reads the status topic.

    Args:
        clients: opens the Kafka clients.
        observer: looks at this worker.
        cluster: what Kafka says of the groups; closed when the service stops.
        interval: seconds between two statuses.

    Attributes:
        board: the last status of every worker.
        loop_of_app: the event loop that everything of the app runs in; None before the start.
        reads: whether anybody could look at the board: a worker without a web server needs none.
    """

    def __init__(
        self, clients: Clients, observer: Observer, cluster: ClusterView, *, interval: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.clients = clients
        self.observer = observer
        self.cluster = cluster
        self.interval = interval
        self._clock = steady_clock()
        self.board = Board(self._clock)
        self.reads = True
        self.loop_of_app: asyncio.AbstractEventLoop | None = None
        self._producer = LateProducer(clients, what="the status producer", close_timeout=GOODBYE_SECONDS)
        self._writing = asyncio.Lock()
        self._failing = False
        self._foreign = Throttle(time.monotonic)

    @property
    def label(self) -> str:
        """Shown in Faust's service graph."""
        return f"Status: {TOPIC}"

    async def on_start(self) -> None:
        """Remember the loop: requests may come from another thread."""
        self.loop_of_app = asyncio.get_running_loop()

    def workers(self) -> tuple[Seen, ...]:
        """Every worker of the app; this one as it is right now."""
        mine = self.observer.status()
        others = [seen for seen in self.board.workers() if seen.status.worker != mine.worker]
        return tuple(
            sorted([*others, Seen(mine, self._clock(), silent=False)], key=lambda seen: seen.status.worker)
        )

    # -- writing ---------------------------------------------------------------------------------------------

    @Service.task
    async def _write(self) -> None:
        backoff = Backoff(cap=PAUSE_CAP)
        while not self.should_stop:
            try:
                await self._publish(self.observer.status())
                for worker in self.board.forget():
                    await self._put(worker, None)
            except (KafkaError, OSError, TimeoutError) as error:
                self._failed(error)
                await self._producer.drop()
                await self.sleep(max(self.interval, backoff.next()))
            except Exception:  # what only shows the work must not end it
                logger.exception("this worker's status cannot be put together")
                await self.sleep(self.interval)
            else:
                if self._failing:
                    logger.warning("this worker's status is written again")
                self._failing = False
                backoff.reset()
                await self.sleep(self.interval)

    async def _publish(self, status: WorkerStatus) -> None:
        await self._put(status.worker, encode(status))

    async def _put(self, worker: str, value: bytes | None) -> None:
        async with self._writing:
            if self.should_stop and value is not None:
                return  # after the goodbye
            async with asyncio.timeout(WRITE_SECONDS):
                producer = await self._producer.get()
                app = str(self.clients.app.conf.id)
                await producer.send_and_wait(TOPIC, key=key_of(app, worker), value=value, partition=0)

    def _failed(self, error: BaseException) -> None:
        log = logger.info if self._failing else logger.warning
        log("this worker's status is not written, so the other workers do not see it: %r", error)
        self._failing = True

    # -- reading ---------------------------------------------------------------------------------------------

    @Service.task
    async def _read(self) -> None:
        backoff = Backoff(cap=PAUSE_CAP)
        while self.reads and not self.should_stop:
            consumer = self.clients.reader()
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    old = await self._open_reader(consumer)
                await self._follow(consumer, backoff, old)
            except (KafkaError, OSError, TimeoutError) as error:
                delay = backoff.next()
                logger.info("the workers' statuses are not read: %r; again in %.1f s", error, delay)
                await self.sleep(delay)
            finally:
                await close_consumer(consumer, what="the status reader", timeout=GOODBYE_SECONDS)

    @staticmethod
    async def _open_reader(consumer: AIOKafkaConsumer) -> int:
        """Begin at the topic's begin; returns its end: what is before that was written before."""
        await consumer.start()
        consumer.assign([STATUS])
        await consumer.seek_to_beginning(STATUS)
        ends: dict[TopicPartition, int] = await consumer.end_offsets([STATUS])
        return ends[STATUS]

    async def _follow(self, consumer: AIOKafkaConsumer, backoff: Backoff, old: int) -> None:
        heard = self.loop.time()
        while not self.should_stop:
            fetched = await consumer.getmany(STATUS, timeout_ms=int(POLL_SECONDS * 1000))
            for record in fetched.get(STATUS, ()):
                self._take(record, late=record.offset < old)
            if fetched:
                heard = self.loop.time()
                backoff.reset()
            elif self.loop.time() - heard > DEAF_INTERVALS * self.interval:
                raise TimeoutError(f"nothing was heard for {DEAF_INTERVALS * self.interval:g} s")

    def _take(self, record: Any, *, late: bool) -> None:
        worker = worker_of(str(self.clients.app.conf.id), record.key)
        if worker is None:
            return
        status = None if record.value is None else decode(record.value)
        if status is None and record.value is not None:
            if count := self._foreign.count():
                logger.info("%d records of %s are no status, now offset %d", count, TOPIC, record.offset)
            return
        self.board.put(worker, status, written_at=record.timestamp / 1000 if late else None)

    # -- the end ---------------------------------------------------------------------------------------------

    async def on_stop(self) -> None:
        """Say goodbye, so that nobody waits for this worker to be silent for long enough."""
        if not self._failing:
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._put(worker_identity(self.observer.app).name, None)
            except (KafkaError, OSError, TimeoutError) as error:
                logger.info("no goodbye: %r", error)
        await self._producer.close()
        await self.cluster.close()


def steady_clock() -> Callable[[], float]:
    """Seconds since the epoch that never go back: a clock that is set does not make others look silent."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()
