"""Faust's partition assignor on the rendezvous core.

``App(PartitionAssignor="prom_faust:RendezvousAssignor")`` is enough; ``install`` sets it by itself. An adapter over
private members of Faust 0.15: those of ``PartitionAssignor`` that its router, tables and web pages read.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, MutableMapping
from functools import cached_property
from typing import Any, cast

import faust
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from faust.assignor.client_assignment import ClientAssignment, CopartitionedAssignment
from faust.assignor.partition_assignor import PartitionAssignor
from faust.types.app import AppT

from prom_faust.assignment.decide import decide
from prom_faust.assignment.history import RebalanceHistory
from prom_faust.assignment.identity import settings_of, worker_identity
from prom_faust.assignment.kafka import PROTOCOL, partition_counts, subscriptions_of
from prom_faust.assignment.wire import Decision, Identity, decode_decision, decode_identity, encode
from prom_faust.settings import Settings

__all__ = ["RendezvousAssignor"]

logger = logging.getLogger(__name__)

Distribution = dict[str, dict[str, list[int]]]
"""Web address to topics to partitions: where Faust's router looks for a key."""


class RendezvousAssignor(PartitionAssignor):
    """Partitions stay with the names of the workers: see :func:`prom_faust.assignment.rendezvous.place`.

    Args:
        app: the app.
        replicas: how many standbys every partition has.

    Attributes:
        history: what the last rebalances were, and what they moved.
        protocol: the name of the group protocol that was chosen last; empty before the first.
        refused: why this worker gets nothing, or None.
    """

    def __init__(self, app: AppT, replicas: int = 0) -> None:
        super().__init__(app, replicas)
        self.history = RebalanceHistory(time.time)
        self.protocol = ""
        self.refused: str | None = None
        self._members: tuple[str, ...] = ()

    @cached_property
    def settings(self) -> Settings:
        """The plugin's settings."""
        return settings_of(self.app)

    @cached_property
    def identity(self) -> Identity:
        """Who this worker is."""
        return worker_identity(cast(faust.App, self.app))

    @property
    def name(self) -> str:
        """The name of the group protocol."""
        return PROTOCOL

    def offers(self, other: Any) -> list[Any]:
        """What this worker offers its group, what it likes best first.

        Args:
            other: what Faust would have offered without this assignor, an assignor of its own or aiokafka's.
        """
        if self.settings.assignor == "rendezvous":
            return [self]
        return [self, _AsRoundRobin(self) if other is RoundRobinPartitionAssignor else _AsFaust(self)]

    # -- the group protocol ------------------------------------------------------------------------------------

    def metadata(self, topics: Collection[str]) -> ConsumerProtocolMemberMetadata:
        """This worker's subscription, with who it is."""
        return ConsumerProtocolMemberMetadata(self.version, sorted(topics), encode(self.identity))

    def assign(
        self, cluster: ClusterMetadata, member_metadata: MutableMapping[str, Any]
    ) -> MutableMapping[str, ConsumerProtocolMemberAssignment]:
        """As the leader: an assignment for every member. It never raises, for that would park the group."""
        try:
            return super().assign(cluster, member_metadata)
        except Exception:
            logger.exception("the assignment goes without global tables and without the router's addresses")
            decisions = self._decide(partition_counts(cluster, member_metadata), member_metadata)
            assignments = {member_id: _client_assignment(each) for member_id, each in decisions.items()}
            return self._answers(decisions, assignments, {})

    def _decide(self, counts: Mapping[str, int], member_metadata: Mapping[str, Any]) -> dict[str, Decision]:
        return decide(
            subscriptions_of(member_metadata),
            counts,
            standbys=self.replicas,
            load_factor=self.settings.load_factor,
        )

    def _perform_assignment(
        self, cluster: ClusterMetadata, member_metadata: MutableMapping[str, Any]
    ) -> MutableMapping[str, ConsumerProtocolMemberAssignment]:
        counts = partition_counts(cluster, member_metadata)
        decisions = self._decide(counts, member_metadata)
        taking_part = {
            member_id: _client_assignment(decision)
            for member_id, decision in decisions.items()
            if decision.refused is None
        }
        assignments = self._global_table_standby_assignments(taking_part, defaultdict(int, counts))
        urls = {
            member_id: identity.url
            for member_id, metadata in member_metadata.items()
            if (identity := decode_identity(metadata.user_data)) is not None
        }
        changelogs = self._table_manager.changelog_topics
        extra = {
            "changelogs": _distribution(assignments, urls, changelogs, inside=True),
            "topics": _distribution(assignments, urls, changelogs, inside=False),
            "groups": self._group_numbers(counts),
        }
        return self._answers(decisions, assignments, extra)

    def _answers(
        self, decisions: Mapping[str, Decision], assignments: Mapping[str, ClientAssignment], extra: Any
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        answers = {}
        for member_id, decision in decisions.items():
            mine = assignments.get(member_id) or ClientAssignment(actives={}, standbys={})
            full = Decision(
                {topic: tuple(found) for topic, found in mine.actives.items()},
                {topic: tuple(found) for topic, found in mine.standbys.items()},
                decision.members,
                decision.refused,
                extra,
            )
            assigned = sorted(mine.kafka_protocol_assignment(self._table_manager))
            answers[member_id] = ConsumerProtocolMemberAssignment(self.version, assigned, encode(full))
        return answers

    @staticmethod
    def _group_numbers(counts: Mapping[str, int]) -> dict[str, int]:
        """Topic to a number that copartitioned topics share; Faust's recovery asks for it by topic."""
        numbers = {count: number for number, count in enumerate(sorted({*counts.values()} - {0}))}
        return {topic: numbers[count] for topic, count in counts.items() if count}

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """As any member: take in what the leader decided. It never raises, for that would park the group."""
        decision = decode_decision(assignment.user_data)
        if decision is None:
            logger.error("the leader's answer cannot be read; this worker takes what Kafka says")
            active = {topic: tuple(partitions) for topic, partitions in assignment.assignment}
            decision = Decision(active, {}, ())
        extra = decision.extra if isinstance(decision.extra, dict) else {}
        self._assignment = _client_assignment(decision)
        self._active_tps = self._assignment.active_tps
        self._standby_tps = self._assignment.standby_tps
        self._topic_groups = extra.get("groups", {})
        self.changelog_distribution = extra.get("changelogs", {})
        self.external_topic_distribution = extra.get("topics", {})
        self._chosen(self.name, decision.members)
        self.refused = decision.refused

    def follow(self, other: PartitionAssignor) -> None:
        """Take over what another assignor was told: the broker has chosen its protocol."""
        _copy(other, self)
        self._chosen(other.name, ())

    def _chosen(self, protocol: str, members: tuple[str, ...]) -> None:
        if self.protocol != protocol:
            logger.info("the group's protocol is %s", protocol)
        self.protocol, self._members, self.refused = protocol, members, None

    def settled(self, generation: int) -> None:
        """The rebalance is over: remember what it did."""
        self.history.assigned(
            ((tp.topic, tp.partition) for tp in self._active_tps),
            generation=generation,
            members=self._members,
            protocol=self.protocol,
        )


class _AsFaust(PartitionAssignor):
    """Faust's own protocol, offered beside ours while a group goes from one to the other."""

    def __init__(self, owner: RendezvousAssignor) -> None:
        super().__init__(owner.app, owner.replicas)
        self._owner = owner

    def metadata(self, topics: Collection[str]) -> ConsumerProtocolMemberMetadata:
        # Faust's is sticky: it begins with what we have, whoever decided that.
        _copy(self._owner, self)
        return super().metadata(set(topics))

    def on_assignment(self, assignment: ConsumerProtocolMemberMetadata) -> None:
        super().on_assignment(assignment)
        self._owner.follow(self)


class _AsRoundRobin(RoundRobinPartitionAssignor):  # type: ignore[misc] # aiokafka is untyped
    """What Faust offers for an app without standbys and tables."""

    def __init__(self, owner: RendezvousAssignor) -> None:
        self._owner = owner

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        told = PartitionAssignor(self._owner.app, self._owner.replicas)
        told._assignment = ClientAssignment(actives=dict(assignment.assignment), standbys={})  # noqa: SLF001
        told._active_tps = told._assignment.active_tps  # noqa: SLF001
        self._owner.follow(told)
        self._owner.protocol = self.name


def _copy(source: PartitionAssignor, target: PartitionAssignor) -> None:
    for name in ("_assignment", "_topic_groups", "_active_tps", "_standby_tps"):
        setattr(target, name, getattr(source, name))
    target.changelog_distribution = source.changelog_distribution
    target.external_topic_distribution = source.external_topic_distribution


def _client_assignment(decision: Decision) -> ClientAssignment:
    found = ClientAssignment(actives={}, standbys={})
    for topic in sorted({*decision.active, *decision.standby}):
        found.add_copartitioned_assignment(
            CopartitionedAssignment(
                actives=set(decision.active.get(topic, ())),
                standbys=set(decision.standby.get(topic, ())),
                topics={topic},
            )
        )
    return found


def _distribution(
    assignments: Mapping[str, ClientAssignment],
    urls: Mapping[str, str],
    changelogs: Collection[str],
    *,
    inside: bool,
) -> Distribution:
    """Where everything is. Workers that share an address, as those without a web server do, add up."""
    found: Distribution = {}
    for member_id, assignment in assignments.items():
        at = found.setdefault(urls.get(member_id, ""), {})
        for topic, partitions in assignment.actives.items():
            if (topic in changelogs) == inside:
                at[topic] = sorted({*at.get(topic, []), *partitions})
    return found
