"""Section 6, its pages: ``GET /ops/assignments`` says which worker has which partition, and what else is there."""

import json
import urllib.request

import pytest

GROUPS = [("event-hub", "heartbeat.received"), ("event-hub.changelog:processes", "process.state")]


@pytest.fixture(scope="module")
def ask(hub):
    with hub.quiet_worker() as worker:
        port = worker.args[worker.args.index("--web-port") + 1]

        def ask(path=""):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ops{path}", timeout=10) as response:
                return json.load(response)

        hub.until(lambda: _answers(ask), bool)
        yield ask


def _answers(ask):
    try:
        return ask()
    except OSError:
        return None


def test_the_pages_are_listed(ask):
    listed = {each["path"] for each in ask()["endpoints"]}
    assert {"/ops/assignments", "/ops/coordinators", "/ops/members", "/ops/sinks"} <= listed


def test_every_partition_of_every_group_is_told_with_its_owner(ask, hub):
    def owned():
        return {
            (group["group"], each["topic"], each["partition"]): each["owner"]
            for group in ask("/assignments")["groups"]
            for each in group["partitions"]
        }

    wanted = {(group, topic, number) for group, topic in GROUPS for number in range(8)}
    found = hub.until(owned, lambda found: wanted <= set(found) and None not in found.values())
    assert set(found.values()) == {ask()["worker"]}


def test_coordinators_of_the_process_are_dumped(ask):
    assert isinstance(ask("/coordinators")["coordinators"], list)
