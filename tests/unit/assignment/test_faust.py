"""Faust's assignor on the rendezvous core: what the leader answers, and what a member takes from it."""

from types import SimpleNamespace

import faust
import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from faust.types import TP

from prom_faust import RendezvousAssignor
from prom_faust.assignment.wire import Identity, encode

CHANGELOG = "assigned-seen-changelog"


class Cluster(SimpleNamespace):
    def partitions_for_topic(self, topic):
        return set(range(self.counts[topic])) if topic in self.counts else None


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setenv("PROM_FAUST_WORKER_NAME", "w0")
    app = faust.App("assigned", broker="kafka://127.0.0.1:1", canonical_url="http://w0:1")
    app.Table("seen", default=int)
    return app


@pytest.fixture
def assignor(app):
    return RendezvousAssignor(app, replicas=1)


def members(*names, topics=("orders", CHANGELOG)):
    return {
        f"id-{name}": ConsumerProtocolMemberMetadata(
            0, list(topics), encode(Identity(name, url=f"http://{name}:1", process=name))
        )
        for name in names
    }


def answers(assignor, *names, counts=None, **more):
    cluster = Cluster(counts=counts or {"orders": 8, CHANGELOG: 8})
    return assignor.assign(cluster, members(*names, **more))


def test_a_member_knows_what_it_owns_and_what_it_copies(assignor):
    assignor.on_assignment(answers(assignor, "w0", "w1")["id-w0"])
    mine = {tp.partition for tp in assignor.assigned_actives() if tp.topic == "orders"}
    copied = {tp.partition for tp in assignor.assigned_standbys() if tp.topic == CHANGELOG}
    assert mine
    assert copied == set(range(8)) - mine
    assert all(assignor.is_active(TP("orders", partition)) for partition in mine)
    assert assignor.protocol == "prom-rendezvous"


def test_topic_and_changelog_are_at_one_worker(assignor):
    for answer in answers(assignor, "w0", "w1", "w2").values():
        assignor.on_assignment(answer)
        actives = assignor.assigned_actives()
        assert {tp.partition for tp in actives if tp.topic == "orders"} == {
            tp.partition for tp in actives if tp.topic == CHANGELOG
        }


def test_kafka_assigns_copies_of_changelogs_and_of_nothing_else(assignor):
    for answer in answers(assignor, "w0", "w1").values():
        assigned = dict(answer.assignment)
        assert sorted(assigned[CHANGELOG]) == list(range(8))
        assert len(assigned["orders"]) < 8


def test_everybody_knows_where_every_key_is(assignor):
    found = answers(assignor, "w0", "w1")
    for answer in found.values():
        assignor.on_assignment(answer)
        where = assignor.tables_metadata()
        assert sorted(where) == ["http://w0:1", "http://w1:1"]
        assert sorted(p for topics in where.values() for p in topics[CHANGELOG]) == list(range(8))
        assert {tuple(topics) for topics in assignor.external_topics_metadata().values()} == {("orders",)}


def test_workers_with_one_address_add_up(assignor):
    same = {
        f"id-{name}": ConsumerProtocolMemberMetadata(0, ["orders"], encode(Identity(name, url="http://h:1")))
        for name in ("w0", "w1")
    }
    assignor.on_assignment(assignor.assign(Cluster(counts={"orders": 8}), same)["id-w0"])
    assert assignor.external_topics_metadata() == {"http://h:1": {"orders": list(range(8))}}


def test_copartitioned_topics_have_one_group_number(assignor):
    found = answers(assignor, "w0", topics=("a", "b", "c", "gone"), counts={"a": 4, "b": 8, "c": 8})
    assignor.on_assignment(found["id-w0"])
    assert assignor.group_for_topic("b") == assignor.group_for_topic("c") == 1
    assert assignor.group_for_topic("a") == 0


def test_global_tables_are_everywhere(app, assignor):
    app.GlobalTable("everywhere", partitions=4)
    changelog = "assigned-everywhere-changelog"
    found = answers(assignor, "w0", "w1", topics=("orders", changelog), counts={"orders": 8, changelog: 4})
    for answer in found.values():
        assert sorted(dict(answer.assignment)[changelog]).count(3) >= 1
        assignor.on_assignment(answer)
        assert {tp.partition for tp in assignor.assigned_actives() if tp.topic == changelog} == set(range(4))


def test_a_global_table_whose_changelog_is_not_there_yet_parks_nobody(app, assignor):
    app.GlobalTable("late", partitions=4)
    found = answers(assignor, "w0", "w1")
    assert sum(len(dict(answer.assignment)["orders"]) for answer in found.values()) == 8


def test_whatever_fails_while_the_leader_decides_everybody_gets_partitions(app, assignor, caplog):
    assignor._table_manager = SimpleNamespace(changelog_topics=frozenset(), data=None)
    found = answers(assignor, "w0", "w1")
    assert sum(len(dict(answer.assignment)["orders"]) for answer in found.values()) == 8
    assert "without global tables" in caplog.text


@pytest.mark.parametrize("frame", [b"", b"nonsense", b"PF\x01nonsense"])
def test_an_answer_that_cannot_be_read_is_taken_as_kafka_means_it(assignor, frame):
    assignor.on_assignment(ConsumerProtocolMemberAssignment(0, [("orders", [1, 2])], frame))
    assert assignor.assigned_actives() == {TP("orders", 1), TP("orders", 2)}


def test_a_refused_member_has_nothing_and_knows_why(assignor):
    twins = {
        member_id: ConsumerProtocolMemberMetadata(
            0, ["orders"], encode(Identity("w0", process=member_id, started=started))
        )
        for member_id, started in (("early", 1), ("late", 2))
    }
    assignor.on_assignment(assignor.assign(Cluster(counts={"orders": 8}), twins)["late"])
    assert assignor.assigned_actives() == set()
    assert "started earlier" in assignor.refused


def test_alone_it_offers_its_own_protocol_only(assignor):
    assert assignor.offers(assignor) == [assignor]


def test_for_a_rolling_introduction_it_offers_what_faust_would_have(app, monkeypatch):
    monkeypatch.setenv("PROM_FAUST_ASSIGNOR", "both")
    with_tables = RendezvousAssignor(app, replicas=1)
    assert [each.name for each in with_tables.offers(with_tables)] == ["prom-rendezvous", "faust"]
    assert [each.name for each in with_tables.offers(RoundRobinPartitionAssignor)] == [
        "prom-rendezvous",
        "roundrobin",
    ]


def test_it_follows_the_protocol_that_was_chosen(app, monkeypatch):
    monkeypatch.setenv("PROM_FAUST_ASSIGNOR", "both")
    assignor = RendezvousAssignor(app, replicas=1)
    _, as_faust = assignor.offers(assignor)
    cluster = Cluster(counts={"orders": 8, CHANGELOG: 8})
    as_faust.on_assignment(as_faust.assign(cluster, {"id": as_faust.metadata({"orders", CHANGELOG})})["id"])
    assert assignor.protocol == "faust"
    assert len(assignor.assigned_actives()) == 16
    assignor.on_assignment(answers(assignor, "w0", "w1")["id-w0"])
    assert assignor.protocol == "prom-rendezvous"
    _, round_robin = assignor.offers(RoundRobinPartitionAssignor)
    round_robin.on_assignment(ConsumerProtocolMemberAssignment(0, [("orders", [5])], b""))
    assert assignor.protocol == "roundrobin"
    assert assignor.assigned_actives() == {TP("orders", 5)}
