"""One batch in flight, seen through to its end however often the agent raises over it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

from prom_faust.backoff import Backoff
from prom_faust.exceptions import DeadLetterError, PromFaustError, RecordError, RevokedError
from prom_faust.lane.agent import Delivery
from prom_faust.lane.batch import Share
from prom_faust.lane.failure.policy import FOREVER, Policy, Verdict, counts, dead, halves
from prom_faust.lane.record import Record, TopicPartition
from prom_faust.logs import place

__all__ = ["Bury", "Flight", "FlightPlan"]

logger = logging.getLogger(__name__)

Shares = Mapping[TopicPartition, Share]
Give = Callable[[Shares], Awaitable[Delivery]]
"""Gives records to the agent; returns when it has done them, or has crashed, or was cancelled."""
Bury = Callable[[Record, RecordError], Awaitable[DeadLetterError | None]]
"""Publishes the dead letter of a record; gives the error with which that failed."""


class FlightPlan:
    """How the batches of a lane are seen through.

    Args:
        policy: what is done when the agent raises.
        bury: publishes dead letters; without it batches are sent again for ever.
        trouble: told why a batch in flight does not get on.
        landing: whether partitions are being given back, so that nothing new should begin.
        label: for logs.
    """

    def __init__(
        self,
        policy: Policy,
        bury: Bury | None,
        *,
        trouble: Callable[[Shares, PromFaustError], None],
        landing: Callable[[], bool],
        label: str,
    ) -> None:
        self.policy = policy
        self.bury = bury
        self.trouble = trouble
        self.landing = landing
        self.label = label


class Flight:
    """One batch. What is said of its records in the end stands in its shares, also where it was taken apart.

    Args:
        plan: how it is seen through.
        give: gives records to the agent.
    """

    def __init__(self, plan: FlightPlan, give: Give) -> None:
        self._plan = plan
        self._give = give

    def _verdict(self, error: BaseException, failures: int, shares: Shares, *, part: bool) -> Verdict:
        if self._plan.bury is None:
            return Verdict.AGAIN
        records = sum(len(share.records) for share in shares.values())
        return self._plan.policy.verdict(error, failures=failures, records=records, part=part)

    async def complete(self, shares: Shares, *, part: bool = False) -> bool:
        """See records through; False where they are ours no more, and nothing is to be said of them.

        Args:
            shares: the records.
            part: whether they are part of a batch that was taken apart.
        """
        backoff, failures = Backoff(), 0
        while _owned(shares):
            for share in shares.values():
                share.clear()
            delivery = await self._give(shares)
            if delivery.done.cancelled():
                return False
            crash = delivery.done.exception()
            if crash is None:
                return await self._bury_rejected(delivery, shares)
            error = crash.__cause__ or crash
            failures += counts(error)
            match self._verdict(error, failures, shares, part=part):
                case Verdict.APART:
                    logger.warning("%s: %s; the batch is taken apart", self._plan.label, crash)
                    return await self.complete_parts(shares, halves(shares))
                case Verdict.BURY:
                    record = next(iter(shares.values())).records[0]
                    return await self._bury(delivery, shares, record, dead(error, failures))
                case Verdict.STOP:
                    self._stop(shares, error)
                    return True
                case Verdict.AGAIN if _owned(shares):
                    delay = backoff.next()
                    logger.warning(
                        "%s: %s; the batch is sent again in %.1f s", self._plan.label, crash, delay
                    )
                    await self._wait(delivery, shares, PromFaustError(f"it comes again: {crash}"), delay)
        return False

    async def complete_parts(self, shares: Shares, parts: Iterable[Shares], *, part: bool = True) -> bool:
        """See records through part by part; False where they are ours no more.

        Args:
            shares: the records.
            parts: the same, divided; each partition's in their order.
            part: whether the parts are those of a batch that was taken apart.
        """
        for each in parts:
            rest: dict[TopicPartition, Share] = {}
            for name, share in each.items():
                whole = shares[name]
                # A partition that an earlier part put back is not gone on with; nor where one of its records is
                # held: its key's later ones must not come before it does.
                if whole.held:
                    whole.held |= {record.offset: "waits behind a held one" for record in share.records}
                elif whole.put_back is None:
                    rest[name] = share
            if self._plan.landing():
                for name, share in rest.items():
                    share.put_back = RevokedError(f"{name} is being given back")
            elif rest and not await self.complete(rest, part=part):
                return False
            for name, share in rest.items():
                shares[name].adopt(share)
        return _owned(shares)

    async def _bury_rejected(self, delivery: Delivery, shares: Shares) -> bool:
        for share in shares.values():
            for record in share.records:
                if record.offset in share.rejected and not await self._bury(
                    delivery, shares, record, share.rejected[record.offset]
                ):
                    return False
        return True

    async def _bury(self, delivery: Delivery, shares: Shares, record: Record, error: RecordError) -> bool:
        """Publish a letter, however long that takes; False where the record is ours no more."""
        backoff = Backoff()
        while self._plan.bury is not None and _owned(shares):
            failure = await self._plan.bury(record, error)
            if failure is None:
                return True
            logger.warning("%s: %s: tried again", self._plan.label, failure)
            await self._wait(delivery, shares, failure, backoff.next())
        return False

    async def _wait(self, delivery: Delivery, shares: Shares, error: PromFaustError, delay: float) -> None:
        self._plan.trouble(shares, error)
        delivery.batch.waiting = True
        await asyncio.sleep(delay)

    def _stop(self, shares: Shares, error: BaseException) -> None:
        for name, share in shares.items():
            offset = share.records[0].offset
            share.put_back = PromFaustError(f"it has stopped at offset {offset}: {error!r}")
            share.pause = FOREVER
            logger.error(
                "%s: %s has stopped at offset %d: %r",
                *(self._plan.label, name, offset, error),
                exc_info=error,
                extra={**place(name), "offset": offset},
            )


def _owned(shares: Shares) -> bool:
    return all(share.token.valid for share in shares.values())
