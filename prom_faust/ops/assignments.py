"""``/ops/assignments``: every group, whose each of its partitions is, and how far behind it is. Pure.

Owners and lag are Kafka's own word; standbys, generations and rebalances are what the workers say of themselves.
Where Kafka cannot be asked, the workers' word stands for the owners, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from prom_faust.ops.board import Seen
from prom_faust.ops.groups import GroupState, PartitionProgress
from prom_faust.ops.status import NAMED, GroupStatus, RebalanceStatus, in_order

__all__ = ["group_json", "merge_rebalances"]

UNTELLING = frozenset({"started", "rejoined"})
"""Reasons that say less than what another member says of the same rebalance."""
REBALANCING = frozenset({"PreparingRebalance", "CompletingRebalance"})
"""What Kafka calls a group that is sharing out anew."""
ONE_REBALANCE_SECONDS = 60.0
KEPT = 20

Name = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    url: str
    silent: bool
    status: GroupStatus | None


def group_json(
    group: str, state: GroupState | None, workers: Sequence[Seen], *, error: str | None = None
) -> dict[str, Any]:
    """One group.

    Args:
        group: its id.
        state: what Kafka says, or None where it has not said anything yet.
        workers: what the workers say.
        error: why Kafka says nothing of this group, or None.
    """
    members = _members(group, state, workers)
    statuses = [member.status for member in members if member.status is not None]
    partitions = _partitions(state, members)
    lags = [each["lag"] for each in partitions if each["lag"] is not None]
    about = statuses[0] if statuses else GroupStatus(group, "", "", "")
    return {
        "group": group,
        "what": about.what,
        "name": about.name,
        "state": state.state if state else "",
        "protocol": (state.protocol if state else "") or about.protocol,
        "generation": max((status.generation for status in statuses), default=-1),
        "lag": sum(lags) if lags else None,
        "error": error,
        "members": [_member_json(member, partitions) for member in members],
        "partitions": partitions,
        "rebalances": merge_rebalances((status.member, status.rebalances) for status in statuses),
    }


def _members(group: str, state: GroupState | None, workers: Sequence[Seen]) -> list[_Member]:
    """Those whom Kafka counts as members; where it has not been asked, those who say that they are."""
    said = {
        status.member: _Member(status.member, seen.status.url, seen.silent, status)
        for seen in workers
        for status in seen.status.groups
        if status.group == group
    }
    if state is None:
        return [said[name] for name in sorted(said)]
    known = {
        member.name: _Member(member.name, member.url, silent=False, status=None) for member in state.members
    }
    return [said.get(name, known[name]) for name in sorted(known)]


def _partitions(state: GroupState | None, members: Sequence[_Member]) -> list[dict[str, Any]]:
    """Every partition; while a group rebalances Kafka names no owners, and then the workers' word counts, too."""
    measured = {(each.topic, each.partition): each for each in (state.partitions if state else ())}
    owners: dict[Name, str] = {}
    standbys: dict[Name, list[str]] = {name: list(each.standbys) for name, each in measured.items()}
    for member in members:
        if member.status is None:
            continue
        if (state is None or state.state in REBALANCING) and not member.silent:
            owners.update((name, member.name) for name in _names(member.status.active))
        for name in _names(member.status.standby):
            if member.name not in standbys.setdefault(name, []):
                standbys[name].append(member.name)
    owners.update((name, each.owner) for name, each in measured.items() if each.owner is not None)
    generations = {member.name: member.status.generation for member in members if member.status is not None}
    found = []
    for name in sorted({*owners, *measured}):
        owner, here = owners.get(name), measured.get(name, PartitionProgress(*name))
        found.append(
            {
                "topic": name[0],
                "partition": name[1],
                "owner": owner,
                "standbys": [standby for standby in standbys.get(name, ()) if standby != owner],
                "generation": None if owner is None else generations.get(owner),
                "committed": here.committed,
                "end": here.end,
                "lag": here.lag,
            }
        )
    return found


def _names(topics: Mapping[str, tuple[int, ...]]) -> Iterable[Name]:
    return ((topic, number) for topic, numbers in topics.items() for number in numbers)


def _member_json(member: _Member, partitions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "name": member.name,
        "url": member.url,
        "silent": member.silent,
        "generation": None if member.status is None else member.status.generation,
        "rebalancing": member.status is not None and member.status.rebalancing,
        "recovering": member.status is not None and member.status.recovering,
        "active": sum(each["owner"] == member.name for each in partitions),
        "standby": sum(member.name in each["standbys"] for each in partitions),
    }


def merge_rebalances(
    told: Iterable[tuple[str, Sequence[RebalanceStatus]]],
) -> list[dict[str, Any]]:
    """The rebalances of a group, the newest first, from what its members saw of each.

    What a member saw under one generation within a minute is one rebalance. It took as long as its slowest member
    had nothing, and moved what its members gained, or what they lost, whichever is known to be more.

    Example: ``w2`` joined, and got one of the partitions of ``w1``::

        >>> [merged] = merge_rebalances([
        ...     ("w1", [RebalanceStatus(5.0, 0.2, 2, "w2 joined", lost=1, moved=("orders-1",))]),
        ...     ("w2", [RebalanceStatus(5.1, None, 2, "started", gained=1, moved=("orders-1",))]),
        ... ])
        >>> merged["reason"], merged["seconds"], merged["moves"], merged["members"]
        ('w2 joined', 0.2, 1, ['w1', 'w2'])

    Args:
        told: a member's name, and its rebalances.
    """
    rows = sorted(
        ((each.generation, each.at, member, each) for member, rebalances in told for each in rebalances),
        key=lambda row: row[:3],
    )
    merged = [
        _merged(same)
        for _, same_generation in groupby(rows, key=lambda row: row[0])
        for same in _near(list(same_generation))
    ]
    return sorted(merged, key=lambda each: each["at"], reverse=True)[:KEPT]


Row = tuple[int, float, str, RebalanceStatus]


def _near(rows: Sequence[Row]) -> list[list[Row]]:
    """A group that was empty for long begins to count again, so one generation may be two rebalances."""
    found: list[list[Row]] = []
    for row in rows:
        if found and row[1] - found[-1][0][1] <= ONE_REBALANCE_SECONDS:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _merged(rows: Sequence[Row]) -> dict[str, Any]:
    # A member that starts may have asked to come in long before the others gave anything up.
    began = [each.at for *_, each in rows if each.seconds is not None]
    reasons = [each.reason for *_, each in rows]
    seconds = [each.seconds for *_, each in rows if each.seconds is not None]
    moved = sorted({name for *_, each in rows for name in each.moved}, key=in_order)[:NAMED]
    return {
        "at": min(began) if began else max(each.at for *_, each in rows),
        "seconds": max(seconds, default=None),
        "generation": rows[0][0],
        "reason": next((reason for reason in reasons if reason not in UNTELLING), reasons[0]),
        # Of a member that has left, or begun again, nobody says any more what it gained.
        "moves": max(sum(each.gained for *_, each in rows), sum(each.lost for *_, each in rows)),
        "moved": moved,
        "members": sorted({member for _, _, member, _ in rows}),
    }
