"""`prom-faust new`: what it writes runs, as its own output says."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.support.worker import ROOT, FaustWorker

PROM_FAUST = [sys.executable, "-c", "from prom_faust.cli.main import main; main()"]
ITEMS = [{"_key": f"item-{number}", "id": f"item-{number}", "count": number} for number in range(3)]


def run(folder, *command, **environment):
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def new(folder, *arguments):
    return run(folder, *PROM_FAUST, "new", *arguments)


async def test_the_app_runs_and_its_items_are_in_mongodb(kafka, mongo, unique, tmp_path):
    written = new(tmp_path, unique)
    assert written.returncode == 0, written.stderr
    environment = {"KAFKA_URL": kafka.url, "MONGO_URL": f"{mongo.url}/{unique}"}
    promised = re.findall(rf"faust -A {unique} (.+)", written.stdout)
    assert promised == ["worker -l info", "fill", "sink verify items"]
    worker = FaustWorker(unique, tmp_path / "log", environment, folder=tmp_path)
    with worker, MongoClient(mongo.url, directConnection=True) as client:
        worker.until("Worker ready")
        for command in promised[1:]:
            done = run(tmp_path, sys.executable, "-m", "faust", "-A", unique, *command.split(), **environment)
            assert done.returncode == 0, done.stdout + done.stderr
        deadline = time.monotonic() + 30
        while client[unique].items.count_documents({}) != 3:
            assert time.monotonic() < deadline, worker.tail()
            time.sleep(0.1)
        found = list(client[unique].items.find({}, {"_id": 0, "_ts": 0, "_src": 0}).sort("_key"))
        client.drop_database(unique)
        worker.stop()
    assert found == ITEMS


def test_a_command_before_the_first_worker_says_that_one_is_needed(kafka, mongo, unique, tmp_path):
    assert new(tmp_path, unique).returncode == 0
    began = time.monotonic()
    done = run(
        tmp_path,
        *(sys.executable, "-m", "faust", "-A", unique, "fill"),
        KAFKA_URL=kafka.url,
        MONGO_URL=f"{mongo.url}/{unique}",
    )
    assert done.returncode != 0
    assert f"topic {unique}.items is not there, or Kafka is away: start a worker" in done.stderr
    assert time.monotonic() - began < 30


def test_it_writes_where_it_is_told_and_says_how_to_get_there(tmp_path):
    (tmp_path / "my apps").mkdir()
    written = new(tmp_path, "shop", "--directory", "my apps")
    assert (tmp_path / "my apps" / "shop.py").is_file()
    assert written.stdout.startswith("wrote my apps/shop.py\n")
    assert written.stdout.count("    cd 'my apps'\n") == 2


def test_it_does_not_overwrite_unless_it_is_told_to(tmp_path):
    Path(tmp_path / "shop.py").write_text("mine")
    refused = new(tmp_path, "shop")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(r"Error: shop\.py is there already: .*--force\n", refused.stderr)
    assert (tmp_path / "shop.py").read_text() == "mine"
    assert new(tmp_path, "shop", "--force").returncode == 0
    assert "install(app" in (tmp_path / "shop.py").read_text()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("my-shop", "cannot be a module"),
        ("1shop", "cannot be a module"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cannot be a module"),
        ("../shop", "cannot be a module"),
        ("s" * 61, "cannot be a module"),
        ("class", "keyword"),
        ("None", "keyword"),
        ("admin", "MongoDB"),
        ("json", "is a module already"),
        ("faust", "is a module already"),
        ("agents", "is a module already"),
        ("__main__", "is a module already"),
    ],
)
def test_a_name_that_would_not_work_is_refused(tmp_path, name, reason):
    refused = new(tmp_path, name)
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert "Choose another name" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []
