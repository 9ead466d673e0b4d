"""The settings that the benchmark gives the connector."""

from pathlib import Path

import pytest

from benchmarks.connector import sink_settings, worker_settings
from benchmarks.settings import RunSettings
from benchmarks.workload import WORKLOADS


def run(workload):
    return RunSettings(
        name="one",
        broker="kafka://127.0.0.1:9092",
        mongo="mongodb://127.0.0.1:27017",
        mongo_pid=1,
        workload=workload,
        records=1,
        limit=1.0,
        report=Path("one.json"),
    )


def test_the_worker_listens_on_this_machine_only():
    settings = worker_settings(run("unique"), Path("plugin"), Path("folder"), 8083)
    assert settings["listeners"] == "http://127.0.0.1:8083"
    assert settings["bootstrap.servers"] == "127.0.0.1:9092"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_connector_deletes_by_the_record_key_where_there_are_nulls(workload):
    settings = sink_settings(run(workload))
    assert (settings.get("delete.on.null.values") == "true") == (workload == "tombstones")
    assert settings["document.id.strategy"].endswith("PartialKeyStrategy") == (workload == "tombstones")
