"""Section 4: heartbeats in, ``process.state`` out, over 8 partitions, ``MONGO_URL``, and the group "analyzers".

What the analyzers do, one of them and three, is in ``tests/e2e/test_analyzer.py``.
"""

import json
import os
import subprocess
import sys
import time

import pytest

from agents.analyzer import analyze
from agents.app import prom
from tests.support.hub import ROOT


async def test_a_heartbeat_becomes_a_state_and_a_document(hub, worker, topics):
    key = "host-c:11:22"
    heartbeat = {"pid": 11, "name": "web", "host": "host-c", "cpu_pct": 2.5, "mem_mb": 30.0}
    deadline = time.monotonic() + 40.0
    states = []
    while not states and time.monotonic() < deadline:
        # A worker that has just started may not have its partitions yet.
        sent = await topics.send("heartbeat.received", key, heartbeat)
        states = [
            json.loads(r.value)
            for r in await topics.read("process.state")
            if r.key == key.encode() and r.value
        ]
    assert states[-1] == {
        "processId": key,
        "name": "web",
        "host": "host-c",
        "pid": 11,
        "cpu_pct": 2.5,
        "mem_mb": 30.0,
        "last_seen_ts": states[-1]["last_seen_ts"],
        "status": "alive",
    }
    assert isinstance(states[-1]["last_seen_ts"], int)
    assert states[-1]["last_seen_ts"] <= sent.timestamp
    hub.until(
        lambda: hub.processes.find_one({"_key": key}), lambda found: found and found["status"] == "alive"
    )


async def test_all_topics_of_the_hub_have_eight_partitions(hub, worker, topics):
    for name in ("heartbeat.received", "process.silent", "process.state", "process.finding"):
        assert len(await topics.ends(name)) == 8


def test_the_analyzers_share_eight_partitions_with_a_ttl_of_ten_seconds_and_a_beat_every_two_and_a_half():
    lane = prom.lanes[analyze.name].options
    assert (lane.topic, lane.group) == ("heartbeat.received", "analyzers")
    assert (lane.session_timeout, lane.heartbeat_interval) == (10.0, 2.5)
    assert prom.rules.find(lane.topic).partitions == 8, (
        "as many as there are analyzers' partitions: no second topic"
    )
    assert not [spec.name for spec in prom.specs() if "repartition" in spec.name]


@pytest.mark.parametrize(
    ("url", "database"),
    [(None, "prom"), ("mongodb://127.0.0.1:27999", "prom"), ("mongodb://127.0.0.1:27999/other", "other")],
)
def test_mongo_url_names_the_database_and_has_a_default(url, database):
    code = "from agents.app import prom, settings; print(prom.database.name, settings.mongo_url)"
    env = {name: value for name, value in os.environ.items() if name != "MONGO_URL"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env | ({} if url is None else {"MONGO_URL": url}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [database, url or "mongodb://127.0.0.1:27017/prom"]
