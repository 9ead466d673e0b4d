"""G7: what is wrong ends the worker, with one line that says what to do, and an exit code that is not 0."""

import asyncio
import re
import socket
import time

import pytest
from aiokafka.partitioner import DefaultPartitioner

from prom_faust.local import free_port
from tests.support.kafka import Topics
from tests.support.worker import FaustWorker


@pytest.fixture
def worker(kafka, mongo, unique, tmp_path):
    def start(**env):
        return FaustWorker(
            "tests.faults.plain_app",
            tmp_path / "log",
            {
                "KAFKA_URL": kafka.url,
                "MONGO_URL": f"{mongo.url}/{unique}",
                "TOPIC": unique,
                "DATADIR": str(tmp_path / "data"),
                **env,
            },
        )

    return start


def ends_with(worker, *texts, seconds=30.0):
    """The worker ends by itself, not with 0, and names the error once, in one line with these texts."""
    with worker:
        began = time.monotonic()
        code = worker.wait(seconds)
        print(f"exit code {code} after {time.monotonic() - began:.1f} s")
    assert code != 0
    line = the_error(worker)
    for text in texts:
        assert text in line
    assert "Traceback" not in worker.log.read_text()
    assert "secret" not in worker.log.read_text()


def the_error(worker):
    lines = [
        line for line in worker.log.read_text().splitlines() if re.search(r"CRITICAL\] \w+Error: ", line)
    ]
    assert len(lines) == 1, worker.tail(80)
    return lines[0]


async def test_a_dead_broker(worker):
    ends_with(worker(KAFKA_URL=f"kafka://127.0.0.1:{free_port()}"), "UnreachableError: Kafka at", "broker=")


async def test_a_dead_mongodb(worker):
    ends_with(
        worker(MONGO_URL=f"mongodb://me:secret@127.0.0.1:{free_port()}/x"),
        "UnreachableError: MongoDB",
        "mongo_url",
    )


async def test_a_topic_with_another_partition_count(worker, topics, unique):
    await topics.create(unique, 3)
    ends_with(worker(), "TopicError", "has 3 partitions, the app declares 2")


async def test_a_topic_that_is_not_compacted(worker, topics, unique):
    await topics.create(unique, 2, **{"cleanup.policy": "delete"})
    ends_with(
        worker(), "TopicError", "cleanup.policy=delete, the app declares compact", "kafka-configs --alter"
    )


async def test_an_index_that_differs(worker, database):
    await database.c.create_index([("host", 1)], name="host_1", unique=True)
    ends_with(worker(), "IndexConflictError", "index host_1 differs", "dropIndex")


def ends_at_import(worker, *texts):
    """The app's module cannot be imported: all there is to read is one line with these texts."""
    with worker:
        assert worker.wait(30) == 1
    lines = worker.log.read_text().splitlines()
    assert len(lines) == 1, worker.tail(80)
    assert lines[0].startswith("Error: ")
    for text in texts:
        assert text in lines[0]
    assert "secret" not in lines[0]


async def test_a_wrong_setting(worker):
    ends_at_import(worker(PROM_FAUST_WRITE_DEADLINE="-1"), "wrong settings: write_deadline: ")


async def test_a_schema_that_is_not_compatible(worker, unique):
    ends_at_import(
        worker(NARROWED="1"),
        f"{unique} v2 is not backward compatible with v1 (the new schema reads all old data): /host: ",
    )


async def test_a_topic_whose_keys_are_elsewhere(worker, kafka, topics, unique):
    await topics.create(unique, 2)
    async with Topics(f"127.0.0.1:{kafka.port}", DefaultPartitioner()) as others:
        await others.send_all(unique, [(f"key-{n}", {"host": "a"}) for n in range(100)])
    ends_with(worker(), "RoutingMismatchError", unique, 'routing="kafka"')


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:9092", "broker= has a URL that begins with http://"),
        ("kafka://127.0.0.1:9092;confluent://127.0.0.1:9093", "begins with confluent://"),
        ("127.0.0.1:9092;foo://me:secret@127.0.0.1", "begins with foo://"),
        ("kafka://me:secret@host:notaport", "setting broker= cannot be used: "),
        ("kafka://127.0.0.1:99999", "setting broker= cannot be used: "),
    ],
)
async def test_a_broker_url_that_is_none(worker, url, text):
    ends_at_import(worker(KAFKA_URL=url), text)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:27017/x",
        "mongodb://host:notaport/x",
        "mongodb://[::1/x",
        "localhost:27017",
        "mongodb://me:secret@t@127.0.0.1/x",
        "mongodb://127.0.0.1:27017/a$b",
    ],
)
async def test_a_mongodb_url_that_is_none(worker, url):
    ends_at_import(worker(MONGO_URL=url), "mongo_url cannot be used: ")


async def test_a_mongodb_host_that_no_name_server_knows(worker):
    ends_with(
        worker(MONGO_URL="mongodb://me:secret@mongo.invalid/x"), "UnreachableError: MongoDB", "mongo_url"
    )


async def test_a_module_found_by_autodiscovery_that_declares_nonsense(tmp_path):
    package = tmp_path / "found"
    package.mkdir()
    (package / "__init__.py").write_text("from found.app import app\n")
    (package / "app.py").write_text(
        "import faust\nfrom prom_faust import install\n"
        "app = faust.App('found', origin='found', autodiscover=True)\n"
        "prom = install(app)\n"
    )
    (package / "orders.py").write_text(
        "from found.app import prom\nprom.topic('orders', partitions=2)\nprom.topic('orders', partitions=3)\n"
    )
    ends_at_import(
        FaustWorker("found", tmp_path / "log", {}, folder=tmp_path), "topic orders is declared twice"
    )


@pytest.fixture
def with_web(worker):
    """A worker that serves on a port of its own, where all others here serve nothing."""

    def start(port, *options):
        process = worker()
        process._command.remove("--without-web")
        process._command += ["--web-port", str(port), *options]
        return process

    return start


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_taken_web_port(with_web, taken, host):
    ends_with(
        with_web(taken, "--web-bind", host),
        f"WebPortError: the web server cannot listen on {host}:{taken}: Address already in use",
        "--web-port or web_port=",
    )


async def test_an_address_that_this_machine_has_not(with_web):
    ends_with(with_web(free_port(), "--web-bind", "192.0.2.1"), "WebPortError", "192.0.2.1", "--web-bind")


async def test_a_taken_web_port_is_nothing_to_a_worker_without_web(with_web, taken):
    process = with_web(taken, "--without-web")
    with process:
        await asyncio.to_thread(process.until, "Worker ready")
        process.stop()


async def test_a_free_web_port_is_free_for_the_web_server_after_the_check(with_web):
    port = free_port()
    process = with_web(port)
    with process:
        await asyncio.to_thread(process.until, "Worker ready")
        socket.create_connection(("127.0.0.1", port), 5).close()
        process.stop()


async def test_a_topic_recreated_under_a_running_worker(worker, topics, unique, database):
    process = worker()
    with process:
        await asyncio.to_thread(process.until, "Worker ready")
        await topics.send_all(unique, [(f"k{n}", {"n": n}) for n in range(20)])
        for _ in range(200):
            if await database.c.count_documents({}) == 20:
                break
            await asyncio.sleep(0.1)
        await topics.delete(unique)
        await topics.create(unique, 2)
        await topics.send_all(unique, [(f"k{n}", {"n": n}) for n in range(50)])
        code = await asyncio.to_thread(process.wait, 30.0)
    assert code != 0
    assert "recreated" in the_error(process)
    assert "sink rebuild c" in the_error(process)
