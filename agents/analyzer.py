"""Heartbeats become findings: a process that uses far more, or far less, CPU or memory than it is used to.

Each partition has one analyzer in the group, whichever worker that is, so a process's samples come to one model,
in order. Models and alarms are not kept across workers: whoever gets a partition begins to learn its processes anew
with the next heartbeats. A finding is noted when Kafka has it; a worker that dies in between says it again or, as
the next one has to learn first, not at all.
"""

from collections.abc import Collection
from importlib.util import find_spec
from typing import Any, cast

from agents.alarm import Alarms, Levels
from agents.app import PARTITIONS, app, findings, heartbeats, prom, settings
from agents.models import Finding, Heartbeat, ProcessId
from agents.pool import Pool
from prom_faust import PartitionedEvent
from prom_faust.exceptions import ConfigurationError

__all__ = ["analyze", "finding_of"]

MOST_PROCESSES = 128
"""Of one partition; a model takes 300 KB."""

if find_spec("river") is None:
    raise ConfigurationError('the analyzer needs river: pip install "prom-faust[agents]"')

pool = Pool(settings.analysis_processes, window=settings.analysis_window, limit=MOST_PROCESSES)
app.service(cast(Any, pool))  # an instance starts as a class does; Faust types the class only
alarms = Alarms(Levels(high=settings.finding_above, low=settings.finding_above / 2), limit=MOST_PROCESSES)


def keep(partitions: Collection[int]) -> None:
    """These partitions are ours; what we know of others is out of date when they come back."""
    pool.keep(partitions)
    alarms.keep(partitions)


@prom.partitioned_agent(
    heartbeats,
    group="analyzers",
    partitions=PARTITIONS,
    ttl=10.0,
    rebalance_every=2.5,
    on_assigned=keep,
)
async def analyze(event: PartitionedEvent) -> None:
    """Score every heartbeat; send a finding when the score gets high, and not again before it has been low.

    If it raises, because the pool or Kafka is away, the heartbeat comes again.
    """
    heartbeat: Heartbeat = event.value
    found = await pool.score(event.partition, event.key, cpu=heartbeat.cpu_pct, mem=heartbeat.mem_mb)
    news = alarms.judge(event.partition, event.key, found.score)
    if news is None or found.score is None:
        return
    if news == "raised":
        finding = finding_of(event, score=found.score, samples=found.samples)
        await (await findings.send(value=finding))
    alarms.note(event.partition, event.key, news)


def finding_of(event: PartitionedEvent, *, score: float, samples: int) -> Finding:
    """The finding that a heartbeat leads to."""
    return Finding(
        processId=ProcessId(event.key),
        score=round(score, 3),
        cpu_pct=event.value.cpu_pct,
        mem_mb=event.value.mem_mb,
        at=event.timestamp,
        samples=samples,
    )
