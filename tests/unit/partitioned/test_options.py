import math

import pytest

from prom_faust.exceptions import ConfigurationError
from prom_faust.partitioned.options import PartitionedOptions, repartition_spec


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"group": ""}, "group="),
        ({"group": 5}, "group="),
        ({"member_id": 5}, "member_id="),
        ({"member_id": "\ud800"}, "member_id="),
        ({"partitions": 2.5}, "partitions="),
        ({"partitions": True}, "partitions="),
        ({"key_of": 5}, "key_of="),
        ({"key_of": ""}, "key_of="),
        ({"ttl": "15"}, "ttl="),
        ({"ttl": math.inf}, "ttl="),
        ({"ttl": math.nan}, "ttl="),
        ({"ttl": 1e12}, "ttl="),
        ({"on_assigned": 5}, "on_assigned="),
        ({"on_revoked": "x"}, "on_revoked="),
        ({"member_id": ""}, "member_id="),
        ({"partitions": 0}, "partitions="),
        ({"rebalance_every": 0.0}, "rebalance_every="),
        ({"ttl": 3.0, "rebalance_every": 3.0}, "more than rebalance_every="),
        ({"group": "", "partitions": -1}, "group=.*partitions="),
    ],
)
def test_options_that_cannot_be_are_all_named(wrong, text):
    with pytest.raises(ConfigurationError, match=text):
        PartitionedOptions(**{"topic": "t", "group": "g", **wrong})


def test_the_repartition_topic_is_named_by_everything_that_makes_it_another():
    spec = repartition_spec("app", PartitionedOptions(topic="t", group="g", partitions=8))
    assert (spec.name, spec.partitions, spec.compacted) == ("app-g-t-8-repartition", 8, False)
    assert spec.creation_config["cleanup.policy"] == "delete"


@pytest.mark.parametrize("group", ["a:b", "ä", "x" * 240])
def test_a_group_whose_name_makes_no_topic_is_an_error(group):
    with pytest.raises(ConfigurationError, match="give another group="):
        repartition_spec("app", PartitionedOptions(topic="t", group=group, partitions=8))
