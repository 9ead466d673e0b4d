import pytest

from prom_faust.routing.hashing import partition_of
from prom_faust.routing.kafka import HOMES, default_partition
from prom_faust.routing.sample import Expectation, Placement, Verdict, judge, leftover_text, mismatch_text

KEYS = [f"host-{number}".encode() for number in range(400)]


def placed(home, partitions, keys=KEYS):
    return [Placement(key, home(key, partitions)) for key in keys]


def by_jump(placements, partitions):
    return judge(placements, partitions, "jump", HOMES)


def by_kafka(placements, partitions):
    return judge(placements, partitions, "kafka", HOMES)


@pytest.mark.parametrize("partitions", [1, 2, 8, 64])
def test_keys_at_home_are_right(partitions):
    assert by_jump(placed(partition_of, partitions), partitions) == Verdict(400, 0, 0)
    assert by_kafka(placed(default_partition, partitions), partitions) == Verdict(400, 0, 0)


@pytest.mark.parametrize("partitions", [2, 3, 8, 64, 1_000])
def test_keys_of_the_other_partitioner_are_a_mismatch(partitions):
    for verdict in (
        by_jump(placed(default_partition, partitions), partitions),
        by_kafka(placed(partition_of, partitions), partitions),
    ):
        assert verdict.mismatch
        assert verdict.share > 0.1
        assert verdict.explained == verdict.misplaced
        assert len(verdict.examples) == 3


@pytest.mark.parametrize(("before", "after"), [(1, 2), (4, 6), (8, 9), (8, 64)])
def test_what_growth_has_left_behind_is_not_misplaced(before, after):
    verdict = by_jump(placed(partition_of, before), after)
    moved = sum(partition_of(key, before) != partition_of(key, after) for key in KEYS)
    assert (verdict.misplaced, verdict.leftover) == (0, moved)
    assert not verdict.mismatch
    assert len(verdict.leftovers) == 3


def test_a_home_at_any_earlier_count_is_an_excuse_and_no_other_partition_is():
    for key in KEYS[:50]:
        earlier = {partition_of(key, count) for count in range(1, 8)}
        for partition in range(8):
            verdict = by_jump([Placement(key, partition)], 8)
            right = partition == partition_of(key, 8)
            assert verdict.leftover == (partition in earlier and not right)
            assert verdict.misplaced == (partition not in earlier and not right)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (4, 6), (4, 8), (8, 64)])
def test_a_topic_of_the_default_partitioner_may_have_grown_as_well(before, after):
    verdict = by_kafka(placed(default_partition, before), after)
    moved = sum(default_partition(key, before) != default_partition(key, after) for key in KEYS)
    assert (verdict.misplaced, verdict.leftover) == (0, moved)
    assert not verdict.mismatch


def test_a_key_counts_once_and_its_worst_place_counts():
    key = b"host-1"
    assert [partition_of(key, count) for count in (3, 5, 8)] == [1, 4, 5]
    home, former, never = Placement(key, 5), Placement(key, 4), Placement(key, 3)
    assert (
        by_jump([home, home, former], 8)
        == by_jump([former, home], 8)
        == Verdict(1, 0, 1, leftovers=by_jump([former], 8).leftovers)
    )
    assert by_jump([never, home], 8).misplaced == 1
    assert by_jump([home, never, former], 8).sampled == 1


def test_a_tombstone_where_a_key_was_before_is_no_old_copy():
    assert by_jump([Placement(b"host-1", 4, live=False), Placement(b"host-1", 5)], 8) == Verdict(1, 0, 0)


def test_a_tombstone_where_a_key_never_was_is_misplaced():
    assert by_jump([Placement(b"host-1", 3, live=False)], 8).misplaced == 1


@pytest.mark.parametrize(
    ("sampled", "misplaced", "explained", "mismatch"),
    [
        (0, 0, 0, False),
        (2, 2, 2, False),
        (9, 9, 9, False),
        (10, 10, 9, True),
        (10, 10, 0, True),
        (100, 10, 9, True),
        (100, 10, 8, False),
        (200, 10, 10, False),
        (100, 50, 0, False),
        (100, 51, 0, True),
    ],
)
def test_a_mismatch_is_what_another_rule_explains_or_what_most_keys_are(
    sampled, misplaced, explained, mismatch
):
    assert Verdict(sampled, misplaced, 0, explained).mismatch is mismatch


def test_records_whose_senders_choose_one_partition_are_no_mismatch_as_long_as_they_are_not_most():
    chosen = [Placement(f"own-{number}".encode(), 3) for number in range(100)]
    verdict = by_jump([*placed(partition_of, 8), *chosen], 8)
    assert verdict.misplaced > 50
    assert not verdict.mismatch


def test_nothing_sampled_is_no_share():
    assert by_jump([], 8).share == 0


def test_a_mismatch_names_the_topic_the_share_an_example_and_what_to_do():
    found = placed(default_partition, 8)
    verdict = by_jump(found, 8)
    text = mismatch_text(Expectation("states", "jump"), verdict)
    example = verdict.examples[0]
    assert "topic states" in text
    assert f"{verdict.share:.0%} of 400 sampled keys" in text
    assert f"key {example.key!r} is in partition {example.partition} and should be in {example.home}" in text
    assert (
        f"{verdict.misplaced} of these {verdict.misplaced} are where Kafka's default partitioner puts" in text
    )
    assert 'Declare routing="kafka" if other clients' in text
    assert "produce the keys again" in text


def test_the_other_declaration_names_the_other_remedy():
    found = placed(partition_of, 8)
    text = mismatch_text(Expectation("states", "kafka"), by_kafka(found, 8))
    assert "not where Kafka's default partitioner puts them" in text
    assert 'Declare routing="jump"' in text


def test_what_is_left_over_is_named_with_the_re_homing():
    verdict = by_jump(placed(partition_of, 4), 6)
    text = leftover_text("states", 6, verdict)
    assert f"{verdict.leftover} of 400 sampled keys" in text
    assert str(verdict.leftovers[0]) in text
    assert "re-home" in text


def test_a_key_that_is_no_text_is_shown():
    (example,) = by_jump([Placement(b"\xff\x00", jump_elsewhere(b"\xff\x00"))], 8).examples
    assert example.key == "\\xff\x00"


def jump_elsewhere(key):
    visited = {partition_of(key, count) for count in range(1, 9)}
    return next(partition for partition in range(8) if partition not in visited)
