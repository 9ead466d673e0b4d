"""A real broker: it keeps what it acknowledged, also when it is killed, and says why it does not start."""

import asyncio
import socket

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from prom_faust.exceptions import LocalStackError
from prom_faust.local import KafkaServer, free_port
from prom_faust.local.ports import HOST, is_free

TOPIC = "kept"


async def produce(bootstrap, values):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(TOPIC, value)


async def consume(bootstrap, count):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(TOPIC, 0)])
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), 10)).value for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    with KafkaServer(tmp_path_factory.mktemp("kafka"), free_port()) as server:
        yield server


def test_acknowledged_records_survive_a_kill_on_the_same_port(kafka, monkeypatch):
    values = [b"%d" % number for number in range(20)]
    asyncio.run(produce(kafka.bootstrap, values))
    killed = kafka.pid

    kafka.kill()
    assert (kafka.running, kafka.pid) == (False, None)

    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1m")
    kafka.start()
    assert kafka.pid not in {None, killed}
    assert asyncio.run(consume(kafka.bootstrap, len(values))) == values


async def test_it_starts_inside_of_a_running_event_loop(kafka):
    kafka.stop()
    kafka.start()
    assert kafka.running


def test_starting_a_running_broker_changes_nothing(kafka):
    pid = kafka.pid
    kafka.start()
    assert kafka.pid == pid


def test_it_listens_on_127_0_0_1_only(kafka):
    listening = {c.laddr.ip for c in kafka.process.net_connections("tcp") if c.status == "LISTEN"}
    assert listening == {HOST}


def test_a_stopped_broker_frees_its_port_and_can_be_stopped_again(kafka):
    kafka.stop()
    assert is_free(kafka.port)
    kafka.stop()
    kafka.start()


def test_a_setting_that_the_broker_refuses_is_told_with_the_log(tmp_path):
    server = KafkaServer(tmp_path, free_port(), broker_config={"num.network.threads": "many"})
    with pytest.raises(LocalStackError) as caught:
        server.start()
    assert "many for configuration num.network.threads" in str(caught.value)
    assert str(caught.value).endswith(f"log: {server.log}")
    assert not server.running


def test_broken_storage_is_told_with_the_log(tmp_path):
    server = KafkaServer(tmp_path, free_port())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\n")
    with pytest.raises(LocalStackError, match=r"(?s)kafka ended while it started\n.*meta\.properties"):
        server.start()


def test_a_taken_port_is_told_before_anything_is_started(tmp_path):
    with socket.create_server((HOST, free_port())) as other:
        port = other.getsockname()[1]
        with pytest.raises(LocalStackError, match=f"port {port} .* is taken"):
            KafkaServer(tmp_path, port).start()
