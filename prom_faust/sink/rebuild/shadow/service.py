"""Rebuild one projection in a shadow, while workers run and readers read.

The topic is projected from its begin into a second collection, which is verified and then renamed over the first.
What workers wrote meanwhile went into the first one. So, after the rename, the topic is projected on from where the
shadow was to where the log ends then: every record after that end is one that the workers write after the rename.
Records that are written twice do no harm, for every write is guarded by its position.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from pymongo.errors import PyMongoError

from prom_faust.clients import Clients
from prom_faust.clock import milliseconds
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.exceptions import ConfigurationError, PromFaustError, UnreachableError
from prom_faust.kafka import ensure_topics
from prom_faust.sink.faust import Projection
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.rebuild.shadow.fingerprint import fingerprint
from prom_faust.sink.rebuild.shadow.kafka import Rounds, lost_history, tombstone_retention
from prom_faust.sink.rebuild.shadow.letters import Letters
from prom_faust.sink.rebuild.shadow.mongo import Shadow
from prom_faust.sink.rebuild.shadow.report import Swapped
from prom_faust.sink.rebuild.shadow.swap import Found, Phase, Plan, State, Step, lowest, outlived, plan
from prom_faust.sink.verify import Report, verify
from prom_faust.sink.verify.report import Progress
from prom_faust.topics import dead_letter_spec

__all__ = ["ShadowRebuild", "rebuild_in_shadow"]

T = TypeVar("T")

SILENCE_SECONDS = 10.0
BEATS = 5
"""Signs of life in the time after which a run counts as dead."""
FOLLOW_SECONDS = 0.5
"""Between two rounds while the shadow is verified."""
MARKER_MARGIN = 10 * 60_000
"""Milliseconds for the last rounds before the rename; for so much longer the shadow's markers stand."""


async def rebuild_in_shadow(
    projection: Projection,
    *,
    restart: bool = False,
    lose: bool = False,
    silence: float = SILENCE_SECONDS,
    progress: Progress | None = None,
) -> Swapped:
    """Build a projection's collection anew beside the one in use, verify it, and let it take that one's place.

    A run that was cut off, by ``kill -9`` too, is gone on with by the next one.

    Args:
        projection: what to rebuild; its workers may run. Their code should be that of this process: what they write
            with another map stays.
        restart: whether to begin anew where an earlier run has left a shadow.
        lose: whether indexes and options of the collection may be lost that the projection does not declare.
        silence: seconds without a sign of life after which another run of this rebuild counts as dead.
        progress: told how far it is.

    Raises:
        ConfigurationError: it cannot be done so; the message says what can.
        LostHistoryError: the workers could not go on with this topic.
        NotSettledError: the shadow could not follow the topic. Run it again: it goes on where it was.
        UnreachableError: Kafka or MongoDB does not answer. Run it again.
    """
    started = time.monotonic()
    async with LogReader(projection.clients) as log:
        run = ShadowRebuild(projection, log, progress=progress or _silent)
        try:
            await run.shadow.claim(silence)
            try:
                outcome = await _alongside(run.run(restart=restart, lose=lose), run.live(silence / BEATS))
            finally:
                with suppress(PromFaustError):
                    await run.shadow.release()
        except PyMongoError as error:
            raise UnreachableError(f"MongoDB refused a step of the rebuild: {error}. Run it again") from error
        finally:
            await run.close()
    return replace(outcome, seconds=round(time.monotonic() - started, 1))


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass


async def _alongside(work: Coroutine[Any, Any, T], other: Coroutine[Any, Any, None]) -> T:
    """Do the work; what goes on beside it ends with it, or ends it with an error."""
    main, beside = asyncio.create_task(work), asyncio.create_task(other)
    try:
        await asyncio.wait([main, beside], return_when=asyncio.FIRST_COMPLETED)
        if not main.done():
            beside.result()
        return await main
    finally:
        for task in (main, beside):
            task.cancel()
        await asyncio.wait([main, beside])


class ShadowRebuild:
    """One run, as steps that each leave a state from which the next run can go on.

    Args:
        projection: what to rebuild.
        log: reads its topic.
        progress: told how far it is.

    Attributes:
        shadow: the shadow and the rebuild's document.
    """

    def __init__(self, projection: Projection, log: LogReader, *, progress: Progress) -> None:
        options, settings = replace(projection.options, group=projection.group), projection.settings
        database = projection.collection.documents.database
        self.shadow = Shadow(database, options, deadline=settings.write_deadline)
        self._live = projection
        self._log = log
        self._progress = progress
        self._fingerprint = fingerprint(options)
        self._letters = Letters(options.topic)
        # What is verified is a projection like any other; its lane is never started.
        self._projection = Projection(
            projection.app, database, self.shadow.options, settings, Clients(projection.app)
        )
        self._rounds = Rounds(self._projection, self.shadow, log, self._letters, progress)
        self._retention: int | None = None
        self._state = State(Phase.READING, self._fingerprint, 0)
        self._lost: tuple[str, ...] = ()
        self._records = 0
        self._enough = asyncio.Event()

    async def close(self) -> None:
        """Close what was opened."""
        self._letters.close()
        await self._projection.publisher.close()

    async def live(self, every: float) -> None:
        """Give signs of life, for ever."""
        while True:
            await asyncio.sleep(every)
            with suppress(UnreachableError):
                await self.shadow.beat()

    async def run(self, *, restart: bool, lose: bool) -> Swapped:
        """All of it."""
        await self.check(lose=lose)
        todo = await self.plan(restart=restart)
        if todo.step is Step.REFUSE:
            name = self.shadow.options.collection
            raise ConfigurationError(
                f"there is a collection {name}, and no rebuild that has made it: remove it with "
                f'db.getCollection("{name}").drop()'
            )
        if todo.step is Step.FINISH:
            behind, took = await self.finish()
            if not restart and self._state.fingerprint == self._fingerprint:
                return self._outcome(None, todo, behind, took)
            # The collection is whole again; what was asked for is yet to be done.
            self._state = replace(self._state, redo={})
            todo = Plan(
                Step.BEGIN, "--restart was given" if restart else "the projection's options have changed"
            )
        await (self.resume() if todo.step is Step.RESUME else self.begin())
        await self.round()
        report = await self.verify()
        if not report.clean:
            return self._outcome(report, todo, 0, 0.0)
        await self.intend()
        await self.swap()
        return self._outcome(report, todo, *await self.finish())

    def _outcome(self, report: Report | None, todo: Plan, behind: int, took: float) -> Swapped:
        return Swapped(
            collection=self.shadow.name,
            shadow=self.shadow.options.collection,
            report=report,
            begun=todo.reason,
            resumed=todo.step in {Step.RESUME, Step.FINISH},
            records=self._records,
            behind=behind,
            behind_seconds=round(took, 3),
            lost=self._lost,
            seconds=0.0,
        )

    # -- what can be done ------------------------------------------------------------------------------------

    async def check(self, *, lose: bool) -> None:
        """Refuse what cannot come out right.

        Raises:
            ConfigurationError: it cannot be done so.
            LostHistoryError: the workers could not go on with this topic.
        """
        options = self._live.options
        if options.write == "set":
            raise ConfigurationError(
                f'{options.collection} is written with write="set": what other writers have added to its documents '
                "is not on the topic, so a new collection would not have it. Without --shadow, and with the "
                "workers stopped, the rebuild is done, and these fields are lost"
            )
        if options.collection_of is not None or await self._live.collection.targets.listed():
            raise ConfigurationError(
                f"{options.collection} has, or had, a collection for every answer of collection_of: no rename swaps "
                "them all in one moment. Without --shadow, and with the workers stopped, the rebuild is done"
            )
        stored = await self._live.collection.positions.load_positions(options.topic)
        fault = await lost_history(self._live, self._log, stored, rebuild=self._live.lane.rebuild)
        if fault is not None:
            raise fault
        self._lost = tuple(await self.shadow.losses())
        if self._lost and not lose:
            raise ConfigurationError(
                f"{options.collection} has what the projection does not declare, and the new collection would not: "
                f"{', '.join(self._lost)}. Declare the indexes with indexes=, or say --yes to lose these"
            )
        await ensure_topics(
            self._live.clients, [dead_letter_spec(dlq_topic(options.topic))], self._live.settings
        )
        self._retention = await tombstone_retention(self._live.clients, options.topic)

    async def plan(self, *, restart: bool = False) -> Plan:
        """What an earlier run has left, and what is to be done about it."""
        state, found = await self.shadow.load_state(), await self.shadow.found()
        lost = None
        if state is not None:
            self._state = state
            stored = await self.shadow.positions.load_positions(self.shadow.options.topic)
            lost = await lost_history(self._projection, self._log, stored)
            await self._rounds.resume(state.redo if found is Found.ABSENT else {})
        todo = plan(
            state,
            found,
            fingerprint=self._fingerprint,
            now=milliseconds(),
            retention=self._retention,
            lost=None if lost is None else str(lost),
            restart=restart,
        )
        if todo.step is Step.FINISH:
            self.shadow.write_to_live()
        return todo

    # -- the steps -------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Make the shadow anew.

        Its document comes first, so that it is never somebody else's; the new options come into it when the shadow
        that was made with others is gone.
        """
        self.shadow.write_to_shadow()
        await self._save(phase=Phase.READING)
        await self.shadow.remove()
        await self._save(fingerprint=self._fingerprint, since=milliseconds())
        await self.shadow.prepare()
        self._rounds.at = {}

    async def resume(self) -> None:
        """Go on with the shadow of an earlier run."""
        await self._save(phase=Phase.READING)

    async def _save(self, **changed: Any) -> None:
        self._state = replace(self._state, **changed)
        await self.shadow.save_state(self._state)

    async def round(self, stage: str | None = "reading the topic") -> int:
        """Apply what is on the topic now; returns how many records were read.

        Args:
            stage: what the progress says it is; None for nothing.

        Raises:
            ConfigurationError: tombstones may have been missed.
        """
        began = milliseconds()
        read = await self._rounds.catch_up(stage)
        self._records += read
        late = outlived(self._state.since, now=milliseconds(), retention=self._retention)
        if late is not None:
            raise ConfigurationError(
                f"the shadow of {self.shadow.name} cannot be kept: {late}. Let the topic keep tombstones for longer"
            )
        await self._save(since=began)
        return read

    async def verify(self) -> Report:
        """Compare the shadow with the topic, which it goes on to follow meanwhile."""
        self._enough.clear()
        follower = asyncio.create_task(self._follow())
        patience = self._live.settings.unique_wait + 30.0
        comparing = asyncio.create_task(verify(self._projection, wait=patience, progress=self._progress))
        try:
            await asyncio.wait([follower, comparing], return_when=asyncio.FIRST_COMPLETED)
            self._enough.set()
            # To the end of a round: a write that is given up could arrive after the rename.
            await follower
            return await comparing
        finally:
            for task in (follower, comparing):
                task.cancel()
            await asyncio.wait([follower, comparing])

    async def _follow(self) -> None:
        while not self._enough.is_set():
            await self.round(None)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), FOLLOW_SECONDS)

    async def intend(self) -> None:
        """Store from where records are to be applied again, should this run end after the rename."""
        now = milliseconds()
        await self.shadow.refresh_markers(now=now, until=now + MARKER_MARGIN)
        await self.round("catching up")
        await self._save(phase=Phase.SWAPPING, redo=lowest(self._state.redo, self._rounds.at))
        await self.round("catching up")

    async def swap(self) -> None:
        """Let the shadow take the collection's place.

        Raises:
            ConfigurationError: the shadow is not what it was, or cannot be renamed.
        """
        if await self.shadow.found() is not Found.WHOLE:
            raise ConfigurationError(f"{self.shadow.options.collection} was removed meanwhile")
        await self.shadow.rename()

    async def finish(self) -> tuple[int, float]:
        """Apply what workers wrote into the collection that was replaced; returns (records, seconds)."""
        began = time.monotonic()
        read = await self.round("finishing the swap")
        took = time.monotonic() - began
        await self.shadow.clear_state()
        return read, took
