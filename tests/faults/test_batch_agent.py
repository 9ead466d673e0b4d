"""``@prom.batch_agent`` under ``faust worker``: at least once, in order, whatever the agent does."""

import json
import time
import urllib.request
from urllib.error import HTTPError

import pytest

from prom_faust.dlq.envelope import decode
from prom_faust.local import free_port
from tests.support.worker import FaustWorker


@pytest.fixture
async def setup(kafka, topics, unique, tmp_path):
    topic = await topics.create(unique, 4, **{"cleanup.policy": "delete"})
    await topics.send_all(topic, [(f"k{n}", n) for n in range(2_000)])
    out = tmp_path / "out"
    env = {"KAFKA_URL": kafka.url, "TOPIC": topic, "OUT": str(out)}
    return topic, out, env


def lines(out):
    return [tuple(map(int, line.split())) for line in out.read_text().splitlines()] if out.exists() else []


def wait_for(out, count, seconds=40.0):
    deadline = time.monotonic() + seconds
    while len(set(lines(out))) < count:
        assert time.monotonic() < deadline, f"{len(set(lines(out)))} of {count}"
        time.sleep(0.1)


async def test_a_crashed_batch_is_sent_again_and_nothing_is_lost(setup, tmp_path):
    _, out, env = setup
    with FaustWorker("tests.faults.batch_app", tmp_path / "log", env) as worker:
        wait_for(out, 2_000)
        assert worker.stop() < 10.0
    seen = lines(out)
    assert len(seen) - len(set(seen)) in range(1, 101)
    for partition in range(4):
        offsets = [offset for number, offset in seen if number == partition]
        first = list(dict.fromkeys(offsets))
        assert first == sorted(first)


async def test_after_kill_9_only_what_was_not_committed_comes_again(setup, topics, tmp_path):
    topic, out, env = setup
    with FaustWorker("tests.faults.batch_app", tmp_path / "log", env) as worker:
        wait_for(out, 500)
        worker.kill()
        before = len(lines(out))
        with FaustWorker("tests.faults.batch_app", tmp_path / "log2", env) as second:
            wait_for(out, 2_000)
            second.stop()
    assert set(lines(out)) == {(p, o) for p, end in (await topics.ends(topic)).items() for o in range(end)}
    assert len(lines(out)) <= 2_000 + before + 200


@pytest.fixture
async def numbers(kafka, topics, unique, tmp_path):
    """A hundred records on two of four partitions, and a worker's environment."""
    topic = await topics.create(unique, 4, **{"cleanup.policy": "delete"})
    for number in range(100):
        await topics.send(topic, "k", b"%d" % number, partition=number % 2)
    return topic, {"KAFKA_URL": kafka.url, "TOPIC": topic, "OUT": str(tmp_path / "out")}


async def letters(topics, topic):
    return [decode(record).record.value for record in await topics.read(f"{topic}.dlq")]


async def test_the_records_over_which_it_raises_are_dead_lettered_and_no_others(numbers, topics, tmp_path):
    topic, env = numbers
    with FaustWorker(
        "tests.faults.policy_app", tmp_path / "log", {**env, "ON_ERROR": "dead_letter"}
    ) as worker:
        wait_for(tmp_path / "out", 97)
        worker.stop()
    assert sorted(await letters(topics, topic)) == [b"13", b"14", b"20", b"77"]
    assert {(n % 2, n // 2) for n in range(100)} - set(lines(tmp_path / "out")) == {(1, 6), (0, 7), (1, 38)}
    assert await topics.committed(f"{topic}.copy", topic) == {0: 50, 1: 50, 2: 0, 3: 0}


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ops/ready", timeout=5) as response:
            return json.load(response)
    except HTTPError as error:
        return json.load(error)
    except OSError as error:
        return {"reasons": [repr(error)]}


async def test_stop_stops_the_partitions_of_bad_records_and_the_worker_says_that_it_is_not_ready(
    numbers, topics, tmp_path
):
    topic, env = numbers
    port = free_port()
    env = {**env, "ON_ERROR": "stop"}
    with FaustWorker("tests.faults.policy_app", tmp_path / "log", env, web_port=port) as worker:
        wait_for(tmp_path / "out", 13)
        await topics.send(topic, "k", b"200", partition=2)
        wait_for(tmp_path / "out", 14)
        deadline = time.monotonic() + 20.0
        while f"{topic}[1]: it has stopped at offset 6" not in str(said := ready(port)):
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        worker.stop()
    assert await letters(topics, topic) == []
    assert await topics.committed(f"{topic}.copy", topic) == {0: 7, 1: 6, 2: 1, 3: 0}


async def test_batches_of_different_keys_are_worked_on_at_once_and_each_keys_records_in_order(
    kafka, topics, unique, tmp_path
):
    """One partition, crashes on the way, and a kill -9 in the middle."""
    topic = await topics.create(unique, 1, **{"cleanup.policy": "delete"})
    await topics.send_all(topic, [(str(n % 37), n) for n in range(2_000)])
    seed = int(time.time())
    print(f"seed {seed}")
    out = tmp_path / "out"
    env = {"KAFKA_URL": kafka.url, "TOPIC": topic, "OUT": str(out), "SEED": str(seed)}
    with FaustWorker("tests.faults.keys_app", tmp_path / "log", env) as worker:
        wait_for(out, 600)
        worker.kill()
        killed_at = len(lines(out))
        with FaustWorker("tests.faults.keys_app", tmp_path / "log2", env) as second:
            deadline = time.monotonic() + 40.0
            while {offset for _, offset, _ in lines(out)} != set(range(2_000)):
                assert time.monotonic() < deadline, len(lines(out))
                time.sleep(0.1)
            second.stop()
    for run in (lines(out)[:killed_at], lines(out)[killed_at:]):
        for key in range(37):
            offsets = [offset for found, offset, _ in run if found == key]
            first = list(dict.fromkeys(offsets))
            assert first == sorted(first)
    assert max(count for _, _, count in lines(out)) > 1
    assert "a key is worked on twice" not in (tmp_path / "log").read_text() + (tmp_path / "log2").read_text()
