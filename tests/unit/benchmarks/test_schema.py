"""The schema of the benchmark's topics."""

import pytest

from benchmarks.schema import Process
from benchmarks.workload import WORKLOADS, events


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_value_obeys_the_schema_and_is_stored_whole(workload):
    for event in events(workload, 500):
        if event.value is not None:
            process = Process.model_validate_json(event.value)
            assert process.model_dump(by_alias=True, exclude_unset=True) == event.fields
