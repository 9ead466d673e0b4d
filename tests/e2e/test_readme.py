"""The README's example, run as it stands there: its code, its commands, its printed output."""

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.support.worker import ROOT, FaustWorker

README = (Path(__file__).parents[2] / "README.md").read_text()
LETTERS = (Path(__file__).parents[2] / "docs" / "letters.md").read_text()
GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()


def block(mark, page=README):
    """The code block that follows a comment."""
    return re.search(rf"<!-- {re.escape(mark)} -->\n```\w*\n(.*?)```", page, re.DOTALL)[1]


def run(folder, *command):
    return subprocess.run(
        [Path(sys.executable).with_name("faust"), "-A", "shop", *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


@pytest.fixture
def shop(kafka, mongo, tmp_path):
    code = block("example: shop.py")
    for there, here in [("kafka://127.0.0.1:9092", kafka.url), ("mongodb://127.0.0.1:27017", mongo.url)]:
        assert code.count(there) == 1
        code = code.replace(there, here)
    (tmp_path / "shop.py").write_text(code)
    return tmp_path


async def test_the_example_prints_what_the_readme_says(shop, mongo):
    worker = FaustWorker("shop", shop / "log", environment(), folder=shop)
    with worker, MongoClient(mongo.url, directConnection=True) as client:
        worker.until("Worker ready")
        filled = run(shop, "fill")
        assert filled.returncode == 0, filled.stderr
        assert filled.stdout == block("output: faust -A shop fill")
        deadline = time.monotonic() + 30
        while client.shop.orders.count_documents({"_deleted": {"$exists": False}}) != 2:
            assert time.monotonic() < deadline, worker.tail()
            time.sleep(0.1)
        verified = run(shop, "sink", "verify", "orders")
        assert verified.returncode == 0, verified.stderr
        found = list(client.shop.orders.find({"_deleted": {"$exists": False}}, {"_id": 0}).sort("_key"))
        worker.stop()
    promised = block("output: faust -A shop sink verify orders").splitlines()
    printed = [line.rstrip() for line in verified.stdout.splitlines()]
    assert printed[:-1] == promised[:-1]
    assert re.fullmatch(r" *[\d.]+  seconds, \d+ records/s", printed[-1])
    wanted = [ast.literal_eval(line) for line in block("documents").splitlines()]
    for document in (*found, *wanted):
        del document["_ts"]
    assert found == wanted


def test_the_guide_s_test_of_the_example_passes(shop):
    (shop / "test_shop.py").write_text(block("example: test_shop.py", GUIDE))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    done = subprocess.run(
        command, cwd=shop, env=environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


async def test_the_way_of_a_dead_letter_is_as_its_page_shows_it(shop, mongo, topics):
    (shop / "mend.py").write_text(block("example: mend.py", LETTERS))
    worker = FaustWorker("shop", shop / "log", environment(), folder=shop)
    with worker, MongoClient(mongo.url, directConnection=True) as client:
        worker.until("Worker ready")
        await topics.send("orders", "o7", {"id": "o7", "total": "12.50 "})
        worker.until("are on the dead-letter topic")
        listed = run(shop, "dlq", "list")
        replayed = run(shop, "dlq", "replay", "--fix", "mend:fix", "--yes")
        found = client.shop.orders.find_one({"_key": "o7"})
        worker.stop()
    assert (listed.returncode, replayed.returncode) == (1, 0), replayed.stderr
    assert anywhere(listed.stdout) == anywhere(block("output: faust -A shop dlq list", LETTERS))
    assert replayed.stdout == block("output: faust -A shop dlq replay --fix mend:fix --yes", LETTERS)
    assert (found["total"], found["email"]) == (12.5, "unknown")


def anywhere(text):
    """The same, wherever the record stood and whenever it died."""
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", re.sub(r"\[3\] │ \d+", "[3] │ N", text))
