"""The event hub as it is deployed: `faust -A agents worker` on a real broker and a real MongoDB-wire server."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

pytestmark = pytest.mark.alone

NINE = {"processId", "name", "host", "pid", "sid", "cpu_pct", "mem_mb", "last_seen_ts", "status"}
PARTITIONS = 8
LIVE = {"_deleted": {"$exists": False}}


def stop(worker):
    """Ask a worker to end; its exit code."""
    worker.send_signal(signal.SIGTERM)
    return worker.wait(10)


@pytest.fixture(scope="module")
def worker(hub):
    worker = hub.start_worker()
    yield worker
    if worker.poll() is None:
        stop(worker)


@pytest.fixture
def start():
    """Start a process of this machine, and end it with the test."""
    started = []

    def start(code="import time; time.sleep(600)"):
        started.append(subprocess.Popen([sys.executable, "-c", code], start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def seen(hub):
    """Wait until a process is in the collection and the document is accepted."""

    def seen(process, accept=lambda document: document is not None, seconds=30.0):
        query = {"pid": process.pid} | LIVE
        return hub.until(lambda: hub.processes.find_one(query), accept, seconds)

    return seen


@pytest.fixture(scope="module")
def markers(hub):
    """Says how long a marker stands, and waits for that while other tests run."""
    waiting = []

    def stood(key):
        since = time.monotonic()
        hub.until(
            lambda: hub.processes.find_one({"_key": key}), lambda marker: marker is None, hub.fence_delay + 60
        )
        return time.monotonic() - since

    with ThreadPoolExecutor(1) as pool:
        yield lambda *keys: waiting.extend(pool.submit(stood, key) for key in keys) or waiting


async def records_of(hub, topic, key):
    """All values of a key in a topic, in order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=hub.kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        values = []
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                records = (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])
                values += [record.value for record in records if record.key == key.encode()]
        return values
    finally:
        await consumer.stop()


@pytest.mark.usefixtures("worker")
def test_a_process_of_this_machine_is_a_document_with_the_nine_fields(start, seen):
    process = start()
    document = seen(process)
    begin = round(psutil.Process(process.pid).create_time() * 1000)
    assert document["_key"] == document["processId"] == f"{socket.gethostname()}:{process.pid}:{begin}"
    assert {name for name in document if not name.startswith("_")} == NINE
    assert document["sid"] == os.getsid(process.pid) == process.pid
    assert document["host"] == socket.gethostname()
    assert document["name"] == psutil.Process(process.pid).name()
    assert document["status"] == "alive"
    assert isinstance(document["last_seen_ts"], int)
    assert abs(document["last_seen_ts"] / 1000 - time.time()) < 10


@pytest.mark.usefixtures("worker")
def test_the_collection_has_the_indexes_of_the_projection(hub, start, seen):
    seen(start())
    keys = [list(index["key"].items()) for index in hub.processes.list_indexes()]
    assert [("host", 1), ("name", 1)] in keys
    assert [("status", 1)] in keys


@pytest.mark.usefixtures("worker")
def test_a_busy_process_is_seen_to_be_busy_and_to_be_heard_again(start, seen):
    process = start("while True: pass")
    first = seen(process)
    later = seen(process, lambda document: document["cpu_pct"] > 0)
    assert later["last_seen_ts"] > first["last_seen_ts"]


@pytest.mark.usefixtures("worker")
async def test_a_killed_process_is_stale_then_gone(hub, start, seen, markers):
    process = start()
    key = seen(process)["_key"]
    process.kill()
    process.wait()
    stale = seen(process, lambda document: document is None or document["status"] == "stale")
    assert stale is not None, "it was deleted without ever being stale"
    seen(process, lambda document: document is None)
    assert hub.processes.find_one({"_key": key})["_deleted"] is True
    markers(key)

    values = await records_of(hub, "process.state", key)
    assert values[-1] is None, "a tombstone is a real null"
    assert None not in values[:-1]
    assert [b'"stale"' in value for value in values[:-1]].count(True) == 1


@pytest.mark.usefixtures("worker")
def test_a_process_that_does_nothing_for_longer_than_silence_may_last_stays_alive(start, seen):
    process = start()
    before = seen(process)["last_seen_ts"]
    document = seen(process, lambda document: document["last_seen_ts"] > before + 7_000)
    assert document["status"] == "alive"


def test_sigterm_ends_the_worker_within_ten_seconds_with_exit_code_0(hub, worker, start, seen):
    seen(start())
    began = time.monotonic()
    assert stop(worker) == 0
    assert time.monotonic() - began < 10


def test_a_process_that_ended_while_no_worker_ran_expires_after_the_restart(hub, start, seen):
    first = hub.start_worker()
    ended, living = start(), start()
    seen(ended)
    seen(living)
    assert stop(first) == 0
    ended.kill()
    ended.wait()
    time.sleep(7)  # longer than silence may last
    statuses = []

    def read():
        statuses.append(seen(living)["status"])
        return hub.processes.find_one({"pid": ended.pid} | LIVE)

    second = hub.start_worker()
    hub.until(read, lambda document: document is None, 60)
    assert set(statuses) == {"alive"}, "while nobody listened, nobody was silent"
    assert stop(second) == 0


def test_a_worker_that_never_collects_expires_what_nobody_reports_any_more(hub, start, seen):
    first = hub.start_worker()
    seen(start())
    assert stop(first) == 0
    second = hub.start_worker(EVENT_HUB_COLLECT="false")
    hub.until(lambda: hub.processes.count_documents(LIVE), lambda count: count == 0, 60)
    assert stop(second) == 0


async def test_a_second_worker_takes_over_when_the_first_is_killed_and_nothing_is_said_twice(
    hub, start, seen
):
    first = hub.start_worker()
    process = start()
    key = seen(process)["_key"]
    second = hub.start_worker(EVENT_HUB_HOST="elsewhere")
    hub.until(
        lambda: hub.processes.find_one({"host": "elsewhere"} | LIVE), lambda found: found is not None, 60
    )
    first.kill()
    first.wait()
    hub.until(lambda: hub.processes.find_one({"_key": key} | LIVE), lambda found: found is None, 60)
    assert stop(second) == 0
    values = await records_of(hub, "process.state", key)
    assert values[-1] is None
    assert values.count(None) == 1


def test_the_marker_of_the_killed_process_stood_for_the_fence_delay_and_no_longer(hub, markers):
    """Whichever worker had the partition then: several have come and gone meanwhile."""
    (stood,) = markers()
    assert hub.fence_delay - 5 < stood.result() < hub.fence_delay + 30
