"""The lock: one process at a time, and none is left behind by a process that was killed."""

import subprocess
import sys

from prom_faust.local.lock import exclusive

HOLD = """
import sys, time
from pathlib import Path
from prom_faust.local.lock import exclusive
with exclusive(Path(sys.argv[1]), purpose="holding"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def hold(path, seconds):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_process_waits_and_says_for_what(tmp_path):
    steps = []
    with (
        hold(tmp_path / "lock", 0.5) as holder,
        exclusive(tmp_path / "lock", purpose="tea", progress=steps.append),
    ):
        assert holder.wait(5) == 0
    assert steps == ["waiting for another process that is busy with tea"]


def test_a_killed_holder_leaves_no_lock(tmp_path):
    with hold(tmp_path / "lock", 60) as holder:
        holder.kill()
    steps = []
    with exclusive(tmp_path / "lock", purpose="tea", progress=steps.append):
        assert steps == []
