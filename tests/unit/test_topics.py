import pytest

from prom_faust.topics import TopicSpec, TopicState, check_topic


def faults(partitions, compacted, state):
    return list(check_topic(TopicSpec("states", partitions, compacted, {}), TopicState(*state)))


@pytest.mark.parametrize(
    ("partitions", "compacted", "state"),
    [
        (8, True, (8, "compact")),
        (8, False, (8, "delete")),
        (None, True, (3, "compact")),
        (None, None, (3, "delete")),
        (8, None, (8, "compact")),
    ],
)
def test_a_topic_as_declared_has_no_faults(partitions, compacted, state):
    assert faults(partitions, compacted, state) == []


@pytest.mark.parametrize("found", [7, 9])
def test_another_partition_count_is_a_fault_with_what_to_do(found):
    (fault,) = faults(8, True, (found, "compact"))
    assert f"topic states has {found} partitions, the app declares 8" in fault
    assert f"declare partitions={found}" in fault


@pytest.mark.parametrize(
    ("compacted", "policy", "wanted"),
    [
        (True, "delete", "compact"),
        (True, "compact,delete", "compact"),
        (False, "compact", "delete"),
        (False, "compact,delete", "delete"),
    ],
)
def test_another_cleanup_policy_is_a_fault_with_what_to_do(compacted, policy, wanted):
    (fault,) = faults(8, compacted, (8, policy))
    assert f"topic states has cleanup.policy={policy}, the app declares {wanted}" in fault
    assert f"--entity-name states --add-config cleanup.policy={wanted}" in fault
    assert f"declare compacted={not compacted}" in fault


def test_all_faults_are_told():
    assert len(faults(8, True, (1, "delete"))) == 2


def test_a_compacted_topic_is_created_compacted():
    assert TopicSpec("t", 1, compacted=True, config={"a": "1"}).creation_config == {
        "cleanup.policy": "compact",
        "a": "1",
    }
    for compacted in (False, None):
        assert TopicSpec("t", 1, compacted, {"a": "1"}).creation_config == {"a": "1"}


def test_the_app_s_own_cleanup_policy_wins():
    config = {"cleanup.policy": "compact,delete"}
    assert TopicSpec("t", 1, compacted=True, config=config).creation_config == config


def test_a_cleanup_policy_that_the_app_asks_for_is_no_fault():
    spec = TopicSpec("t", 1, compacted=True, config={"cleanup.policy": "compact,delete"})
    assert list(check_topic(spec, TopicState(1, "delete,compact"))) == []
