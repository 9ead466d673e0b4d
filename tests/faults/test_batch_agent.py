"""``@prom.batch_agent`` under ``faust worker``: at least once, in order, whatever the agent does."""

import time

import pytest

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
