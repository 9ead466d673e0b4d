"""Whether a worker is ready: it is a member of its groups, its tables are there, and its lanes get on. Pure."""

from collections.abc import Callable, Iterable, Mapping

from prom_faust.ops.status import GroupStatus, SinkStatus

__all__ = ["Progress", "not_ready"]

TOLD = 200
"""So many characters of an error are told; all of it is on ``/ops/sinks``."""


class Progress:
    """Which partitions have not got on for too long.

    Example::

        >>> seconds = [0.0]
        >>> progress = Progress(lambda: seconds[0], within=60.0)
        >>> progress.stuck({0: (10, 5)})  # it has done everything before offset 10, and is 5 records behind
        {}
        >>> seconds[0] = 61.0
        >>> progress.stuck({0: (10, 7)})
        {0: 61.0}
        >>> progress.stuck({0: (11, 6)})
        {}

    Args:
        clock: seconds that never go back.
        within: seconds within which a partition that is behind must get on.
    """

    def __init__(self, clock: Callable[[], float], *, within: float) -> None:
        self._clock = clock
        self._within = within
        self._last: dict[int, tuple[int, float]] = {}

    def stuck(self, partitions: Mapping[int, tuple[int, int]]) -> dict[int, float]:
        """Look again.

        Args:
            partitions: partition to the offset before which everything is done, and the records behind.

        Returns:
            Partition to the seconds for which nothing has happened, where that is too long.
        """
        now, last = self._clock(), self._last
        self._last = {
            number: last[number] if number in last and last[number][0] == done and lag > 0 else (done, now)
            for number, (done, lag) in partitions.items()
        }
        return {
            number: now - since for number, (_, since) in self._last.items() if now - since > self._within
        }


def not_ready(
    groups: Iterable[GroupStatus], sinks: Iterable[SinkStatus], stuck: Mapping[str, Mapping[int, float]]
) -> tuple[str, ...]:
    """Every reason why a worker is not ready.

    Args:
        groups: its groups.
        sinks: its lanes.
        stuck: a lane's name to those of its partitions that do not get on, with the seconds since they did.
    """
    reasons: list[str] = []
    for group in groups:
        if group.rebalancing:
            reasons.append(f"group {group.group} is rebalancing")
        elif group.generation < 0:
            reasons.append(f"group {group.group} has not let this worker in yet")
        if group.recovering:
            reasons.append("tables are being recovered")
    for sink in sinks:
        if sink.stopped:
            reasons.append(f"{sink.name}: {sink.stopped}")
        if sink.unstarted:
            reasons.append(f"{sink.name}: {sink.unstarted} partitions of {sink.topic} are not read yet")
        if late := stuck.get(sink.name):
            numbers = ", ".join(map(str, sorted(late)))
            why = "; ".join(_why(sink, late))
            reasons.append(
                f"{sink.name}: nothing was done on partition{'s' * (len(late) > 1)} {numbers} of {sink.topic} "
                f"for {max(late.values()):.0f} s{why and f': {why}'}"
            )
    return tuple(dict.fromkeys(reasons))


def _why(sink: SinkStatus, late: Mapping[int, float]) -> list[str]:
    """What it waits for, and the first error of those partitions."""
    problems = [each.problem for each in sink.partitions if each.problem and each.partition in late]
    return [*([sink.waiting] if sink.waiting else []), *(_shortened(each) for each in problems[:1])]


def _shortened(error: str) -> str:
    text = " ".join(error.split())
    return text if len(text) <= TOLD else f"{text[: TOLD - 3]}..."
