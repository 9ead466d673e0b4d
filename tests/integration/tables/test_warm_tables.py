"""A table in memory is right after every kind of takeover, and what a standby holds is not read again."""

import asyncio
import json
import random
import re
import signal
import time

import psutil
import pytest

from tests.support.projection import eventually
from tests.support.worker import FaustWorker

KEYS = 400
STOP = -1


@pytest.fixture
def start(kafka, unique, tmp_path):
    workers = {}

    def start(name, **more):
        env = {
            **more,
            "KAFKA_URL": kafka.url,
            "TOPIC": unique,
            "GROUP": f"g-{unique}",
            "OUT": str(tmp_path / name),
            "PROM_FAUST_WORKER_NAME": name,
        }
        workers[name] = FaustWorker("tests.integration.tables.app", tmp_path / f"{name}.log", env).start()
        return workers[name]

    yield start
    for worker in workers.values():
        worker.kill()


async def write(topics, topic, rng, expected, count=300):
    pairs = [(f"k{rng.randrange(KEYS)}", rng.randrange(10**6)) for _ in range(count)]
    await topics.send_all(topic, pairs)
    expected.update(pairs)


async def equals(tmp_path, names, expected, seconds=60.0):
    """The union of what the workers own becomes what was written."""
    deadline = time.monotonic() + seconds
    while True:
        await asyncio.sleep(0.2)
        dumps = [json.loads((tmp_path / name).read_text()) for name in names if (tmp_path / name).exists()]
        owned = {key: value for dump in dumps for key, value in dump["owned"].items()}
        if len(dumps) == len(names) and all(dump["settled"] for dump in dumps) and owned == expected:
            return
        wrong = {key: (owned.get(key), value) for key, value in expected.items() if owned.get(key) != value}
        assert time.monotonic() < deadline, f"{len(wrong)} differ, for example {list(wrong.items())[:5]}"


async def test_a_table_in_memory_is_right_after_every_takeover(start, topics, unique, tmp_path):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng, expected = random.Random(seed), {}
    await topics.create(unique, 8, **{"cleanup.policy": "delete"})
    await write(topics, unique, rng, expected)
    first = start("w0", STOPS="1")
    await equals(tmp_path, ["w0"], expected)
    start("w1")
    await write(topics, unique, rng, expected)
    await equals(tmp_path, ["w0", "w1"], expected)

    key = min(json.loads((tmp_path / "w0").read_text())["owned"])
    await topics.send(unique, key, STOP)
    expected[key] = STOP
    await write(topics, unique, rng, expected)  # it has these in its hands when it stops
    await eventually(lambda: stands_still(first.pid))
    await asyncio.sleep(8)
    await write(topics, unique, rng, expected)
    await equals(tmp_path, ["w1"], expected)
    # It wakes as a member that was put out, and gets back what others have written.
    first.signal(signal.SIGCONT)
    await write(topics, unique, rng, expected)
    await equals(tmp_path, ["w0", "w1"], expected)

    await asyncio.sleep(1.0)  # the copies catch up
    first.kill()
    (tmp_path / "w0").unlink()
    await equals(tmp_path, ["w1"], expected)
    assert restored(tmp_path / "w1.log") == 0
    await write(topics, unique, rng, expected)
    await equals(tmp_path, ["w1"], expected)


async def stands_still(pid):
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def restored(log):
    """The records that the last recovery had to read of partitions that it now owns."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    last = text[text.rindex("Executing _on_partitions_assigned") :]
    return last.count("Restoring state from changelog topics")
