"""The pages of real workers on a real broker."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from prom_faust.local import KafkaServer, MongoServer, free_port
from tests.support.kafka import Topics
from tests.support.shop import Shop, ShopWorker, owners

TOKEN = "let-me-see-it"
PATHS = ["", "/assignments", "/members", "/sinks", "/coordinators", "/live", "/ready"]


@pytest.fixture(scope="module")
def shop(kafka, mongo, tmp_path_factory):
    """Two workers; the second one asks for a token and has its web server in a thread of its own."""
    shop = Shop(f"shop{free_port()}", kafka, mongo, tmp_path_factory.mktemp("shop"))
    shop.start("w1")
    shop.start("w2", PROM_FAUST_OPS_TOKEN=TOKEN, WEB_IN_THREAD="1")
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def w1(shop):
    both = {"w1", "w2"}
    worker = shop.workers[0].await_ready()
    for group in (shop.name, f"{shop.name}.changelog:{shop.name}.bills"):
        topic = f"{shop.name}.{'orders' if group == shop.name else 'bills'}"
        worker.await_page(
            "/assignments",
            lambda answer, group=group, topic=topic: set(owners(answer.body, group, topic).values()) == both,
        )
    return worker


@pytest.fixture(scope="module")
def w2(shop, w1):
    return shop.workers[1].await_ready()


@pytest.fixture
def sent(kafka, shop):
    def send(topic, *pairs):
        async def run():
            async with Topics(f"127.0.0.1:{kafka.port}") as topics:
                await topics.send_all(f"{shop.name}.{topic}", pairs)

        asyncio.run(run())

    return send


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_json_that_is_not_kept(w1, path):
    answer = w1.await_page(path, lambda answer: answer.status == 200)
    assert answer.headers.get_content_type() == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_list_names_every_path(w1):
    paths = [each["path"] for each in w1.get("").body["endpoints"]]
    assert paths == [f"/ops{path}" for path in (*PATHS[:1], "/page", *PATHS[1:], "/metrics")]
    for path in paths:
        assert w1.get(path.removeprefix("/ops")).status in {200, 503}


def test_a_browser_gets_the_page_and_a_machine_the_list(w1):
    for answer in (w1.get("", Accept="text/html,*/*"), w1.get("/page")):
        assert answer.headers.get_content_type() == "text/html"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert w1.get("?format=json", Accept="text/html").headers.get_content_type() == "application/json"


def test_every_partition_of_every_group_has_an_owner_and_a_standby(shop, w1):
    body = w1.get("/assignments").body
    assert body["stale"] is None
    groups = {group["group"]: group for group in body["groups"]}
    assert set(groups) == {shop.name, f"{shop.name}.changelog:{shop.name}.bills"}
    streams = groups[shop.name]
    orders = [each for each in streams["partitions"] if each["topic"] == f"{shop.name}.orders"]
    assert [each["partition"] for each in orders] == list(range(8))
    for each in orders:
        assert {each["owner"], *each["standbys"]} == {"w1", "w2"}
        assert each["generation"] == streams["generation"] >= 1
    assert streams["state"] == "Stable"
    assert streams["protocol"] == "prom-rendezvous"
    assert {member["name"] for member in streams["members"]} == {"w1", "w2"}


def test_both_workers_tell_the_same_of_the_whole_group(shop, w1, w2):
    told = [
        owners(
            worker.get("/assignments", Authorization=f"Bearer {TOKEN}").body, shop.name, f"{shop.name}.orders"
        )
        for worker in (w1, w2)
    ]
    assert told[0] == told[1]


def test_lag_is_what_is_sent_and_not_committed(shop, w1, sent):
    sent("orders", *((f"k{number}", {"amount": 1}) for number in range(50)))

    def measured(answer):
        (group,) = [group for group in answer.body["groups"] if group["group"] == shop.name]
        parts = [each for each in group["partitions"] if each["topic"] == f"{shop.name}.orders"]
        ends = sum(each["end"] for each in parts)
        return ends >= 50 and sum(each["lag"] or 0 for each in parts) == 0 and group["lag"] == 0

    w1.await_page("/assignments", measured)


def test_rebalances_are_told_with_reason_and_moves(shop, w1):
    (streams,) = [group for group in w1.get("/assignments").body["groups"] if group["group"] == shop.name]
    first = streams["rebalances"][-1]
    assert first["reason"] == "started"
    assert first["moves"] > 0
    assert first["seconds"] is None
    assert abs(first["at"] - time.time()) < 300


def member_of(body, name):
    (member,) = [each for each in body["members"] if each["name"] == name]
    return member


def test_members_tell_where_they_are_and_what_they_run(shop, w1, w2):
    def told(answer):  # a worker says how it is every few seconds, so what the other shows may be older
        second = member_of(answer.body, "w2")
        return (second["pid"], second["state"], second["silent_since"]) == (w2.pid, "ready", None)

    body = w1.await_page("/members", told).body
    assert {member["name"] for member in body["members"]} == {"w1", "w2"}
    second = member_of(body, "w2")
    assert second["url"] == f"http://127.0.0.1:{w2.port}"
    assert second["versions"]["faust-streaming"].startswith("0.15")


def test_a_sink_tells_applied_offsets_and_letters(shop, w1, sent):
    sent("bills", *((f"b{number}", {"id": f"b{number}"}) for number in range(40)), ("bad", b"nonsense"))

    def applied(answer):
        (sink,) = answer.body["sinks"]
        return (
            sum(each["applied"] or 0 for each in sink["partitions"]) == 41
            and sink["dead_letters"]["letters"] == 1
        )

    (sink,) = w1.await_page("/sinks", applied).body["sinks"]
    assert (sink["name"], sink["state"], sink["lag"]) == (f"{shop.name}.bills", "up to date", 0)
    assert sink["counts"]["writes"] == 40
    assert {each["worker"] for each in sink["partitions"]} == {"w1", "w2"}


def test_the_coordinators_of_the_process_are_dumped(w1):
    (coordinator,) = w1.get("/coordinators").body["coordinators"]
    analyzers = coordinator["groups"]["analyzers"]
    assert analyzers["owners"] == {"0": "a", "1": "a", "2": "a", "3": "a"}
    assert [member["id"] for member in analyzers["members"]] == ["a"]


def test_metrics_are_those_of_this_worker(shop, w1):
    answer = w1.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    samples = [sample for family in text_string_to_metric_families(answer.body) for sample in family.samples]
    names = {sample.name for sample in samples}
    assert {
        "prom_faust_member_info",
        "prom_faust_ready",
        "prom_faust_rebalances_total",
        "prom_faust_rebalance_seconds_total",
        "prom_faust_owned_partitions",
        "prom_faust_group_lag_records",
        "prom_faust_sink_applied_offset",
        "prom_faust_sink_lag_records",
        "prom_faust_sink_lag_seconds",
        "prom_faust_sink_records_total",
        "prom_faust_sink_outage_seconds_total",
        "prom_faust_sink_bulk_write_duration_seconds_bucket",
        "prom_faust_sink_delay_seconds_sum",
        "prom_faust_dead_letters",
    } <= names
    mine = [sample.labels["worker"] for sample in samples if sample.name == "prom_faust_member_info"]
    assert mine == ["w1"]
    whole = w1.get("/metrics", Accept="application/openmetrics-text")
    assert whole.body.endswith("# EOF\n")


def test_what_is_not_there_says_what_is(w1):
    answer = w1.get("/nothing")
    assert answer.status == 404
    assert "/ops/assignments" in answer.body["do"]


@pytest.mark.parametrize(
    "path", ["", "/assignments", "/members", "/sinks", "/coordinators", "/metrics", "/else"]
)
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}])
def test_without_the_token_nothing_is_told(w2, path, header):
    answer = w2.get(path, **header)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert set(answer.body) == {"error", "do"}


def test_with_the_token_everything_is(w2):
    for path in (*PATHS[:-1], "/metrics"):
        assert w2.get(path, Authorization=f"Bearer {TOKEN}").status == 200


def test_probes_show_no_token_and_learn_no_reasons(w2):
    assert w2.get("/live").body == {"live": True}
    assert w2.await_page("/ready", lambda answer: answer.status == 200).body == {"ready": True}
    assert w2.get("/ready", Authorization=f"Bearer {TOKEN}").body == {"ready": True, "reasons": []}


def test_the_page_itself_needs_no_token(w2):
    assert w2.get("/page").status == 200
    assert w2.get("", Accept="text/html").headers.get_content_type() == "text/html"


def test_a_storm_of_requests_is_answered(w1):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: w1.get("/assignments"), range(200)))
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < 3.0


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One worker with servers of its own, which the tests stop."""
    folder = tmp_path_factory.mktemp("alone")
    with (
        KafkaServer(folder / "kafka", free_port()) as broker,
        MongoServer(folder / "mongo", free_port()) as mongo,
    ):
        shop = Shop("alone", broker, mongo, folder)
        worker = shop.start("w1", PROM_FAUST_WRITE_DEADLINE="1", PROM_FAUST_PROGRESS_WITHIN="1")
        yield Alone(worker.await_ready(), broker, mongo)
        shop.close()


class Alone(NamedTuple):
    worker: ShopWorker
    broker: KafkaServer
    mongo: MongoServer


def test_a_worker_whose_sink_gets_nowhere_is_not_ready_and_says_what_it_waits_for(alone):
    async def send():
        async with Topics(f"127.0.0.1:{alone.broker.port}") as topics:
            await topics.send_all("alone.bills", [(f"b{n}", {"id": f"b{n}"}) for n in range(20)])

    alone.mongo.process.suspend()
    asyncio.run(send())
    refused = alone.worker.await_page("/ready", lambda answer: answer.status == 503)
    assert any("nothing was done on partition" in reason for reason in refused.body["reasons"]), refused
    (sink,) = alone.worker.await_page("/sinks", lambda answer: answer.body["sinks"][0]["waiting"]).body[
        "sinks"
    ]
    assert sink["state"] == "waiting"
    assert sink["waiting"][0]["worker"] == "w1"
    assert "MongoDB" in sink["waiting"][0]["for"]
    alone.mongo.process.resume()
    alone.worker.await_ready()
    alone.worker.await_page("/sinks", lambda answer: answer.body["sinks"][0]["state"] == "up to date")


def test_without_kafka_the_pages_answer_what_was_true_and_how_old_it_is(alone):
    worker, broker = alone.worker, alone.broker
    before = worker.get("/assignments").body
    broker.process.suspend()  # it takes connections, and answers nothing
    time.sleep(1.2)
    for path in (*PATHS, "/metrics"):
        answer = worker.get(path)
        assert answer.seconds < 3.0, path
        assert answer.status == 200 or path == "/ready", answer
    broker.process.kill()
    time.sleep(1.2)
    answer = worker.get("/assignments")
    assert answer.seconds < 3.0
    stale = answer.body["stale"]
    assert "Kafka" in stale["reason"]
    assert stale["age"] > 2.0
    assert owners(answer.body, "alone", "alone.orders") == owners(before, "alone", "alone.orders")


def test_ten_seconds_after_kafka_is_back_the_pages_are_fresh(alone):
    alone.broker.kill()
    time.sleep(8.0)  # the reader of the statuses has given up meanwhile, and begun anew
    assert alone.worker.get("/members").body["stale"] is not None
    alone.broker.start()
    began = time.monotonic()
    for path in ("/assignments", "/members", "/sinks"):
        alone.worker.await_page(path, lambda answer: answer.body["stale"] is None)
    assert time.monotonic() - began < 10.0
