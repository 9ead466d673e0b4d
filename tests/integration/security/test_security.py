"""The whole plugin on a broker that takes TLS and a password only, and on such a MongoDB server."""

import asyncio
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from pymongo import AsyncMongoClient

from prom_faust.dlq.envelope import decode, dlq_topic
from prom_faust.local import free_port
from tests.support.kafka import Topics
from tests.support.projection import eventually, live
from tests.support.secure import PASSWORD, USER, Certificates, SecureKafka, SecureMongo
from tests.support.worker import ROOT, FaustWorker

APP = "tests.integration.security.app"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secure")
    certificates = Certificates.make(folder)
    kafka = SecureKafka.make(folder / "kafka", certificates)
    with kafka.server, SecureMongo(folder / "mongo", certificates) as mongo:
        kafka.add_scram_user()
        yield SimpleNamespace(kafka=kafka, mongo=mongo, certificates=certificates)


@pytest.fixture
def env(servers, unique, tmp_path):
    return {
        "NAME": unique,
        "KAFKA_URL": servers.kafka.url,
        "KAFKA_USER": USER,
        "KAFKA_PASSWORD": PASSWORD,
        "KAFKA_MECHANISM": "PLAIN",
        "AUTHORITY": str(servers.certificates.authority),
        "MONGO_URL": servers.mongo.url_of(unique),
        "DATADIR": str(tmp_path / "data"),
        "OUT": str(tmp_path / "out"),
    }


@pytest.fixture
def worker(env, tmp_path):
    port = free_port()

    def worker(**changed):
        return FaustWorker(APP, tmp_path / "log", {**env, **changed}, web_port=port)

    yield worker
    assert "secret" not in (tmp_path / "log").read_text()


def get(worker, path):
    with urlopen(f"http://127.0.0.1:{worker.web_port}{path}") as answer:
        return json.load(answer)


@pytest.fixture
async def topics(servers):
    """What other programs send, through the listener that asks nobody."""
    async with Topics(servers.kafka.server.bootstrap) as topics:
        yield topics


@pytest.fixture
async def database(servers, unique):
    async with AsyncMongoClient(servers.mongo.url_of(unique)) as client:
        yield client.get_default_database()


async def test_a_client_without_tls_or_without_a_password_is_refused(servers):
    address = servers.kafka.url.removeprefix("kafka://")
    tls = {"security_protocol": "SSL", "ssl_context": servers.certificates.context()}
    for options in ({}, tls):
        admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5000, **options)
        with pytest.raises(KafkaConnectionError):
            await admin.start()
        await admin.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_the_whole_plugin_works_over_sasl_ssl(
    worker, env, topics, database, unique, tmp_path, mechanism
):
    env["KAFKA_MECHANISM"] = mechanism
    with worker() as running:
        await asyncio.to_thread(running.until, "Worker ready")
        await eventually(lambda: settled(running, unique), seconds=30)
        expected = {f"k{n}": n + 10 for n in range(10)}
        bad = await topics.send(f"{unique}.state", "bad", {"id": "bad"})
        for n in range(20):
            await topics.send(f"{unique}.beats", f"k{n % 10}", {"cpu": n})

        async def projected():
            found = await live(database.states)
            return {key: document["cpu"] for key, document in found.items()} == expected

        await eventually(projected)
        await eventually(lambda: handled(tmp_path / "out"))
        await eventually(lambda: settled(running, unique))
        letters = [decode(record) for record in await topics.read(dlq_topic(f"{unique}.state"))]
        assert f"{unique}.changelog:states" in {letter.consumer for letter in letters}
        assert {letter.record.offset for letter in letters} == {bad.offset}
        done = await asyncio.to_thread(faust, env, "sink", "verify", "states", "--json")
        assert done.returncode == 0, done
        assert json.loads(done.stdout)["clean"]
        running.stop()
    assert "secret" not in done.stdout + done.stderr


async def settled(worker, name):
    """Whether the pages have it from Kafka that every group has all its members, and has read everything."""
    groups = (await asyncio.to_thread(get, worker, "/ops/assignments"))["groups"]
    found = {group["group"]: (group["state"], group["lag"] or 0, group["error"]) for group in groups}
    readers = f"{name}.readers"
    return found == dict.fromkeys(
        (name, f"{name}.changelog:states", readers, f"{readers}.repartition"), ("Stable", 0, None)
    )


async def handled(path):
    return path.exists() and {f"k{n}" for n in range(10)} <= set(path.read_text().split())


def faust(env, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "faust", "-A", APP, *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_password_that_kafka_refuses_is_one_named_error(worker, env):
    wrong = {"KAFKA_PASSWORD": "another-secret"}
    ends_with(worker(**wrong), "AccessError: Kafka at 127.0.0.1", "broker_credentials=")
    done = await asyncio.to_thread(faust, {**env, **wrong}, "sink", "verify", "states")
    assert done.returncode == 2
    assert "does not let this worker in" in done.stderr
    assert "secret" not in done.stdout + done.stderr


async def test_a_broker_that_another_authority_vouches_for_is_one_named_error(worker, tmp_path):
    others = Certificates.make(tmp_path)
    ends_with(
        worker(AUTHORITY=str(others.authority)),
        "AccessError: Kafka at 127.0.0.1",
        "certificate verify failed",
    )


async def test_a_password_that_mongodb_refuses_is_one_named_error(worker, servers, unique):
    url = servers.mongo.url_of(unique, "another-secret")
    ends_with(worker(MONGO_URL=url), "AccessError: MongoDB at 127.0.0.1", "mongo_url")


def ends_with(worker, *texts):
    """The worker ends by itself, not with 0, within its ``startup_timeout``, and says why in one line."""
    with worker:
        assert worker.wait(20) != 0
    lines = [line for line in worker.log.read_text().splitlines() if "CRITICAL" in line]
    assert len(lines) == 1, worker.tail(80)
    for text in texts:
        assert text in lines[0]
    assert "Traceback" not in worker.log.read_text()
