"""``faust -A APP sink rebuild NAME --shadow`` as a user runs it: killed while it reads, not clean, done."""

import asyncio
import json
import subprocess
import sys

import pytest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.rebuild import rebuild_in_shadow
from tests.support.projection import eventually, live, make_app, make_projection

MODULE = """
import faust
from prom_faust import install

app = faust.App({name!r}, broker={broker!r}, datadir={datadir!r})
prom = install(app, mongo_url={mongo!r})
prom.materialize({name!r}, collection="c", size=20, window=40)
"""
COUNT = 600
OPTIONS = {"collection": "c", "size": 20, "window": 40}


@pytest.fixture
def folder(tmp_path, kafka, mongo, unique):
    url = f"{mongo.url}/{unique}"
    text = MODULE.format(name=unique, broker=kafka.url, datadir=str(tmp_path), mongo=url)
    (tmp_path / "hub.py").write_text(text)
    return tmp_path


def command(*args):
    return [sys.executable, "-m", "faust", "-A", "hub", "sink", "rebuild", "c", *args]


async def faust(folder, *args):
    return await asyncio.to_thread(
        subprocess.run,
        command(*args),
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=180,
    )


async def kill_while_it_reads(folder, database):
    process = subprocess.Popen(command("--shadow"), cwd=folder, stderr=subprocess.DEVNULL)
    try:
        far = {"collection": "_prom_shadow.c", "applied": {"$gte": 80}}
        await eventually(lambda: database["_prom_positions"].find_one(far), seconds=60.0, every=0.01)
    finally:
        process.kill()
        process.wait()


async def test_killed_then_not_clean_then_done(folder, kafka, unique, database, topics):
    await topics.create(dlq_topic(unique))
    await topics.create(unique)
    await topics.send_all(unique, [(f"k{i}", {"a": i}) for i in range(COUNT)])
    await kill_while_it_reads(folder, database)
    shadow = database["_prom_shadow.c"]
    assert 0 < await shadow.count_documents({}) < COUNT
    await shadow.update_one({"_key": "k7"}, {"$set": {"a": "broken"}})

    projection = make_projection(
        make_app(unique, kafka.url, folder), database, ChangelogOptions(topic=unique, **OPTIONS)
    )
    swapped = await rebuild_in_shadow(projection, silence=0.5)
    assert (swapped.done, swapped.resumed, swapped.report.different) == (False, True, 1)
    assert swapped.report.missing == 0
    assert swapped.records <= COUNT - 80

    done = await faust(folder, "--shadow")
    assert (done.returncode, done.stderr) == (1, "")
    assert "'k7'" in done.stdout
    assert "c is as it was" in done.stdout
    assert "c" not in await database.list_collection_names()

    done = await faust(folder, "--shadow", "--restart", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    outcome = json.loads(done.stdout)
    assert (outcome["done"], outcome["records"], outcome["report"]["clean"]) == (True, COUNT, True)
    assert {key: found["a"] for key, found in (await live(database.c)).items()} == {
        f"k{i}": i for i in range(COUNT)
    }


async def test_what_cannot_be_done_exits_2_in_one_line(folder, database, topics, unique):
    await topics.create(unique)
    await database.c.create_index("theirs")
    done = await faust(folder, "--shadow")
    assert (done.returncode, done.stdout) == (2, "")
    assert "index theirs_1" in done.stderr
    assert done.stderr.count("\n") == 1
