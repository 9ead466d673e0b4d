"""The processes that score, seen from the worker: begun when they are needed, replaced when they die.

A partition's models live in one process, so its samples all go there. Its processes do not outlive the worker, not
even a killed one: their stdin ends with it. A dead process takes its models with it and nothing else, for the
sample is asked again of its successor.
"""

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from mode import Service

__all__ = ["Pool", "Score", "Scorer", "ScorerDiedError"]

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_name("anomaly.py")
ANSWER_SECONDS = 30.0
"""A process that has not answered by then is stuck; its start, which loads the library, is part of it."""
END_SECONDS = 2.0


class ScorerDiedError(Exception):
    """A process of the pool ended before it answered. A retry helps."""


@dataclass(frozen=True, slots=True)
class Score:
    """What is said of a sample.

    Attributes:
        score: 0 (as usual) to 1; None as long as too little is known of its process.
        samples: how many samples of the process its model has seen.
    """

    score: float | None
    samples: int


@dataclass(slots=True)
class _Run:
    """One life of a process. It answers in the order in which it was asked."""

    process: Process
    waiting: deque[asyncio.Future[Any]] = field(default_factory=deque)
    ended: bool = False

    def write(self, request: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None  # noqa: S101 - it was begun with pipes
        self.process.stdin.write(orjson.dumps(request, option=orjson.OPT_APPEND_NEWLINE))

    async def read(self) -> None:
        """Hand out its answers until it ends, and let nobody wait for more."""
        assert self.process.stdout is not None  # noqa: S101 - it was begun with pipes
        try:
            async for line in self.process.stdout:
                answer = self.waiting.popleft()
                if not answer.done():  # whoever asked may have gone
                    answer.set_result(orjson.loads(line))
        finally:
            self.ended = True
            for answer in self.waiting:
                if not answer.done():
                    answer.set_exception(ScorerDiedError(f"process {self.process.pid} has ended"))


class Scorer:
    """One process of the pool, or the next one after it.

    Args:
        arguments: of the script.
        answer_seconds: how long an answer may take before the process counts as stuck.
    """

    def __init__(self, *arguments: object, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._command = [sys.executable, "-P", str(SCRIPT), *map(str, arguments)]
        self._answer_seconds = answer_seconds
        self._beginning = asyncio.Lock()
        self._run: _Run | None = None
        self._reading: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return None if self._run is None or self._run.ended else self._run.process.pid

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Ask, and begin the process first if there is none.

        Raises:
            ScorerDiedError: it ended, or got stuck and was killed.
        """
        run = await self._running()
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        run.waiting.append(answer)
        run.write(request)
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await answer
        except TimeoutError:
            _kill(run.process)
            raise ScorerDiedError(
                f"process {run.process.pid} gave no answer for {self._answer_seconds:g} s"
            ) from None

    def tell(self, **request: Any) -> None:
        """Say what needs no answer; a process that does not run needs not know."""
        if self._run is not None and not self._run.ended:
            self._run.write(request)

    async def stop(self) -> None:
        """End the process; what it has not answered by then is not answered any more."""
        self._stopped = True
        async with self._beginning:
            if self._run is not None:
                await self._end(self._run)

    async def _running(self) -> _Run:
        async with self._beginning:
            if self._stopped:
                raise ScorerDiedError("the pool has stopped")
            if self._run is not None and self._run.ended:
                logger.warning("process %d of the pool has died, with its models", self._run.process.pid)
                await self._end(self._run)
                self._run = None
            if self._run is None:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=PIPE,
                    stdout=PIPE,
                    start_new_session=True,  # Ctrl-C is for the worker
                )
                self._run = _Run(process)
                self._reading = asyncio.create_task(self._run.read())
            return self._run

    async def _end(self, run: _Run) -> None:
        if run.process.stdin is not None:
            run.process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await run.process.wait()
        except TimeoutError:
            _kill(run.process)
            await run.process.wait()
        if self._reading is not None:
            await self._reading


class Pool(Service):
    """Scores samples in processes of its own, so that the worker's event loop has nothing to compute.

    Args:
        processes: how many.
        window: samples per window of a model.
        limit: models per partition.
    """

    def __init__(self, processes: int, *, window: int, limit: int, **kwargs: Any) -> None:
        self.scorers = [Scorer(window, limit) for _ in range(processes)]
        super().__init__(**kwargs)

    async def score(self, partition: int, key: str, *, cpu: float, mem: float) -> Score:
        """Score a sample of a process and learn it; if its process of the pool dies over it, ask the next one.

        Raises:
            ScorerDiedError: that one died as well.
        """
        scorer = self.scorers[partition % len(self.scorers)]
        with suppress(ScorerDiedError):
            return Score(**await scorer.ask(partition=partition, key=key, cpu=cpu, mem=mem))
        return Score(**await scorer.ask(partition=partition, key=key, cpu=cpu, mem=mem))

    def keep(self, partitions: Iterable[int]) -> None:
        """Drop the models of all other partitions."""
        kept = sorted(partitions)
        for scorer in self.scorers:
            scorer.tell(keep=kept)

    async def on_stop(self) -> None:
        """End the processes."""
        await asyncio.gather(*(scorer.stop() for scorer in self.scorers))


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
