"""Processes of this machine as heartbeats."""

import os
import subprocess
import sys

import pytest

from agents.collector import Collector, Sample, heartbeat_of, process_id

SAMPLE = Sample(pid=7, started=1_700_000_000.25, name="sleep", cpu_pct=12.34, rss=3 * 1024 * 1024, sid=5)


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield process
        process.kill()


def of_pid(found, pid):
    return {key: heartbeat for key, heartbeat in found if heartbeat.pid == pid}


def test_the_key_is_host_pid_and_start_time():
    assert process_id("box", SAMPLE) == "box:7:1700000000250"


def test_a_heartbeat_has_rounded_figures_in_mebibytes_and_percent():
    heartbeat = heartbeat_of("box", SAMPLE)
    assert (heartbeat.cpu_pct, heartbeat.mem_mb) == (12.3, 3.0)
    assert (heartbeat.pid, heartbeat.name, heartbeat.host, heartbeat.sid) == (7, "sleep", "box", 5)


@pytest.mark.parametrize("sid", [None, 0])
def test_an_unreadable_session_and_none_are_absent(sid):
    sample = Sample(pid=7, started=0, name="kthreadd", cpu_pct=0, rss=0, sid=sid)
    assert heartbeat_of("box", sample).sid is None


def test_a_process_keeps_its_key_and_its_cpu_use_is_measured_between_rounds(child):
    collector = Collector("box")
    (first,) = of_pid(collector.collect(), child.pid).items()
    busy = 0.0
    while busy == 0.0:
        (later,) = of_pid(collector.collect(), child.pid).items()
        busy = later[1].cpu_pct
    assert first[0] == later[0]
    assert first[1].cpu_pct == 0.0


def test_the_session_is_the_one_that_the_system_tells(child):
    (heartbeat,) = of_pid(Collector("box").collect(), child.pid).values()
    assert heartbeat.sid == (os.getsid(child.pid) or None)


def test_a_process_that_has_ended_is_in_no_later_round(child):
    collector = Collector("box")
    assert of_pid(collector.collect(), child.pid)
    child.kill()
    child.wait()
    assert not of_pid(collector.collect(), child.pid)
