"""Which tables can be collections, and what a projection of one is."""

import faust
import pytest

from prom_faust import install
from prom_faust.exceptions import ConfigurationError


@pytest.fixture
def app():
    return faust.App("hub", broker="kafka://127.0.0.1:9", topic_partitions=4)


@pytest.fixture
def prom(app):
    return install(app, database=_Database())


class _Database:
    """Projections are declared here, and none is started."""

    def get_collection(self, name, **_):
        return name


def test_a_table_gives_its_name_its_changelog_and_json_keys(app, prom):
    options = prom.materialize(app.Table("totals", default=int)).options
    assert (options.collection, options.topic) == ("totals", "hub-totals-changelog")
    assert (options.record_key, options.compacted, options.routing) == ("json", True, "kafka")
    assert prom.projections["totals"].group == "hub.changelog:totals"


def test_the_changelog_is_created_as_faust_would(app, prom):
    prom.materialize(app.Table("totals", default=int))
    prom.materialize(app.Table("wide", partitions=16), collection="w")
    specs = {spec.name: spec for spec in prom.specs()}
    assert specs["hub-totals-changelog"].partitions == 4
    assert specs["hub-wide-changelog"].partitions == 16
    assert specs["hub-wide-changelog"].creation_config == {"cleanup.policy": "compact"}


def test_bytes_keys_are_text_and_a_map_of_ones_own_stays(app, prom):
    options = prom.materialize(app.Table("raw", key_type=bytes), map=["a"], collection="r").options
    assert (options.record_key, options.map) == ("text", ["a"])


def test_a_global_table_is_a_table(app, prom):
    assert prom.materialize(app.GlobalTable("all")).options.topic == "hub-all-changelog"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda app: app.Table("t", default=int).tumbling(60.0), "table t is windowed"),
        (lambda app: app.Table("t", default=int).hopping(60.0, 5.0), "table t is windowed"),
        (lambda app: app.SetTable("t"), "table t is a set"),
        (lambda app: app.SetTable("t").tumbling(60.0), "table t is windowed"),
        (lambda app: app.SetGlobalTable("t"), "table t is a set"),
        (lambda app: app.Table("t", value_type=bytes), "table t has values in raw"),
    ],
)
def test_these_tables_are_refused_by_name(app, prom, make, reason):
    with pytest.raises(ConfigurationError, match=reason):
        prom.materialize(make(app))
    assert prom.projections == {}


def test_a_windowed_table_is_refused_by_its_own_name_too(app, prom):
    table = app.Table("t", default=int)
    table.tumbling(60.0)
    with pytest.raises(ConfigurationError, match="table t is windowed"):
        prom.materialize(table)


def test_a_topic_needs_the_name_of_its_collection(prom):
    with pytest.raises(ConfigurationError, match="collection="):
        prom.materialize("orders")
