"""Section 3b: ``process.state`` -> the collection ``processes``, as the deployable example does it."""

from prom_faust.dlq.envelope import dlq_topic

STATE = {
    "processId": "host-b:1:2",
    "name": "db",
    "host": "host-b",
    "pid": 1,
    "sid": 9,
    "cpu_pct": 1.5,
    "mem_mb": 20.25,
    "last_seen_ts": 1_700_000_000_000,
    "status": "alive",
}


def document(hub, key):
    found = hub.processes.find_one({"_key": key, "_deleted": {"$exists": False}})
    return None if found is None else {k: v for k, v in found.items() if not k.startswith("_")}


async def test_a_state_is_a_document_of_exactly_its_nine_fields(hub, worker, topics):
    await topics.send("process.state", STATE["processId"], STATE)
    assert hub.until(lambda: document(hub, STATE["processId"]), lambda found: found) == STATE
    assert hub.processes.find_one({"_key": STATE["processId"]})["_ts"] > 0


async def test_an_absent_sid_is_absent(hub, worker, topics):
    state = {name: value for name, value in STATE.items() if name != "sid"} | {"processId": "host-b:3:4"}
    await topics.send("process.state", state["processId"], state)
    assert hub.until(lambda: document(hub, state["processId"]), lambda found: found) == state


async def test_a_newer_state_replaces_and_a_tombstone_deletes(hub, worker, topics):
    key = "host-b:5:6"
    for status in ("alive", "stale"):
        await topics.send("process.state", key, {**STATE, "processId": key, "status": status})
        hub.until(
            lambda: document(hub, key), lambda found, status=status: found and found["status"] == status
        )
    await topics.send("process.state", key, None)
    hub.until(lambda: document(hub, key), lambda found: found is None)


async def test_a_state_of_another_shape_is_dead_lettered(hub, worker, topics):
    bad = await topics.send("process.state", "host-b:7:8", {"processId": "host-b:7:8", "status": "odd"})

    def letters():
        return hub.client["prom"]["_prom_positions"].find_one(
            {"topic": "process.state", "partition": bad.partition, "applied": {"$gt": bad.offset}}
        )

    hub.until(letters, lambda found: found)
    assert b"host-b:7:8" in [record.key for record in await topics.read(dlq_topic("process.state"))]


def test_the_custom_indexes_are_there(hub, worker):
    indexes = {tuple(info["key"]) for info in hub.processes.index_information().values()}
    assert {(("host", 1), ("name", 1)), (("status", 1),)} <= indexes
