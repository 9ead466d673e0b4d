"""``/ops/sinks``: how far every projection, batch agent and partitioned consumer is, and what it waits for. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.ops.board import Seen
from prom_faust.ops.groups import GroupState, PartitionProgress
from prom_faust.ops.status import SinkPartition, SinkStatus

__all__ = ["behind", "dead_letters_json", "sinks_json"]


def sinks_json(
    workers: Sequence[Seen], groups: Mapping[str, GroupState], letters: Mapping[str, int | None]
) -> list[dict[str, Any]]:
    """Every sink of the app, put together from what its workers say.

    Args:
        workers: what the workers say.
        groups: group to what Kafka says, as far as it has.
        letters: dead-letter topic to the letters on it.
    """
    shares: dict[str, list[tuple[str, SinkStatus]]] = {}
    for seen in workers:
        for sink in seen.status.sinks:
            if not seen.silent:
                shares.setdefault(sink.name, []).append((seen.status.worker, sink))
    return [_sink(shares[name], groups, letters) for name in sorted(shares)]


def _sink(
    shares: Sequence[tuple[str, SinkStatus]],
    groups: Mapping[str, GroupState],
    letters: Mapping[str, int | None],
) -> dict[str, Any]:
    about = shares[0][1]
    state = groups.get(about.group)
    measured = {
        each.partition: each for each in (state.partitions if state else ()) if each.topic == about.topic
    }
    owned = {part.partition: (worker, part) for worker, sink in shares for part in sink.partitions}
    partitions = [
        _partition(number, owned.get(number), measured.get(number)) for number in sorted({*owned, *measured})
    ]
    lags = [each["lag"] for each in partitions if each["lag"] is not None]
    waits = [(worker, sink.waiting) for worker, sink in shares if sink.waiting]
    stops = [(worker, sink.stopped) for worker, sink in shares if sink.stopped]
    dead = dlq_topic(about.topic)
    return {
        "name": about.name,
        "what": about.what,
        "topic": about.topic,
        "group": about.group,
        "state": _state(stops, waits, partitions),
        "waiting": [{"worker": worker, "for": reason} for worker, reason in waits],
        "stopped": [{"worker": worker, "reason": reason} for worker, reason in stops],
        "lag": sum(lags),
        "may_hold_deleted": any(each["may_hold_deleted"] for each in partitions),
        "in_flight": sum(sink.in_flight for _, sink in shares),
        "buffered": sum(sink.buffered for _, sink in shares),
        "counts": _sums(sink.counts for _, sink in shares),
        "dead_letters": {"topic": dead, "letters": letters.get(dead)},
        "partitions": partitions,
    }


def behind(part: SinkPartition, here: PartitionProgress | None) -> tuple[int | None, int]:
    """The end of a partition's log, and the records that are still to be done up to there.

    A lane knows the end as it was when it last read, and it does not read what is stuck, or what fills its buffers:
    there Kafka knows more. What it has caught up with it reads all the time.

    Args:
        part: what its worker says.
        here: what Kafka says, or None where it has not.
    """
    if here is None or here.end is None or (part.end is not None and (part.lag == 0 or here.end <= part.end)):
        return part.end, part.lag
    return here.end, max(here.end - part.done, part.lag)


def _state(stops: Sequence[Any], waits: Sequence[Any], partitions: Sequence[Mapping[str, Any]]) -> str:
    if stops:
        return "stopped"
    if any(each["problem"] for each in partitions):
        return "stuck"
    if waits:
        return "waiting"
    if any(each["worker"] is None for each in partitions):
        return "unowned"
    return "behind" if any(each["lag"] for each in partitions) else "up to date"


def _partition(
    number: int, owned: tuple[str, SinkPartition] | None, here: PartitionProgress | None
) -> dict[str, Any]:
    if owned is not None:
        worker, part = owned
        end, lag = behind(part, here)
        return {
            "partition": number,
            "worker": worker,
            "applied": part.done,
            "end": end,
            "lag": lag,
            "held": part.held,
            "problem": part.problem,
            "may_hold_deleted": part.may_hold_deleted,
        }
    return {
        "partition": number,
        "worker": None,
        "applied": here.committed if here else None,
        "end": here.end if here else None,
        "lag": here.lag if here else None,
        "held": 0,
        "problem": None,
        "may_hold_deleted": None,
    }


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def dead_letters_json(letters: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """Every dead-letter topic and the letters on it; None where Kafka has not said how many."""
    return [{"topic": topic, "letters": letters[topic]} for topic in sorted(letters)]
