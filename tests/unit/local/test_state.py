"""The state file: a process is recognised by its id and its begin, never by its id alone."""

import subprocess
import sys

import psutil
import pytest

from prom_faust.exceptions import LocalStackError
from prom_faust.local.state import ServerRecord, find_process, load_records, save_records


@pytest.fixture
def sleeper():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def record(pid, created, tmp_path):
    return ServerRecord(
        name="kafka", pid=pid, created=created, port=1, url="kafka://x", log=tmp_path / "kafka.log"
    )


def test_the_recorded_process_is_found(sleeper, tmp_path):
    found = find_process(record(sleeper.pid, sleeper.create_time(), tmp_path))
    assert found is not None
    assert found.pid == sleeper.pid


def test_a_process_that_got_the_id_later_is_not_found(sleeper, tmp_path):
    assert find_process(record(sleeper.pid, sleeper.create_time() - 60, tmp_path)) is None


def test_a_process_that_ended_is_not_found_even_before_it_is_reaped(sleeper, tmp_path):
    known = record(sleeper.pid, sleeper.create_time(), tmp_path)
    sleeper.kill()
    while sleeper.is_running() and sleeper.status() != psutil.STATUS_ZOMBIE:
        pass
    assert find_process(known) is None


def test_records_survive_the_file(tmp_path):
    known = record(1, 2.5, tmp_path)
    save_records(tmp_path / "home" / "stack.json", [known])
    assert load_records(tmp_path / "home" / "stack.json") == {"kafka": known}


def test_no_file_means_no_records(tmp_path):
    assert load_records(tmp_path / "stack.json") == {}


@pytest.mark.parametrize("content", ["", "[]", '{"kafka": {"pid": "many"}}'])
def test_a_file_of_something_else_is_named_in_the_error(tmp_path, content):
    path = tmp_path / "stack.json"
    path.write_text(content)
    with pytest.raises(LocalStackError, match=r"stack\.json is not a state file"):
        load_records(path)
