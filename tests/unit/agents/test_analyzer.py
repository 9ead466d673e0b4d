"""What the analyzer makes of an event, and what it needs of the machine."""

import subprocess
import sys

from agents.analyzer import finding_of
from agents.models import Finding, Heartbeat, registry
from prom_faust.lane.record import TopicPartition
from prom_faust.partitioned.event import PartitionedEvent
from tests.support.hub import ROOT


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_finding_says_what_the_heartbeat_said_and_passes_its_schema():
    event = PartitionedEvent(
        key="box:7:1",
        value=Heartbeat(pid=7, name="web", host="box", cpu_pct=95.0, mem_mb=120.5),
        partition=3,
        headers={},
        timestamp=1_700_000_000_000,
        source=TopicPartition("heartbeat.received", 3),
        offset=9,
    )
    finding = finding_of(event, score=0.87654, samples=57)
    assert finding == Finding(
        processId="box:7:1", score=0.877, cpu_pct=95.0, mem_mb=120.5, at=1_700_000_000_000, samples=57
    )
    version = registry.find("process.finding").latest
    assert (version.number, version.decode(finding.model_dump_json().encode())) == (1, finding)


def test_a_worker_loads_every_module_and_not_the_library_that_scores():
    code = (
        "import agents.analyzer, agents.anomaly, sys; print({'river', 'numpy', 'scipy'} & sys.modules.keys())"
    )
    assert python(code).stdout == "set()\n"


def test_without_the_library_the_worker_says_what_to_install():
    done = python("import sys; sys.modules['river'] = None; import agents.analyzer")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        'ConfigurationError: the analyzer needs river: pip install "prom-faust[agents]"'
    )
