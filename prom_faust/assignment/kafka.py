"""The lane's assignor: the rendezvous core behind aiokafka's assignor interface."""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from prom_faust.assignment.decide import Subscription, decide
from prom_faust.assignment.wire import Decision, Identity, decode_decision, encode

__all__ = ["PROTOCOL", "LaneAssignor", "partition_counts", "subscriptions_of"]

logger = logging.getLogger(__name__)

PROTOCOL = "prom-rendezvous"
"""The name of our protocol; a group runs it when all of its members offer it."""
VERSION = 0
"""Of Kafka's consumer protocol."""


def subscriptions_of(members: Mapping[str, Any]) -> dict[str, Subscription]:
    """Member id to its subscription, from what aiokafka hands to a leader."""
    return {
        member_id: Subscription(tuple(metadata.subscription), metadata.user_data)
        for member_id, metadata in members.items()
    }


def partition_counts(cluster: ClusterMetadata, members: Mapping[str, Any]) -> dict[str, int]:
    """Topic to its number of partitions, as far as it is known."""
    topics = {topic for metadata in members.values() for topic in metadata.subscription}
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}


class LaneAssignor(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka is untyped
    """An assignor for plain aiokafka consumers: pass an instance in ``partition_assignment_strategy``.

    Args:
        identity: who this member is.
        load_factor: see ``place``.
        on_decision: told what the leader decided for this member. It is called from within the rebalance.
    """

    name = PROTOCOL

    def __init__(
        self,
        identity: Identity,
        *,
        load_factor: float = 1.25,
        on_decision: Callable[[Decision], None] | None = None,
    ) -> None:
        self.identity = identity
        self._load_factor = load_factor
        self._on_decision = on_decision

    def metadata(self, topics: Collection[str]) -> ConsumerProtocolMemberMetadata:
        """This member's subscription, with who it is."""
        return ConsumerProtocolMemberMetadata(VERSION, sorted(topics), encode(self.identity))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, Any]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """As the leader: an assignment for every member."""
        decisions = decide(
            subscriptions_of(members), partition_counts(cluster, members), load_factor=self._load_factor
        )
        return {
            member_id: ConsumerProtocolMemberAssignment(
                VERSION,
                [(topic, list(partitions)) for topic, partitions in sorted(decision.active.items())],
                encode(decision),
            )
            for member_id, decision in decisions.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """As any member: what was decided. It never raises, for that would park the group."""
        decision = decode_decision(assignment.user_data)
        if decision is None:
            active = {topic: tuple(partitions) for topic, partitions in assignment.assignment}
            decision = Decision(active, {}, ())
        if self._on_decision is None:
            return
        try:
            self._on_decision(decision)
        except Exception:
            logger.exception("what the leader decided could not be taken in")
