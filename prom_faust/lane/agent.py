"""The Faust agent that works on a lane's batches: listed in ``app.agents`` and supervised like any other.

A batch reaches the agent through a channel of its own, in memory. When the agent asks for the next batch, the one
before is done; when it crashes, the one it had fails, and the lane sends it again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, cast

import faust
from faust.channels import Channel
from mode import SupervisorStrategyT
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from prom_faust.exceptions import AgentCrashedError, ConfigurationError, RevokedError
from prom_faust.lane.batch import Batch

__all__ = ["BatchAgent", "BatchFun", "Deliveries", "Delivery", "DeliveryAgent"]

logger = logging.getLogger(__name__)

MAX_RESTARTS = 1_000_000.0

BatchFun = Callable[["Deliveries"], Awaitable[None]]
"""What a user writes: ``async def work(batches): async for batch in batches: ...``."""


class Delivery:
    """One batch on its way through the agent.

    Attributes:
        batch: the batch.
        done: resolved when the agent asks for the next one; fails with AgentCrashedError when it crashes.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._worker: asyncio.Task[Any] | None = None

    def begin(self, worker: asyncio.Task[Any] | None) -> None:
        """The agent took the batch; ``worker`` is what a cancellation has to stop."""
        self._worker = worker

    def finish(self) -> None:
        """The agent is done with the batch."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, reason: BaseException) -> None:
        """The agent crashed over the batch."""
        if not self.done.done():
            crash = AgentCrashedError(f"{type(reason).__name__}: {reason}")
            crash.__cause__ = reason
            self.done.set_exception(crash)

    def cancel(self) -> None:
        """Stop the work: the partitions are being revoked, or the worker shuts down."""
        if self._worker is not None and not self.done.done():
            self._worker.cancel()
        elif not self.done.done():
            self.done.cancel()


class BatchChannel(Channel[Any]):
    """A channel that no rebalance empties.

    Faust clears the queues of its channels whenever its own group rebalances; the lane has another group, and
    waits for what it has sent.
    """

    def __init__(self, app: faust.App, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._own: ThrowableQueue[Any] | None = None

    @property
    def queue(self) -> ThrowableQueue[Any]:
        """One queue for the channel and all its iterators."""
        root = self._root
        if isinstance(root, BatchChannel):
            return root.queue
        if self._own is None:
            self._own = ThrowableQueue(flow_control=FlowControlEvent(initially_suspended=False))
        return self._own

    async def put(self, value: Any) -> None:
        """Hand over one delivery."""
        await self.queue.put(value)

    def __str__(self) -> str:
        return "<batches>"


class DeliveryAgent(faust.Agent):
    """A Faust agent whose stream gives deliveries: what becomes of them is for its ``_run`` to say.

    Args:
        app: the Faust app.
        name: the agent's name.
        concurrency: how many actors it has.
    """

    def __init__(self, *, app: faust.App, name: str, concurrency: int = 1, **kwargs: Any) -> None:
        super().__init__(
            self._run, app=app, name=name, channel=BatchChannel(app), concurrency=concurrency, **kwargs
        )

    async def _run(self, stream: Any) -> None:
        raise NotImplementedError

    def _new_supervisor(self) -> SupervisorStrategyT:
        # mode ends the worker at the second crash within a hundredth of a second. A batch whose agent crashed is
        # sent again with a growing pause, which is limit enough.
        return self._get_supervisor_strategy()(
            max_restarts=MAX_RESTARTS,
            over=MAX_RESTARTS,
            replacement=self._replace_actor,
            loop=self.loop,
            beacon=self.beacon,
        )

    def _agent_label(self, name_suffix: str = "") -> str:
        return f"{type(self).__name__}{name_suffix}: {self.name}"

    async def deliver(self, delivery: Delivery) -> None:
        """Put one batch into the agent's channel."""
        await cast(BatchChannel, self.channel).put(delivery)


class BatchAgent(DeliveryAgent):
    """A Faust agent whose stream gives batches.

    Args:
        fun: ``async def work(batches)``, which iterates and does not yield.
        app: the Faust app.
        name: the agent's name.
        concurrency: how many batches, of different partitions, are worked on at once.
    """

    def __init__(
        self, fun: BatchFun, *, app: faust.App, name: str, concurrency: int = 1, **kwargs: Any
    ) -> None:
        if kwargs.get("sink"):
            raise ConfigurationError(f"agent {name}: a batch agent does not yield, so it takes no sink=")
        self.batch_fun = fun
        super().__init__(app=app, name=name, concurrency=concurrency, **kwargs)

    async def _run(self, stream: Any) -> None:
        iterator = aiter(stream)
        ended = False
        while not ended:
            deliveries = Deliveries(iterator)
            try:
                await self.batch_fun(deliveries)
                ended = deliveries.ended
                if not ended:
                    raise RuntimeError(f"agent {self.name} returned instead of asking for the next batch")  # noqa: TRY301
            except Exception as reason:
                # Begun again here and not by Faust: its supervisor overlooks who crashes while it restarts others,
                # for five seconds. Without a batch nobody else would make it pause.
                if not deliveries.fail(reason):
                    raise
                logger.exception("agent %s crashed, and begins again", self.name)
                if self._on_error is not None:
                    await self._on_error(self, reason)
            except BaseException as reason:
                deliveries.fail(reason)
                raise


class Deliveries:
    """The batches, as the agent's function iterates them: asking for the next one finishes the one before."""

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        self.ended = False
        self._iterator = iterator
        self._current: Delivery | None = None

    def __aiter__(self) -> "Deliveries":
        return self

    async def __anext__(self) -> Batch:
        if self._current is not None:
            self._current.finish()
            self._current = None
        while True:
            try:
                delivery: Delivery = await anext(self._iterator)
            except StopAsyncIteration:
                self.ended = True
                raise
            if not delivery.done.done():
                break
        delivery.begin(asyncio.current_task())
        self._current = delivery
        return delivery.batch

    async def cancellable(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the current batch's work in a task of its own, so that a revocation cancels it and not the agent."""
        task = asyncio.create_task(work)
        if self._current is not None:
            self._current.begin(task)
        try:
            await task
        except asyncio.CancelledError:
            agent = asyncio.current_task()
            if agent is not None and agent.cancelling():
                raise
            # Whoever cancelled it, its effects are unknown: it is not done.
            self.fail(RevokedError("the work on the batch was cancelled"))
        except RevokedError as error:
            self.fail(error)

    def fail(self, reason: BaseException) -> bool:
        """The current batch, if there is one, is not done: it comes again, here or at its partitions' new owner."""
        if self._current is not None:
            self._current.fail(reason)
        return self._current is not None
