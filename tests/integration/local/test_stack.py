"""The stack through its command, as a user runs it: a process per call, a home per test."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import psutil
import pytest
from pymongo import MongoClient

from prom_faust.local import free_port
from prom_faust.local.ports import HOST

COMMAND = [sys.executable, "-c", "from prom_faust.cli.main import main; main()", "local"]


class Home:
    """A stack of its own, driven by the command."""

    def __init__(self, path):
        self.path = path

    def run(self, *arguments):
        return subprocess.run(
            [*COMMAND, *arguments],
            env={**os.environ, "PROM_FAUST_HOME": str(self.path)},
            check=False,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def json(self, *arguments):
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    yield home
    home.run("down")


def test_up_is_idempotent_starts_only_what_died_and_down_keeps_data(home):
    first = home.json("up")
    assert first["running"]

    again = home.run("up")
    assert again.returncode == 0
    assert again.stdout.startswith("already running\n")
    assert first["kafka"]["url"] in again.stdout
    assert home.run("status").returncode == 0

    with MongoClient(first["mongo"]["url"]) as client:
        client.prom.kept.insert_one({"_id": 1})
    psutil.Process(first["mongo"]["pid"]).kill()
    assert home.run("status").returncode == 1

    revived = home.json("up")
    assert revived["kafka"] == first["kafka"]
    assert revived["mongo"]["url"] == first["mongo"]["url"]
    assert revived["mongo"]["pid"] != first["mongo"]["pid"]
    with MongoClient(revived["mongo"]["url"]) as client:
        assert client.prom.kept.count_documents({}) == 1

    assert home.run("down").returncode == 0
    assert home.json("status")["running"] is False
    assert not psutil.pid_exists(revived["kafka"]["pid"])
    assert (home.path / "mongo" / "data").exists()

    assert home.run("down", "--reset").returncode == 0
    assert not (home.path / "mongo").exists()
    assert not (home.path / "kafka").exists()


def test_taken_default_ports_are_replaced_and_two_ups_at_once_start_one_stack(home):
    with ExitStack() as taken:
        for port in (9092, 27017):
            # Whoever has the port, this test or another program: it is taken.
            try:
                taken.enter_context(socket.create_server((HOST, port)))
            except OSError:
                continue
        runs = [
            subprocess.Popen(
                [*COMMAND, "up", "--json"],
                env={**os.environ, "PROM_FAUST_HOME": str(home.path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        one, other = (json.loads(run.communicate(timeout=90)[0]) for run in runs)
    assert one == other
    assert one["running"]
    assert not one["kafka"]["url"].endswith(":9092")
    assert not one["mongo"]["url"].endswith(":27017")


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_of_one_line(home):
    with socket.create_server((HOST, free_port())) as server:
        port = server.getsockname()[1]
        result = home.run("up", "--kafka-port", str(port))
    assert result.returncode == 1
    assert result.stderr == f"prom-faust: port {port}, asked for kafka, is taken by another process\n"


def test_down_spares_a_process_that_got_a_recorded_id_later(home):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        record = {"name": "mongo", "port": 1, "url": "mongodb://x", "log": str(home.path / "mongo.log")}
        home.path.mkdir()
        began = psutil.Process(stranger.pid).create_time()
        state = {"mongo": {**record, "pid": stranger.pid, "created": began - 3600}}
        (home.path / "stack.json").write_text(json.dumps(state))

        assert home.json("status")["mongo"]["running"] is False
        assert home.run("down").returncode == 0
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_does_not_start_shows_its_log_and_no_traceback(home):
    (home.path / "kafka" / "data").mkdir(parents=True)
    result = home.run("up")
    assert result.returncode == 1
    assert "prom-faust: kafka ended while it started\n" in result.stderr
    assert result.stderr.endswith(f"log: {home.path}/kafka/kafka.log\n")
    assert "Traceback" not in result.stderr
