"""Assignment, for any members and partitions: one property for every promise of ``place`` and ``assign``."""

from itertools import product
from math import ceil

from hypothesis import assume, given
from hypothesis import strategies as st

from prom_faust.assignment.homes import Subscriber, assign, shares
from prom_faust.assignment.rendezvous import Member, _scores, place, room
from tests.support import rendezvous as reference

NAMES = st.text(max_size=12)
WEIGHTS = st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 4.0])
ANY_WEIGHT = st.floats(min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False)
MEMBERS = st.lists(st.builds(Member, NAMES, WEIGHTS), min_size=1, max_size=9, unique_by=lambda m: m.name)
FEW = st.lists(st.builds(Member, NAMES, WEIGHTS), min_size=2, max_size=5, unique_by=lambda m: m.name)
PARTITIONS = st.integers(1, 60)
MANY = st.integers(60, 120)
STANDBYS = st.integers(0, 4)
FACTORS = st.sampled_from([1.0, 1.1, 1.25, 2.0, 100.0])
AMPLE = 10_000.0
"""A factor with which everybody has room for everything."""

TOPICS = ("orders", "bills", "audit", "logs")
SUBSCRIBERS = st.lists(
    st.builds(Subscriber, st.builds(Member, NAMES, WEIGHTS), st.frozensets(st.sampled_from(TOPICS))),
    max_size=7,
    unique_by=lambda subscriber: subscriber.member.name,
)
COUNTS = st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 4).map(lambda n: n * 8))


def moves(before, after):
    """Partition to its former and its new owner, of those that both have."""
    pairs = enumerate(zip(before.owners, after.owners, strict=False))
    return {partition: pair for partition, pair in pairs if pair[0] != pair[1]}


@given(MEMBERS, PARTITIONS, STANDBYS, FACTORS)
def test_every_partition_has_one_owner_and_it_is_a_member(members, partitions, standbys, factor):
    found = place(members, partitions, standbys=standbys, load_factor=factor)
    assert len(found.owners) == len(found.standbys) == partitions
    assert set(found.owners) <= {member.name for member in members}


@given(st.lists(st.builds(Member, NAMES, ANY_WEIGHT), min_size=1, max_size=6), PARTITIONS, STANDBYS, FACTORS)
def test_any_weights_at_all_give_a_placement(members, partitions, standbys, factor):
    found = place(members, partitions, standbys=standbys, load_factor=factor)
    assert len(found.owners) == len(found.standbys) == partitions


@given(MEMBERS, PARTITIONS, STANDBYS, FACTORS, st.data())
def test_the_order_in_which_members_come_does_not_count(members, partitions, standbys, factor, data):
    members += [Member(member.name, member.weight + 1) for member in members[:2]]  # of one name, one counts
    shuffled = data.draw(st.permutations(members))
    one = place(members, partitions, standbys=standbys, load_factor=factor)
    assert place(shuffled, partitions, standbys=standbys, load_factor=factor) == one


@given(MEMBERS, PARTITIONS, FACTORS)
def test_nobody_owns_more_than_its_room(members, partitions, factor):
    found = place(members, partitions, load_factor=factor)
    for member, most in zip(members, room([m.weight for m in members], partitions, factor), strict=True):
        assert found.owners.count(member.name) <= most


@given(MEMBERS, PARTITIONS, FACTORS)
def test_the_room_is_enough_for_all_and_never_far_above_the_fair_share(members, partitions, factor):
    weights = [member.weight for member in members]
    caps = room(weights, partitions, factor)
    assert sum(caps) >= partitions
    for weight, most in zip(weights, caps, strict=True):
        share = partitions * weight / sum(weights)
        assert most <= max(ceil(share + 1e-9), share * factor + 1e-9)


@given(MEMBERS, PARTITIONS, FACTORS)
def test_nobody_is_idle_where_there_are_partitions_enough(members, partitions, factor):
    found = place(members, partitions + len(members) - 1, load_factor=factor)
    assert set(found.owners) == {member.name for member in members}


@given(MEMBERS, PARTITIONS, STANDBYS, FACTORS)
def test_standbys_are_as_many_as_asked_for_all_different_and_never_the_owner(
    members, partitions, standbys, factor
):
    found = place(members, partitions, standbys=standbys, load_factor=factor)
    for owner, line in zip(found.owners, found.standbys, strict=True):
        assert len({owner, *line}) == 1 + len(line)
        assert len(line) == min(standbys, len(members) - 1)
        assert set(line) <= {member.name for member in members}


@given(MEMBERS, PARTITIONS, STANDBYS)
def test_with_ample_room_standbys_inherit_in_their_order(members, partitions, standbys):
    partitions += 60
    found = place(members, partitions, standbys=standbys, load_factor=AMPLE)
    scores = reference.scores([(m.name, m.weight) for m in members], partitions)
    for p, (owner, line) in enumerate(zip(found.owners, found.standbys, strict=True)):
        others = sorted((m.name for m in members if m.name != owner), key=lambda n: scores[n, p])
        assert list(line) == others[::-1][:standbys]


@given(MEMBERS, PARTITIONS, STANDBYS, FACTORS, st.sampled_from(["", "s"]))
def test_the_slow_and_plain_way_finds_the_same(members, partitions, standbys, factor, salt):
    options = {"standbys": standbys, "load_factor": factor, "salt": salt}
    owners, lines = reference.place([(m.name, m.weight) for m in members], partitions, **options)
    found = place(members, partitions, **options)
    assert (list(found.owners), [list(line) for line in found.standbys]) == (owners, lines)


@given(FEW, MANY, st.integers(0, 4))
def test_with_ample_room_only_the_partitions_of_who_leaves_move(members, partitions, index):
    gone = members[index % len(members)]
    rest = [member for member in members if member != gone]
    assume(nobody_had_to_be_helped(rest, partitions))
    assume(nobody_had_to_be_helped(members, partitions))
    before = place(members, partitions, load_factor=AMPLE)
    after = place(rest, partitions, load_factor=AMPLE)
    assert {owner for owner, _ in moves(before, after).values()} == {gone.name}
    assert len(moves(before, after)) == before.owners.count(gone.name)


@given(FEW, MANY, st.integers(0, 4))
def test_with_ample_room_partitions_move_only_to_who_joins(members, partitions, index):
    new = members[index % len(members)]
    rest = [member for member in members if member != new]
    assume(nobody_had_to_be_helped(rest, partitions))
    assume(nobody_had_to_be_helped(members, partitions))
    before = place(rest, partitions, load_factor=AMPLE)
    after = place(members, partitions, load_factor=AMPLE)
    assert {owner for _, owner in moves(before, after).values()} == {new.name}


@given(MEMBERS, PARTITIONS, STANDBYS, FACTORS, st.data())
def test_leave_and_return_under_the_same_name_moves_nothing_net(members, partitions, standbys, factor, data):
    before = place(members, partitions, standbys=standbys, load_factor=factor)
    gone = data.draw(st.sampled_from(members))
    rest = [member for member in members if member != gone]
    place(rest, partitions, standbys=standbys, load_factor=factor)
    returned = [*rest, Member(gone.name, gone.weight)]
    assert place(returned, partitions, standbys=standbys, load_factor=factor) == before


@given(MEMBERS, PARTITIONS, PARTITIONS)
def test_more_partitions_change_no_score(members, partitions, more):
    assert _scores(members, partitions + more, "")[:partitions] == _scores(members, partitions, "")


@given(FEW, MANY, PARTITIONS)
def test_with_ample_room_growth_moves_nothing(members, partitions, more):
    assume(nobody_had_to_be_helped(members, partitions))
    before = place(members, partitions, standbys=1, load_factor=AMPLE)
    after = place(members, partitions + more, standbys=1, load_factor=AMPLE)
    assert after.owners[:partitions] == before.owners
    assert after.standbys[:partitions] == before.standbys


@given(FEW)
def test_with_ample_room_shares_are_in_proportion_to_weights(members):
    total = sum(member.weight for member in members)
    found = place(members, 4_000, load_factor=AMPLE)
    for member in members:
        share = member.weight / total
        # Binomial: six standard deviations are never seen by chance.
        assert abs(found.owners.count(member.name) - 4_000 * share) < 6 * (4_000 * share * (1 - share)) ** 0.5


@given(SUBSCRIBERS, COUNTS, STANDBYS)
def test_each_partition_that_somebody_reads_is_in_exactly_one_share_of_a_reader(group, counts, standbys):
    homes = assign(group, counts, standbys=standbys)
    found = {
        (topic, partition): subscriber
        for subscriber in group
        for topic, share in shares(homes, subscriber.member.name).items()
        for partition in share.active
    }
    read = {topic for subscriber in group for topic in subscriber.topics}
    assert set(found) == {(topic, p) for topic in read & set(counts) for p in range(counts[topic])}
    assert sum(len(each.placement.owners) * len(each.topics) for each in homes) == len(found)
    assert all(topic in subscriber.topics for (topic, _), subscriber in found.items())


@given(SUBSCRIBERS, COUNTS, STANDBYS, FACTORS)
def test_topics_are_placed_among_their_readers_as_place_does_it(group, counts, standbys, factor):
    for homes in assign(group, counts, standbys=standbys, load_factor=factor):
        readers = [each.member for each in group if each.topics >= set(homes.topics)]
        expected = place(readers, counts[homes.topics[0]], standbys=standbys, load_factor=factor)
        assert homes.placement == expected


@given(SUBSCRIBERS, COUNTS, STANDBYS)
def test_a_standby_reads_the_topic_and_is_not_its_owner(group, counts, standbys):
    homes = assign(group, counts, standbys=standbys)
    for subscriber in group:
        for topic, share in shares(homes, subscriber.member.name).items():
            assert topic in subscriber.topics
            assert not set(share.active) & set(share.standby)


@given(SUBSCRIBERS, COUNTS)
def test_copartitioned_topics_are_together(group, counts):
    homes = assign(group, counts, standbys=1)
    readers = {topic: {s.member.name for s in group if topic in s.topics} for topic in counts}
    of = {topic: each for each in homes for topic in each.topics}
    for (one, its), (other, others) in product(of.items(), repeat=2):
        alike = counts[one] == counts[other] and readers[one] == readers[other]
        assert (its is others) == alike


@given(SUBSCRIBERS, COUNTS, st.sampled_from(TOPICS))
def test_what_a_topic_needs_moves_no_other_topic(group, counts, topic):
    without = [Subscriber(each.member, each.topics - {topic}) for each in group]
    before = {name: each for each in assign(without, counts, standbys=1) for name in each.topics}
    after = {name: each for each in assign(group, counts, standbys=1) for name in each.topics}
    for name, homes in before.items():
        assert after[name].placement == homes.placement


@given(SUBSCRIBERS, COUNTS, STANDBYS, FACTORS, st.data())
def test_the_order_of_subscribers_and_topics_does_not_count(group, counts, standbys, factor, data):
    one = assign(group, counts, standbys=standbys, load_factor=factor)
    shuffled = dict(data.draw(st.permutations(sorted(counts.items()))))
    other = data.draw(st.permutations(group))
    assert assign(other, shuffled, standbys=standbys, load_factor=factor) == one


def nobody_had_to_be_helped(members, partitions):
    """Everybody is first for some partition; who is not gets one that somebody else is first for."""
    scores = reference.scores([(m.name, m.weight) for m in members], partitions)
    first = {max((m.name for m in members), key=lambda n: scores[n, p]) for p in range(partitions)}
    return len(first) == len(members)
