"""The status topic between workers that are in this process."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from prom_faust.kafka import ensure_topics
from prom_faust.local import KafkaServer, free_port
from prom_faust.ops.clients import ClusterView
from prom_faust.ops.faust import Observer
from prom_faust.ops.service import StatusService
from prom_faust.ops.status import TOPIC, WorkerStatus, encode, key_of, status_spec
from tests.support.app import installed
from tests.support.projection import eventually


@pytest.fixture
def member(kafka, unique):
    @asynccontextmanager
    async def member(name, app=unique, broker=kafka.url):
        prom = installed(app, broker=broker, worker_name=name)
        await ensure_topics(prom.clients, [status_spec()], prom.settings)
        cluster = ClusterView(prom.clients, groups=list, letters=list)
        observer = Observer(prom, interval=0.2, progress_within=60.0)
        service = StatusService(prom.clients, observer, cluster, interval=0.2)
        async with service:
            yield service

    return member


def seen(service):
    return {each.status.worker for each in service.workers() if not each.silent}


async def sees(service, names):
    async def check():
        return seen(service) == names

    await eventually(check)


async def test_workers_of_one_app_see_each_other_and_no_other_apps(member, unique):
    async with member("w1") as one, member("w2") as two, member("w3", app=f"{unique}-eu") as other:
        await sees(one, {"w1", "w2"})
        await sees(two, {"w1", "w2"})
        await sees(other, {"w3"})


async def test_a_worker_that_starts_sees_at_once_who_is_there(member):
    async with member("w1") as one:
        await sees(one, {"w1"})
        async with member("w2") as two:
            await sees(two, {"w1", "w2"})


async def test_a_worker_that_stops_says_goodbye(member, topics, unique):
    async with member("w1") as one:
        async with member("w2"):
            await sees(one, {"w1", "w2"})
        await sees(one, {"w1"})
    mine = [record for record in await topics.read(TOPIC) if record.key == key_of(unique, "w1")]
    assert mine[-1].value is None


async def test_what_is_no_status_is_passed_over(member, topics, unique):
    async with member("w1") as one:
        await topics.send(TOPIC, key_of(unique, "w2"), b"nonsense", partition=0)
        await topics.send(TOPIC, key_of(unique, "w3"), encode(WorkerStatus(unique, "w3")), partition=0)
        await sees(one, {"w1", "w3"})


async def test_the_status_of_a_worker_that_died_long_ago_is_known_to_be_old(member, topics, unique):
    ago = WorkerStatus(unique, "w2", interval=0.2)
    died = (
        int(time.time() * 1000) - 600_000
    )  # less than an hour, or it would be forgotten as soon as it is read
    async with member("w0") as first:
        await sees(first, {"w0"})
        await topics.send(TOPIC, key_of(unique, "w2"), encode(ago), partition=0, timestamp=died)
    async with member("w1") as one:

        async def told():
            return [each for each in one.workers() if each.status.worker == "w2" and each.silent]

        await eventually(told)


async def test_an_unreachable_kafka_ends_nothing(kafka, unique):
    prom = installed(unique, broker="kafka://127.0.0.1:1", worker_name="w1")
    cluster = ClusterView(prom.clients, groups=lambda: [unique], letters=list)
    service = StatusService(
        prom.clients, Observer(prom, interval=0.1, progress_within=60.0), cluster, interval=0.1
    )
    async with service:
        look = await cluster.look()
        assert not service.crashed
    assert look.groups.value is None
    assert "Kafka" in look.groups.error


async def test_ten_seconds_after_an_outage_of_kafka_the_statuses_are_fresh(member, tmp_path):
    with KafkaServer(tmp_path / "kafka", free_port()) as broker:
        async with member("w1", broker=broker.url) as one, member("w2", broker=broker.url) as two:
            await sees(one, {"w1", "w2"})
            await asyncio.to_thread(broker.kill)
            await asyncio.sleep(15.0)  # the readers have given up, and pauses that grow have grown
            await asyncio.to_thread(broker.start)
            loop = asyncio.get_running_loop()
            back = loop.time()

            async def fresh():
                return all(each.board.age < 1.0 for each in (one, two))

            await eventually(fresh, seconds=60)
            took = loop.time() - back
    assert took < 10.0
