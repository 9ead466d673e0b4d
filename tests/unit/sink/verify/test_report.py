"""The report as a verdict and as JSON."""

import json
from dataclasses import replace

import pytest

from prom_faust.sink.verify.report import Difference, Kind, Report

CLEAN = Report(
    collection="c",
    topic="t",
    group="g",
    records=10,
    letters=1,
    dead=1,
    keys=3,
    documents=3,
    markers=1,
    missing=0,
    extra=0,
    different=0,
    poison=0,
    retained=2,
    moving=1,
    leftover=1,
    seconds=2.0,
    differences=(Difference(Kind.RETAINED, "a", "because"),),
)


def test_retained_moving_leftover_and_markers_are_no_differences():
    assert CLEAN.clean


@pytest.mark.parametrize("kind", ["missing", "extra", "different", "poison"])
def test_each_kind_of_difference_makes_it_unclean(kind):
    assert not replace(CLEAN, **{kind: 1}).clean


def test_it_is_one_json_object():
    made = json.loads(json.dumps(CLEAN.as_json()))
    assert made["clean"] is True
    assert made["records_per_second"] == 5.0
    assert made["differences"] == [{"kind": "retained", "key": "a", "reason": "because"}]
