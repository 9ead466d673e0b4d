"""What the benchmark makes of its runs."""

from benchmarks.measurement import Measurement
from benchmarks.speed_report import speed_json, speed_tables, speed_verdicts


def rounds(*rates):
    return [
        Measurement(
            records=1_000,
            seconds=1_000 / rate,
            cpu_seconds=0.02,
            server_cpu_seconds=0.1,
            rss=50_000_000,
            peak_rss=70_000_000,
        )
        for rate in rates
    ]


def test_a_target_is_met_by_the_median_of_the_ratios_of_its_rounds():
    speed = {("unique", "sink"): rounds(950, 100, 99), ("unique", "ceiling"): rounds(1_000, 100, 300)}
    (verdict,) = speed_verdicts(speed)
    assert [round(ratio, 2) for ratio in verdict.ratios] == [0.95, 1.0, 0.33]
    assert verdict.met


def test_a_target_is_missed_though_one_round_met_it():
    speed = {("hot", "sink"): rounds(499, 900, 400), ("hot", "connector"): rounds(100, 100, 100)}
    (verdict,) = speed_verdicts(speed)
    assert verdict.word == "MISSED"


def test_a_line_holds_medians_and_ratios_to_ceiling_and_connector():
    speed = {("large", "sink"): rounds(200, 100, 300), ("large", "connector"): rounds(100, 100, 100)}
    line = speed_json(speed)["large"]["sink"]
    assert (round(line["rate"]), round(line["lowest"]), round(line["highest"])) == (200, 100, 300)
    assert (line["to_ceiling"], round(line["to_connector"], 3)) == (None, 2.0)
    assert (round(line["cpu"]), round(line["server_cpu"]), line["megabytes"]) == (20, 100, 50)
    assert line["peak_megabytes"] == 70
    assert len(line["runs"]) == 3


def test_only_measured_workloads_have_a_table():
    (table,) = speed_tables({("tombstones", "sink"): rounds(1)})
    assert "tombstones" in table.title
    assert table.row_count == 1
