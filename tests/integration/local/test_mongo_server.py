"""A real MongoDB-wire server: it keeps what it acknowledged, and does not outlive its owner."""

import subprocess
import sys

import psutil
import pytest
from pymongo import MongoClient

from prom_faust.exceptions import LocalStackError
from prom_faust.local import MongoServer, free_port
from prom_faust.local.ports import is_free

OWNER = """
import sys
from pathlib import Path
from prom_faust.local import MongoServer
server = MongoServer(Path(sys.argv[1]), int(sys.argv[2]), detached=sys.argv[3] == "detached")
server.start()
print(server.pid)
"""


def test_acknowledged_documents_survive_a_kill_on_the_same_port(tmp_path):
    with MongoServer(tmp_path, free_port()) as server:
        with MongoClient(server.url) as client:
            client.prom.kept.insert_many([{"_id": number} for number in range(20)])
        server.kill()
        assert not server.running
        server.start()
        with MongoClient(server.url) as client:
            assert [document["_id"] for document in client.prom.kept.find().sort("_id")] == list(range(20))
    assert is_free(server.port)


def test_broken_storage_is_told_with_the_log(tmp_path):
    (tmp_path / "data").write_text("no folder")
    server = MongoServer(tmp_path, free_port())
    with pytest.raises(LocalStackError, match=r"(?s)mongo ended while it started\n.*log: .*mongo\.log$"):
        server.start()
    assert not server.running


def run_owner(tmp_path, mode):
    command = [sys.executable, "-c", OWNER, str(tmp_path), str(free_port()), mode]
    return int(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)


def test_it_ends_with_the_process_that_started_it(tmp_path):
    assert not psutil.pid_exists(run_owner(tmp_path, "attached"))


def test_detached_it_lives_on(tmp_path):
    process = psutil.Process(run_owner(tmp_path, "detached"))
    assert process.is_running()
    process.kill()
    process.wait(10)
