"""``faust -A APP sink ...`` as a user runs it: exit codes, what is on stdout, and one line of error on stderr."""

import asyncio
import json
import re

import pytest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.local import free_port
from prom_faust.sink.options import ChangelogOptions
from tests.support.command import faust
from tests.support.projection import applied, eventually, make_app, projecting

MODULE = """
import faust
from prom_faust import install

app = faust.App({name!r}, broker={broker!r}, datadir={datadir!r})
prom = install(app, mongo_url={mongo!r})
prom.materialize({name!r}, collection="c")

other = faust.App("other", broker={broker!r}, datadir={datadir!r})
install(other, mongo_url={mongo!r}).materialize({name!r}, collection="elsewhere")
"""


@pytest.fixture
def folder(tmp_path, kafka, mongo, unique):
    write_module(tmp_path, unique, kafka.url, f"{mongo.url}/{unique}")
    return tmp_path


def write_module(folder, unique, broker, mongo):
    text = MODULE.format(name=unique, broker=broker, datadir=str(folder), mongo=mongo)
    (folder / "hub.py").write_text(text)


@pytest.fixture
async def projected(kafka, unique, database, topics, tmp_path):
    """A collection that was projected by a worker that has stopped."""
    await topics.create(dlq_topic(unique))
    await topics.create(unique)
    await topics.send_all(unique, [(f"k{i}", {"a": i}) for i in range(20)])
    async with running(kafka, unique, database, topics, tmp_path):
        pass


def running(kafka, unique, database, topics, folder):
    app = make_app(unique, kafka.url, folder)
    return _Running(projecting(app, database, ChangelogOptions(topic=unique, collection="c")), topics)


class _Running:
    def __init__(self, context, topics):
        self.context, self.topics = context, topics

    async def __aenter__(self):
        projection = await self.context.__aenter__()
        ends = await self.topics.ends(projection.options.topic)
        await eventually(lambda: applied(projection, ends))
        return projection

    async def __aexit__(self, *exc):
        await self.context.__aexit__(*exc)


async def test_a_clean_collection_exits_0_with_a_table(folder, projected):
    done = await faust(folder, "sink", "verify", "c")
    assert (done.returncode, done.stderr) == (0, "")
    assert "c equals the fold of" in done.stdout
    assert re.search(r" 20 +documents found", done.stdout)


async def test_differences_exit_1_and_name_their_keys(folder, projected, database):
    await database.c.delete_one({"_key": "k7"})
    done = await faust(folder, "sink", "verify", "c")
    assert (done.returncode, done.stderr) == (1, "")
    assert "'k7'" in done.stdout


@pytest.mark.parametrize("where", ["of the command", "of Faust"])
async def test_json_is_one_object_on_stdout(folder, projected, database, where):
    await database.c.update_one({"_key": "k7"}, {"$set": {"a": -1}})
    args = ["sink", "verify", "c"]
    done = await faust(folder, *(["--json", *args] if where == "of Faust" else [*args, "--json"]))
    report = json.loads(done.stdout)
    assert (done.returncode, report["clean"], report["different"]) == (1, False, 1)
    assert report["differences"] == [{"kind": "different", "key": "k7", "reason": "a: expected 7, found -1"}]


async def test_a_repair_is_not_done_unasked_and_exits_0_when_all_is_mended(folder, projected, database):
    await database.c.delete_one({"_key": "k7"})
    asked, done = await asyncio.gather(
        faust(folder, "sink", "verify", "c", "--repair"),
        faust(folder, "sink", "verify", "c", "--repair", "--yes", "--json"),
    )
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "say --yes" in asked.stderr
    report = json.loads(done.stdout)
    assert (done.returncode, report["clean"], report["written"], report["removed"]) == (0, True, 1, 0)
    assert await database.c.count_documents({"_key": "k7"}) == 1


async def test_a_sink_that_lags_exits_2(folder, projected, topics, unique):
    await topics.send(unique, "k1", {"a": "new"})
    done = await faust(folder, "sink", "verify", "c", "--wait", "0.1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: c is not settled")
    assert done.stderr.count("\n") == 1


async def test_an_unknown_name_exits_2_and_the_known_ones_are_said(folder):
    done = await faust(folder, "sink", "verify", "nope")
    assert done.returncode == 2
    assert done.stderr == "error: there is no projection into a collection nope; there are: c\n"


async def test_two_apps_of_one_module_do_not_meet(folder):
    done = await faust(folder, "sink", "verify", "c", app="hub:other")
    assert done.stderr == "error: there is no projection into a collection c; there are: elsewhere\n"


@pytest.mark.parametrize("server", ["kafka", "mongo"])
async def test_an_unreachable_server_exits_2_in_one_line_without_credentials(
    tmp_path, kafka, mongo, unique, server
):
    nowhere = f"127.0.0.1:{free_port()}"
    broker = f"kafka://{nowhere}" if server == "kafka" else kafka.url
    url = f"mongodb://user:secret@{nowhere}/x" if server == "mongo" else f"{mongo.url}/{unique}"
    write_module(tmp_path, unique, broker, url)
    done = await faust(tmp_path, "sink", "verify", "c")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert nowhere in done.stderr
    assert "secret" not in done.stderr


async def test_a_rebuild_is_not_done_unasked(folder, projected, database):
    done = await faust(folder, "sink", "rebuild", "c")
    assert done.returncode == 2
    assert await database.c.count_documents({}) == 20


async def test_a_rebuild_is_refused_while_a_worker_runs(folder, projected, kafka, unique, database, topics):
    async with running(kafka, unique, database, topics, folder):
        done = await faust(folder, "sink", "rebuild", "c", "--yes")
    assert done.returncode == 2
    assert "stop every worker" in done.stderr
    assert await database.c.count_documents({}) == 20


async def test_after_a_rebuild_the_next_start_reads_from_the_beginning(
    folder, projected, kafka, unique, database, topics
):
    await database.c.update_many({}, {"$set": {"a": "broken"}})
    done = await faust(folder, "sink", "rebuild", "c", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "removed 20 documents, 1 positions and the 1 committed offsets" in done.stdout
    async with running(kafka, unique, database, topics, folder):
        pass
    assert (await faust(folder, "sink", "verify", "c")).returncode == 0
