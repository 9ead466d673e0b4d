"""``/ops/assignments``: every group, whose each of its partitions is, and how far behind it is. Pure.

Owners and lag are Kafka's own word; standbys, generations and rebalances are what the workers say of themselves.
Where Kafka cannot be asked, the workers' word stands for the owners, too. A member of which Kafka knows an id only,
as while a group rebalances, is the worker that says that this is its id.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from prom_faust.ops.board import Seen
from prom_faust.ops.groups import GroupState, PartitionProgress
from prom_faust.ops.status import NAMED, GroupStatus, RebalanceStatus, in_order

__all__ = ["group_json", "merge_rebalances"]

STARTED = "started"
UNTELLING = frozenset({STARTED, "rejoined"})
"""Reasons that say less than what another member says of the same rebalance."""
REBALANCING = frozenset({"PreparingRebalance", "CompletingRebalance"})
"""What Kafka calls a group that is sharing out anew."""
ONE_REBALANCE_SECONDS = 60.0
"""The ends of one rebalance, as its members saw them, lie within this."""
KEPT = 20

Name = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    url: str
    silent: bool
    status: GroupStatus | None


def group_json(
    group: str,
    state: GroupState | None,
    workers: Sequence[Seen],
    *,
    ids: Mapping[str, str] | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """One group.

    Args:
        group: its id.
        state: what Kafka says, or None where it has not said anything yet.
        workers: what the workers say.
        ids: ids that Kafka has given to members, and whose they were; the workers tell those that they have now.
        error: why Kafka says nothing of this group, or None.
    """
    said = _said(group, workers)
    names = _names_of(state, said, ids or {})
    members = _members(state, said, names)
    known = _known(members, said)
    partitions = _partitions(state, members, names)
    lags = [each["lag"] for each in partitions if each["lag"] is not None]
    about = known[0] if known else GroupStatus(group, "", "", "")
    return {
        "group": group,
        "what": about.what,
        "name": about.name,
        "state": state.state if state else "",
        "protocol": (state.protocol if state else "") or about.protocol,
        "generation": max((status.generation for status in known), default=-1),
        "lag": sum(lags) if lags else None,
        "error": error,
        "members": [_member_json(member, partitions) for member in members],
        "partitions": partitions,
        # Of one that is gone, too: what it saw of a rebalance may be the most telling.
        "rebalances": merge_rebalances(
            (name, each.status.rebalances) for name, each in said.items() if each.status is not None
        ),
    }


def _said(group: str, workers: Sequence[Seen]) -> dict[str, _Member]:
    """Those who say that they are members, by name; of two with one name the one that is heard."""
    return {
        status.member: _Member(status.member, seen.status.url, seen.silent, status)
        for seen in sorted(workers, key=lambda seen: not seen.silent)
        for status in seen.status.groups
        if status.group == group
    }


def _names_of(
    state: GroupState | None, said: Mapping[str, _Member], former: Mapping[str, str]
) -> dict[str, str]:
    """What Kafka calls a member, which is its id where it tells no name, to what it is called here."""
    now = {
        each.status.member_id: name for name, each in said.items() if each.status and each.status.member_id
    }
    ids = {**former, **now}
    return {
        member.name: member.name if member.named else ids.get(member.member_id, member.name)
        for member in (state.members if state else ())
    }


def _members(
    state: GroupState | None, said: Mapping[str, _Member], names: Mapping[str, str]
) -> list[_Member]:
    """Those whom Kafka counts as members; where it has not been asked, those who say that they are.

    While a group rebalances Kafka has not let all of them in yet, and waits for some that are gone: nobody says that
    he is one of these.
    """
    if state is None:
        return [said[name] for name in sorted(said)]
    moving = state.state in REBALANCING
    found = {
        names[member.name]: _Member(names[member.name], member.url, silent=moving and bool(said), status=None)
        for member in state.members
    }
    if moving:
        found |= {name: each for name, each in said.items() if not each.silent}
    return [said.get(name, found[name]) for name in sorted(found)]


def _known(members: Sequence[_Member], said: Mapping[str, _Member]) -> list[GroupStatus]:
    """What is said of the group: by its members, or else by those who are heard, or else by anybody."""
    heard = [each for each in said.values() if not each.silent]
    for those in (members, heard, said.values()):
        if found := [each.status for each in those if each.status is not None]:
            return found
    return []


def _partitions(
    state: GroupState | None, members: Sequence[_Member], names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Every partition; while a group rebalances Kafka may name no owners, and then the workers' word counts, too."""
    measured = {(each.topic, each.partition): each for each in (state.partitions if state else ())}
    owners: dict[Name, str] = {}
    standbys: dict[Name, list[str]] = {
        name: [names.get(standby, standby) for standby in each.standbys] for name, each in measured.items()
    }
    for member in members:
        if member.status is None:
            continue
        if (state is None or state.state in REBALANCING) and not member.silent:
            owners.update((name, member.name) for name in _names(member.status.active))
        for name in _names(member.status.standby):
            if member.name not in standbys.setdefault(name, []):
                standbys[name].append(member.name)
    owners.update(
        (name, names.get(each.owner, each.owner)) for name, each in measured.items() if each.owner is not None
    )
    generations = {
        member.name: member.status.generation
        for member in members
        if member.status is not None and member.status.generation >= 0
    }
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

    What ended under one generation within a minute is one rebalance, however long its members had waited for that.
    It took as long as its slowest member had nothing, and moved what its members gained, or what they lost, whichever
    is known to be more. Why it was is for those to say who were there before; those who began say little, and where
    nobody says more they are named, unless all of the group began.

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
        (
            Row(each.generation, _end(each), member, each)
            for member, rebalances in told
            for each in rebalances
        ),
        key=lambda row: row[:3],
    )
    merged = [
        _merged(same)
        for _, same_generation in groupby(rows, key=lambda row: row.generation)
        for same in _near(list(same_generation))
    ]
    return sorted(merged, key=lambda each: each["at"], reverse=True)[:KEPT]


class Row(NamedTuple):
    """What one member saw of a rebalance, and when it ended for it."""

    generation: int
    end: float
    member: str
    told: RebalanceStatus


def _end(told: RebalanceStatus) -> float:
    return told.at + (told.seconds or 0.0) if told.ended is None else told.ended


def _near(rows: Sequence[Row]) -> list[list[Row]]:
    """A group that was empty for long begins to count again, so one generation may be two rebalances."""
    found: list[list[Row]] = []
    for row in rows:
        if found and row.end - found[-1][0].end <= ONE_REBALANCE_SECONDS:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _merged(rows: Sequence[Row]) -> dict[str, Any]:
    all_told = [row.told for row in rows]
    # A member that starts may have asked to come in long before the others gave anything up.
    began = [each.at for each in all_told if each.seconds is not None]
    seconds = [each.seconds for each in all_told if each.seconds is not None]
    moved = sorted({name for each in all_told for name in each.moved}, key=in_order)[:NAMED]
    return {
        "at": min(began) if began else max(each.at for each in all_told),
        "seconds": max(seconds, default=None),
        "generation": rows[0].generation,
        "reason": _reason(rows),
        # Of a member that has left, or begun again, nobody says any more what it gained.
        "moves": max(sum(each.gained for each in all_told), sum(each.lost for each in all_told)),
        "moved": moved,
        "members": sorted({row.member for row in rows}),
    }


def _reason(rows: Sequence[Row]) -> str:
    """What says most. To the others, a worker that was restarted under its name has neither joined nor left."""
    telling = next((row.told.reason for row in rows if row.told.reason not in UNTELLING), None)
    if telling is not None:
        return telling
    started = sorted({row.member for row in rows if row.told.reason == STARTED})
    everybody = max(len({row.member for row in rows}), *(row.told.size for row in rows))
    if started and len(started) < everybody:
        return ", ".join(f"{name} {STARTED}" for name in started)
    return rows[0].told.reason
