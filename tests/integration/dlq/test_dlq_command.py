"""``faust -A APP dlq ...`` as a user runs it, on a topic that a sink reads at the same time or has read."""

import asyncio
import json
import time
from collections.abc import Sequence

import pytest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.verify import verify
from tests.support.command import faust
from tests.support.projection import applied, eventually, live, make_app, make_projection, started

MODULE = """
import faust
from prom_faust import install

app = faust.App({name!r}, broker={broker!r}, datadir={datadir!r})
prom = install(app, mongo_url={mongo!r})
prom.materialize({name!r}, collection="c", key="id")


def fix(letter):
    return {{"id": letter.record.key.decode(), "mended": True}}
"""


class Case:
    """A topic with dead letters, and the commands on it."""

    def __init__(self, folder, app, projection, topics, database):
        self.folder, self.app, self.projection = folder, app, projection
        self.topics, self.database = topics, database
        self.topic = projection.options.topic

    async def send(self, *pairs: tuple[str, object], timestamp: int | None = None) -> None:
        for key, value in pairs:
            await self.topics.send(self.topic, key, value, timestamp=timestamp)

    async def settled(self) -> None:
        ends = await self.topics.ends(self.topic)
        await eventually(lambda: applied(self.projection, ends))

    async def dlq(self, *args: str):
        return await faust(self.folder, "dlq", *args)

    async def outcome(self, *args: str) -> tuple[int, dict]:
        done = await self.dlq(*args, "--json")
        assert done.stderr == "", done.stderr
        return done.returncode, json.loads(done.stdout)["counts"]


@pytest.fixture
async def case(tmp_path, kafka, mongo, unique, topics, database):
    text = MODULE.format(
        name=unique, broker=kafka.url, datadir=str(tmp_path), mongo=f"{mongo.url}/{database.name}"
    )
    (tmp_path / "hub.py").write_text(text)
    await topics.create(unique, 2)
    await topics.create(dlq_topic(unique), 1, **{"cleanup.policy": "delete"})
    app = make_app(unique, kafka.url, tmp_path)
    options = ChangelogOptions(topic=unique, collection="c", key_of="id")
    async with started(make_projection(app, database, options)) as projection:
        yield Case(tmp_path, app, projection, topics, database)


async def test_the_way_of_letters_from_the_list_to_a_clean_collection(case):
    await case.send(
        ("good", {"id": "good"}),
        ("mend", b"not json"),
        ("gone", b"not json"),
        ("gone", None),
        ("newer", b"not json"),
        ("newer", {"id": "newer", "v": 2}),
        ("drop", b"not json"),
    )
    await case.settled()
    listed = await case.dlq("list", "--json")
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (listed.returncode, {row["key"] for row in rows}) == (1, {"mend", "gone", "newer", "drop"})
    shown = await case.dlq("show", case.topic, str(rows[0]["partition"]), str(rows[0]["offset"]))
    assert "not json" in shown.stdout
    assert "DecodeError" in shown.stdout

    assert await case.outcome("discard", "--key", "drop", "--yes") == (0, {"discarded": 1})
    planned = await case.outcome("replay", "--fix", "hub:fix", "--dry-run")
    assert planned == (0, {"applied": 1, "superseded": 2})
    assert set(await live(case.database.c)) == {"good", "newer"}
    assert await case.outcome("replay", "--fix", "hub:fix", "--yes") == planned
    assert (await live(case.database.c))["mend"]["mended"] is True
    assert set(await live(case.database.c)) == {"good", "newer", "mend"}
    assert (await verify(case.projection)).clean
    # What was overtaken waits for somebody to discard it; what was applied does not.
    assert await case.outcome("replay", "--fix", "hub:fix", "--yes") == (0, {"superseded": 2})


async def test_what_fails_again_is_tried_so_often_and_then_left(case):
    await case.send(("bad", b"not json"))
    await case.settled()
    for _ in range(2):
        assert await case.outcome("replay", "--max-attempts", "3", "--yes") == (1, {"refused": 1})
    story = json.loads((await case.dlq("show", case.topic, "0", "0", "--json")).stdout or "[]") or json.loads(
        (await case.dlq("show", case.topic, "1", "0", "--json")).stdout
    )
    assert (story[0]["attempts"], story[0]["story"]) == (3, ["dead"] * 3)
    done = await case.dlq("replay", "--max-attempts", "3", "--yes")
    assert "it was tried 3 times" in done.stdout
    assert (await verify(case.projection)).clean


async def test_a_letter_from_before_the_tombstones_that_the_cleaner_may_have_taken_is_refused(case):
    await case.topics.configure(case.topic, **{"cleanup.policy": "compact", "delete.retention.ms": "1"})
    await case.send(("old", b"not json"))
    await case.settled()
    assert await case.outcome("replay", "--fix", "hub:fix", "--yes") == (1, {"too old": 1})
    assert await live(case.database.c) == {}
    # As a new record it is a new fact, and goes through the sink as any other.
    done = await case.dlq("replay", "--to-topic", "--fix", "hub:fix", "--yes")
    assert (done.returncode, "new facts" in done.stdout) == (0, True)
    await eventually(lambda: case.database.c.find_one({"_key": "old", "mended": True}))
    assert await case.outcome("replay", "--yes") == (0, {})


async def test_a_delete_that_was_applied_and_forgotten_is_found_on_the_log(case):
    await case.send(("k", b"not json"), ("k", None))
    await case.settled()
    await case.database.c.delete_many({})  # as the sweep does when the marker has stood long enough
    assert await case.outcome("replay", "--fix", "hub:fix", "--yes") == (0, {"superseded": 1})
    assert await case.database.c.count_documents({}) == 0


async def test_a_letter_of_a_topic_that_was_recreated_is_not_applied(case):
    await case.send(("k", b"not json"), timestamp=1_700_000_000_000)
    await case.settled()
    (letter,) = await case.topics.read(dlq_topic(case.topic))
    offset, headers = 0, dict(letter.headers)
    # The letter as a former topic of the name would have left it: the same position, another record.
    headers["x-dlq-timestamp"] = b"1600000000000"
    await case.topics.send(dlq_topic(case.topic), letter.key, letter.value, headers=headers)
    assert await case.outcome("replay", "--fix", "hub:fix", "--yes") == (1, {"of another log": 1})
    assert await live(case.database.c) == {}, offset


async def test_replaying_while_traffic_goes_on_sets_nothing_back(case):
    keys = [f"k{number}" for number in range(40)]
    await case.send(*((key, b"not json") for key in keys))
    await case.settled()
    stop = asyncio.Event()

    async def traffic() -> dict[str, object]:
        last: dict[str, object] = {}
        for number in range(10_000):
            key = keys[number % 20]  # the other half stays dead until it is replayed
            last[key] = None if number % 3 == 0 else {"id": key, "n": number}
            await case.send((key, last[key]))
            if stop.is_set():
                break
        return last

    sending = asyncio.create_task(traffic())
    code, counts = await case.outcome("replay", "--fix", "hub:fix", "--rate", "40", "--yes")
    stop.set()
    last = await sending
    assert (code, sum(counts.values())) == (0, 40)
    assert counts["applied"] >= 20
    await case.settled()
    report = await verify(case.projection)
    assert report.clean, report.differences
    documents = await live(case.database.c)
    assert {key: documents[key]["n"] for key in keys[:20] if key in documents} == {
        key: value["n"] for key, value in last.items() if value is not None
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["replay"], "say --yes"),
        (["discard"], "say --yes"),
        (["replay", "--fix", "hub:nothing", "--yes"], "names no function"),
        (["replay", "--fix", "nowhere:fix", "--yes"], "the module nowhere cannot be imported"),
        (["show", "nowhere", "0", "0"], "there is no topic nowhere.dlq; the app's topics are"),
        (["list", "--topic", "nowhere"], "there is no topic nowhere.dlq"),
    ],
)
async def test_what_cannot_be_done_is_one_line(case, args: Sequence[str], message):
    await case.send(("bad", b"not json"))
    await case.settled()
    done = await case.dlq(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_an_unreachable_broker_is_one_line(tmp_path, mongo):
    text = MODULE.format(name="x", broker="kafka://127.0.0.1:1", datadir=str(tmp_path), mongo=mongo.url)
    (tmp_path / "hub.py").write_text(text)
    began = time.monotonic()
    done = await faust(tmp_path, "dlq", "list")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert time.monotonic() - began < 60
