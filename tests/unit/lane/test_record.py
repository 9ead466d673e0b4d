from aiokafka import ConsumerRecord

from prom_faust.lane.record import RECORD_OVERHEAD, PlainRecord, TopicPartition, record_size


def test_a_partition_shows_as_topic_and_number():
    assert str(TopicPartition("states", 3)) == "states[3]"


def test_partitions_sort_by_topic_and_number():
    names = [TopicPartition("b", 0), TopicPartition("a", 10), TopicPartition("a", 9)]
    assert sorted(names) == [names[2], names[1], names[0]]


def test_the_size_of_a_record_counts_key_and_value():
    assert record_size(PlainRecord("t", 0, 0)) == RECORD_OVERHEAD
    assert record_size(PlainRecord("t", 0, 0, 0, b"abc", b"x" * 100)) == RECORD_OVERHEAD + 103


def test_the_client_s_own_record_needs_no_copy():
    theirs = ConsumerRecord("t", 1, 2, 3, 0, b"k", b"v", None, 1, 1, (("a", None),))
    plain = PlainRecord("t", 1, 2, 3, b"k", b"v", (("a", None),))
    for name in PlainRecord.__dataclass_fields__:
        assert getattr(theirs, name) == getattr(plain, name)
    assert record_size(theirs) == record_size(plain)
