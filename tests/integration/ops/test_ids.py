"""Groups of which Kafka tells member ids only: the workers say who these are."""

import time

import pytest

from prom_faust.local import free_port
from tests.support.shop import Shop, owners

MOVING = {"PreparingRebalance", "CompletingRebalance"}
SESSION_SECONDS = 12.0


@pytest.fixture
def shop(kafka, mongo, tmp_path):
    shop = Shop(f"shop{free_port()}", kafka, mongo, tmp_path)
    yield shop
    shop.close()


def group_of(answer, name):
    (group,) = [group for group in answer.body["groups"] if group["group"] == name]
    return group


def shared_by(shop, worker, *names):
    """Wait until the app's own group and that of its projection are shared by these."""
    for group, topic in ((shop.name, "orders"), (f"{shop.name}.changelog:{shop.name}.bills", "bills")):
        worker.await_page(
            "/assignments",
            lambda answer, group=group, topic=topic: (
                set(owners(answer.body, group, f"{shop.name}.{topic}").values()) == {*names}
                and group_of(answer, group)["state"] == "Stable"
            ),
        )


def test_while_a_group_waits_for_a_worker_that_was_killed_everybody_has_a_name(shop):
    env = {"SESSION_TIMEOUT": str(SESSION_SECONDS)}
    w1, w2 = shop.start("w1", **env), shop.start("w2", **env)
    w1.await_ready()
    w2.await_ready()
    shared_by(shop, w1, "w1", "w2")
    before = group_of(w1.get("/assignments"), shop.name)
    topics = {each["topic"] for each in before["partitions"]}
    w2.kill()
    shop.start("w2", **env)
    w1.await_page("/assignments", lambda answer: group_of(answer, shop.name)["state"] in MOVING)
    seen, again = [], time.monotonic() + SESSION_SECONDS / 2
    while time.monotonic() < again:
        seen.append(w1.get("/assignments"))
        time.sleep(0.5)
    moving = [group_of(answer, shop.name) for answer in seen]
    moving = [group for group in moving if group["state"] in MOVING]
    assert len(moving) > 3
    for group in moving:
        assert (group["what"], group["name"]) == ("streams", shop.name)
        assert group["generation"] == before["generation"]
        assert {each["topic"] for each in group["partitions"]} == topics
        assert {each["owner"] for each in group["partitions"]} <= {"w1", "w2", None}
        (first,) = [member for member in group["members"] if member["name"] == "w1"]
        assert (first["url"].startswith("http"), first["generation"]) == (True, before["generation"])
        assert group["rebalances"]
        assert [each["silent"] for each in group["members"] if each["name"] not in {"w1", "w2"}] in (
            [],
            [True],
        )
    assert any(member["rebalancing"] for group in moving for member in group["members"])
    shared_by(shop, w1, "w1", "w2")

    def told(answer):
        last = group_of(answer, shop.name)["rebalances"][0]
        return last["generation"] > before["generation"] and last["members"] == ["w1", "w2"]

    last = group_of(w1.await_page("/assignments", told), shop.name)["rebalances"][0]
    assert last["reason"] == "w2 started"
    assert last["seconds"] > SESSION_SECONDS / 2


def test_members_of_fausts_own_assignor_have_names(shop):
    env = {"PROM_FAUST_ASSIGNOR": "faust"}
    w1, w2 = shop.start("w1", **env), shop.start("w2", **env)
    w1.await_ready()
    w2.await_ready()
    shared_by(shop, w1, "w1", "w2")
    group = group_of(w1.get("/assignments"), shop.name)
    assert (group["protocol"], group["what"], group["name"]) == ("faust", "streams", shop.name)
    assert group["generation"] >= 1
    assert {member["name"] for member in group["members"]} == {"w1", "w2"}
    for each in group["partitions"]:
        assert {each["owner"], *each["standbys"]} <= {"w1", "w2"}
    assert any(each["standbys"] for each in group["partitions"])
