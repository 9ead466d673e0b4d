import doctest
import json
from pathlib import Path
from random import Random
from statistics import median

import pytest

from prom_faust.assignment import rendezvous
from prom_faust.assignment.rendezvous import Member, Placement, place, room
from tests.support import rendezvous as reference

FILE = Path(__file__).parents[2] / "vectors" / "rendezvous.json"
VECTORS = json.loads(FILE.read_text(encoding="utf-8"))


def crew(count, **weights):
    return [Member(f"w{number}", weights.get(f"w{number}", 1.0)) for number in range(count)]


def owned(placement, members):
    return {member.name: placement.owners.count(member.name) for member in members}


def moved(before, after):
    return [p for p, (old, new) in enumerate(zip(before.owners, after.owners, strict=True)) if old != new]


@pytest.mark.parametrize(
    "case", VECTORS["cases"], ids=lambda case: f"{len(case['members'])}x{case['partitions']}"
)
def test_homes_are_the_ones_that_they_have_always_been(case):
    options = {key: case[key] for key in ("standbys", "load_factor", "salt") if key in case}
    found = place([Member(*member) for member in case["members"]], case["partitions"], **options)
    assert list(found.owners) == case["owners"]
    assert [list(line) for line in found.standbys] == case["lines"]


@pytest.mark.parametrize("vector", VECTORS["hashes"], ids=lambda vector: ascii(vector["name"][:20]))
def test_a_score_is_the_one_that_it_has_always_been(vector):
    rows = rendezvous._scores([Member(vector["name"])], 4, "")
    assert [f"{row[0]:016x}" for row in rows] == vector["hash"]


def test_the_vectors_are_those_of_the_program_that_they_name():
    assert FILE.read_text(encoding="utf-8") == reference.text()


def test_without_members_or_partitions_there_is_nothing():
    assert place([], 8) == place(crew(3), 0) == place(crew(3), -1) == Placement((), ())


def test_one_member_has_everything_and_no_standby():
    assert place(crew(1), 3, standbys=2) == Placement(("w0",) * 3, ((),) * 3)


def test_standbys_are_not_asked_for_by_default():
    assert place(crew(3), 2).standbys == ((), ())


def test_of_two_with_one_name_one_counts():
    assert place([Member("a"), Member("a"), Member("b")], 16) == place([Member("a"), Member("b")], 16)


def test_a_few_partitions_are_shared_evenly():
    for members in range(1, 9):
        counts = owned(place(crew(members), 8), crew(members)).values()
        assert max(counts) - min(counts) <= 2
        assert min(counts) >= 1


@pytest.mark.parametrize("partitions", [50, 51, 64, 100])
def test_nobody_is_idle_where_there_are_partitions_enough(partitions):
    members = crew(50)
    assert min(owned(place(members, partitions), members).values()) >= 1


def test_with_fewer_partitions_than_members_nobody_has_two():
    members = crew(20)
    assert max(owned(place(members, 7), members).values()) == 1


def test_a_strict_bound_is_the_fair_share():
    members = crew(7)
    assert set(owned(place(members, 70, load_factor=1.0), members).values()) == {10}


def test_the_room_is_the_fair_share_rounded_up_or_that_times_the_factor():
    assert room([1, 1, 1], 64, 1.25) == [26, 26, 26]
    assert room([1, 1, 1], 64, 1.0) == [22, 22, 22]
    assert room([1, 1, 1], 4, 1.25) == [2, 2, 2]
    assert room([1, 3], 8, 1.0) == [2, 6]


def test_the_room_is_exact():
    # In floats, relative to the largest, the share of the heaviest is 1.0000000000000002.
    assert room([0.5, 1.5, 0.25, 0.25, 0.25, 0.25, 0.5, 1.0, 1.5], 4, 1.0) == [1] * 9


@pytest.mark.parametrize("weights", [(1e308, 1e308), (1e-320, 1e308), (5e-324, 5e-324)])
def test_no_weight_is_too_large_or_too_small(weights):
    members = [Member(str(number), weight) for number, weight in enumerate(weights)]
    assert len(place(members, 8, standbys=1).owners) == 8


def test_equal_weights_are_no_weights():
    assert place([Member(m.name, 2.5) for m in crew(5)], 64, standbys=1) == place(crew(5), 64, standbys=1)


def test_a_weight_is_a_share():
    members = crew(4, w1=2.0, w2=3.0, w3=0.5)
    counts = owned(place(members, 26_000, load_factor=100), members)
    for member in members:
        expected = 4_000 * member.weight
        # Binomial: five standard deviations are never seen by chance.
        assert abs(counts[member.name] - expected) < 5 * expected**0.5


def test_a_changed_weight_moves_its_own_part_only():
    before = place(crew(4, w0=1.001), 20_000, load_factor=100)
    after = place(crew(4, w0=2.0), 20_000, load_factor=100)
    assert {after.owners[p] for p in moved(before, after)} == {"w0"}
    assert abs(len(moved(before, after)) / 20_000 - (2 / 5 - 1 / 4)) < 0.02


def test_a_salt_gives_other_homes():
    one, other = place(crew(4), 1_000, salt="a"), place(crew(4), 1_000, salt="b")
    assert 650 < len(moved(one, other)) < 850


def test_a_name_is_not_mistaken_for_another_name_with_a_salt():
    longer, salted = (
        rendezvous._scores([Member("ab")], 4, ""),
        rendezvous._scores([Member("a")], 4, "b"),
    )
    assert longer != salted


def test_any_text_is_a_name():
    names = ["", "\x00", "a\nb", "\ud800", "x" * 5_000]
    assert len(place([Member(name) for name in names], 32, standbys=1).owners) == 32


@pytest.mark.parametrize("factor", [1.0, 1.25, 8.0])
def test_a_restart_under_the_same_names_moves_nothing_whatever_the_order(factor):
    members = crew(10)
    before = place(members, 256, standbys=1, load_factor=factor)
    for seed in range(5):
        shuffled = [Member(m.name) for m in Random(seed).sample(members, len(members))]
        assert place(shuffled, 256, standbys=1, load_factor=factor) == before


@pytest.mark.parametrize("standbys", [0, 1])
@pytest.mark.parametrize(("members", "partitions"), [(3, 64), (10, 256), (20, 1024)])
def test_who_leaves_moves_hardly_more_than_it_owned(members, partitions, standbys):
    everybody = crew(members)
    before = place(everybody, partitions, standbys=standbys)
    ratios = []
    for gone in everybody:
        after = place([member for member in everybody if member != gone], partitions, standbys=standbys)
        ratios.append(len(moved(before, after)) / before.owners.count(gone.name))
    assert min(ratios) >= 1
    assert median(ratios) <= 1.1


def test_most_partitions_of_a_leaver_go_to_their_standby():
    everybody = crew(10)
    before = place(everybody, 256, standbys=1)
    after = place(everybody[1:], 256, standbys=1)
    lost = [p for p, owner in enumerate(before.owners) if owner == "w0"]
    warm = [p for p in lost if after.owners[p] in before.standbys[p]]
    assert len(warm) >= 0.8 * len(lost)


def test_standbys_are_the_next_ranks_where_there_is_room():
    ample = place(crew(5), 64, standbys=2, load_factor=50)
    for gone in crew(5):
        without = place([member for member in crew(5) if member != gone], 64, load_factor=50)
        for p, owner in enumerate(ample.owners):
            if owner == gone.name:
                assert without.owners[p] == ample.standbys[p][0]


def test_standbys_are_shared_too():
    members = crew(10)
    lines = place(members, 256, standbys=1).standbys
    counts = [sum(member.name in line for line in lines) for member in members]
    assert max(counts) <= 32
    assert min(counts) >= 13


def test_there_are_never_more_standbys_than_other_members():
    assert {len(line) for line in place(crew(3), 16, standbys=9).standbys} == {2}


def test_the_examples_are_true():
    found = doctest.testmod(rendezvous)
    assert (found.failed, found.attempted > 0) == (0, True)
