"""What a sink counts, and how long its batches take."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from prom_faust.sink.metrics import SinkHistograms
from prom_faust.sink.stats import SinkStats


def samples(histograms):
    registry = CollectorRegistry()
    registry.register(histograms)
    return {
        (sample.name.removeprefix("prom_faust_sink_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_the_seconds_of_outages_add_up_and_grow_while_one_lasts():
    stats = SinkStats()
    assert stats.outage_begins("away", 10.0)
    assert not stats.outage_begins("still away", 11.0)
    assert (stats.outage, stats.outage_seconds(12.0)) == ("still away", 2.0)
    assert stats.outage_ends(14.0)
    assert not stats.outage_ends(15.0)
    assert (stats.outage, stats.outage_seconds(99.0)) == (None, 4.0)
    stats.outage_begins("again", 100.0)
    assert stats.outage_seconds(101.0) == 5.0


def test_a_batch_is_measured_in_records_seconds_and_the_delay_of_its_oldest_and_newest():
    histograms = SinkHistograms()
    histograms.of("c", "t").applied(500, 0.25, oldest=1_000, newest=5_000, now=6_000)
    found = samples(histograms)
    assert found["batch_records_sum", "c", "t"] == 500
    assert found["batch_duration_seconds_sum", "c", "t"] == 0.25
    assert (found["delay_seconds_count", "c", "t"], found["delay_seconds_sum", "c", "t"]) == (2, 6)


def test_records_without_a_timestamp_or_from_the_future_have_no_delay():
    histograms = SinkHistograms()
    histograms.of("c", "t").applied(1, 0.1, oldest=-1, newest=7_000, now=6_000)
    found = samples(histograms)
    assert (found["delay_seconds_count", "c", "t"], found["delay_seconds_sum", "c", "t"]) == (1, 0)


def test_a_bulk_write_is_measured_in_operations_and_seconds():
    histograms = SinkHistograms()
    histograms.of("c", "t").wrote(20, 0.5)
    found = samples(histograms)
    assert found["bulk_write_operations_sum", "c", "t"] == 20
    assert found["bulk_write_duration_seconds_bucket", "0.5", "c", "t"] == 1


def test_sinks_and_apps_do_not_meet():
    one, other = SinkHistograms(), SinkHistograms()
    one.of("a", "t").wrote(1, 0.1)
    one.of("b", "t").wrote(2, 0.1)
    assert samples(one)["bulk_write_operations_sum", "a", "t"] == 1
    assert samples(other) == {}
