"""Apply records late, at their original positions, while the worker runs or not."""

from collections.abc import AsyncIterator, Sequence

from prom_faust.dlq.envelope import DeadLetter
from prom_faust.sink.event import Change
from prom_faust.sink.faust import Projection
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.replay.candidate import Candidate, Result, Verdict
from prom_faust.sink.replay.kafka import LookAhead, Source
from prom_faust.sink.replay.mongo import LateWriter
from prom_faust.sink.replay.outlook import Outlook
from prom_faust.sink.replay.tasks import CHUNK
from prom_faust.sink.verify.report import Progress

__all__ = ["replay"]


async def replay(
    projection: Projection,
    log: LogReader,
    source: Source,
    *,
    dry_run: bool = False,
    progress: Progress = lambda *_: None,
) -> AsyncIterator[Sequence[Result]]:
    """Apply records at their original positions, where nothing later has overtaken them.

    Args:
        projection: into which; its worker may run, and need not.
        log: reads the topic.
        source: gives the candidates; asked twice.
        dry_run: say what would become of them, and write nothing.
        progress: told how far it is.

    Yields:
        What became of each candidate, in the order of the source.

    Raises:
        UnreachableError: Kafka or MongoDB does not answer.
        ConfigurationError: the topic is missing.
    """
    with Outlook(versioned=projection.options.versioned) as outlook:
        ahead = LookAhead(projection, log, outlook, progress=progress)
        writer = LateWriter(projection, ahead, dry_run=dry_run)
        await ahead.open()
        await writer.open()
        await ahead.take_in(source)
        async for candidates in source():
            for start in range(0, len(candidates), CHUNK):
                if not dry_run:
                    await ahead.read_on()
                yield await _settle(candidates[start : start + CHUNK], ahead, writer)
                await writer.confirm()  # by now whoever asked has recorded what became of them


async def _settle(
    candidates: Sequence[Candidate | Result], ahead: LookAhead, writer: LateWriter
) -> list[Result]:
    """Apply a chunk; what became of each, in their order."""
    results: dict[int, Result] = {}
    allowed: dict[int, tuple[Candidate, Change]] = {}
    for index, one in enumerate(candidates):
        if isinstance(one, Result):
            results[index] = one
            continue
        change = ahead.judge(one)
        if isinstance(change, Result):
            results[index] = change
        elif (found := ahead.overtaken(one, change)) is not None:
            results[index] = found
        else:
            allowed[index] = one, change
    reached = await writer.apply([change for _, change in allowed.values()])
    for index, (one, change) in allowed.items():
        results[index] = _result(one, reached.get(change.n), writer.refusal(change))
    return [results[index] for index in range(len(candidates))]


def _result(candidate: Candidate, reached: Verdict | None, letter: DeadLetter | None) -> Result:
    if letter is not None:
        return Result(candidate, Verdict.REFUSED, letter.message, letter)
    if reached is None:
        return Result(candidate, Verdict.SUPERSEDED, "a newer state stands")
    refused = reached is Verdict.REFUSED
    return Result(
        candidate, reached, "another value stands at its position, and cannot be replaced" if refused else ""
    )
