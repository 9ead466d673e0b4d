"""The leader's work, the same for Faust's groups and the lane's: subscriptions in, a decision for each member out.

Pure and total. An assignor that raises parks its whole group, so whatever the members send, there is a decision.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prom_faust.assignment.homes import Subscriber, assign, shares
from prom_faust.assignment.rendezvous import Member
from prom_faust.assignment.wire import Decision, Identity, decode_identity

__all__ = ["Subscription", "decide"]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What the broker hands on of one member.

    Attributes:
        topics: the topics that it reads.
        user_data: its frame, see ``wire``.
    """

    topics: Iterable[str]
    user_data: bytes | None = None


def decide(
    subscriptions: Mapping[str, Subscription],
    partitions: Mapping[str, int],
    *,
    standbys: int = 0,
    load_factor: float = 1.25,
) -> dict[str, Decision]:
    """Decide what every member gets.

    Of several members with one name, the one whose process started first takes part, and the others are told why
    they do not. Two of one process are a client and its successor; the next rebalance has only one of them. A
    member without a readable frame counts under its member id, which a restart does not keep.

    Args:
        subscriptions: member id to its subscription.
        partitions: topic to its number of partitions.
        standbys: how many standbys every partition has.
        load_factor: see ``place``.

    Returns:
        Member id to its decision; every member has one.
    """
    identities = {
        member_id: decode_identity(subscription.user_data) or Identity(name=member_id)
        for member_id, subscription in subscriptions.items()
    }
    holders = _holders(identities)
    taking_part = {member_id for member_id, _ in holders.values()}
    homes = assign(
        (
            Subscriber(
                Member(identity.name, _usable(identity.weight)), frozenset(subscriptions[member_id].topics)
            )
            for member_id, identity in identities.items()
            if member_id in taking_part
        ),
        partitions,
        standbys=standbys,
        load_factor=load_factor,
    )
    names = tuple(sorted(holders))
    decisions: dict[str, Decision] = {}
    for member_id, identity in identities.items():
        if member_id not in taking_part:
            decisions[member_id] = Decision(
                {}, {}, names, refused=_refusal(identity, holders[identity.name][1])
            )
            continue
        mine = shares(homes, identity.name)
        decisions[member_id] = Decision(
            {topic: share.active for topic, share in mine.items() if share.active},
            {topic: share.standby for topic, share in mine.items() if share.standby},
            names,
        )
    return decisions


def _holders(identities: Mapping[str, Identity]) -> dict[str, tuple[str, Identity]]:
    """Name to who has it: the member whose process started first."""
    latest_first = sorted(identities.items(), key=lambda item: (item[1].started, item[0]), reverse=True)
    return {identity.name: (member_id, identity) for member_id, identity in latest_first}


def _refusal(identity: Identity, holder: Identity) -> str | None:
    if identity.process and identity.process == holder.process:
        return (
            None  # a client that the worker has replaced, and whose last request is still there: it will go
        )
    where = f", {holder.url}," if holder.url else ""
    return f"another worker{where} has the name {holder.name} in this group, and started earlier"


def _usable(weight: float) -> float:
    return weight if math.isfinite(weight) and weight > 0 else 1.0
