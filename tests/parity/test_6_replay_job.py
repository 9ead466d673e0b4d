"""Section 6, the replay job: ``process.state.snapshot`` is replayed into the collection ``processes``."""

import json

STATE = {
    "name": "db",
    "host": "host-r",
    "pid": 1,
    "cpu_pct": 1.5,
    "mem_mb": 20.25,
    "last_seen_ts": 1_700_000_000_000,
    "status": "alive",
}
KEYS = [f"host-r:{number}:1" for number in range(5)]


def state(key, **fields):
    return {**STATE, "processId": key, **fields}


def names(hub):
    query = {"_key": {"$in": KEYS}, "_deleted": {"$exists": False}}
    return {document["_key"]: document["name"] for document in hub.processes.find(query)}


def run(hub, *arguments):
    done = hub.command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_snapshot_warms_the_collection_and_brings_nothing_back(hub, worker, topics):
    for key in KEYS:
        await topics.send("process.state", key, state(key))
    hub.until(lambda: names(hub), lambda found: len(found) == 5)
    taken = run(hub, "sink", "snapshot", "processes")
    assert (taken["topic"], taken["records"] >= 5) == ("process.state.snapshot", True)

    await topics.send("process.state", KEYS[0], state(KEYS[0], name="newer"))
    await topics.send("process.state", KEYS[1], None)
    hub.until(lambda: names(hub), lambda found: found.get(KEYS[0]) == "newer" and KEYS[1] not in found)
    hub.processes.delete_many({"_key": {"$in": KEYS}})  # the markers, too: as in a new database

    counts = run(hub, "replay", "process.state.snapshot", "--into", "processes")["counts"]
    assert counts["superseded"] >= 2
    assert names(hub) == dict.fromkeys(KEYS[2:], "db")
