"""Which partitions a lane polls: those that are due, as far ahead as its buffer has room."""

import pytest

from prom_faust.lane.batch import Token
from prom_faust.lane.options import LaneOptions
from prom_faust.lane.partition import Partition
from prom_faust.lane.polling.kafka import READ_AHEAD, Polling
from prom_faust.lane.record import PlainRecord, TopicPartition


class Flights:
    """One slot that has every partition."""

    def __init__(self, partitions):
        self.partitions = partitions

    def __len__(self):
        return 1

    def of_slot(self, _):
        return list(self.partitions.values())


class Consumer:
    """Its logs have no end."""

    def highwater(self, _):
        return 1_000_000


def wanted(buffered, **options):
    partitions = {}
    for number, count in enumerate(buffered):
        name = TopicPartition("t", number)
        partitions[name] = Partition(Token(name), hold_limit=10)
        partitions[name].push(PlainRecord("t", number, offset) for offset in range(count))
    lane = LaneOptions(topic="t", group="g", **options)
    polling = Polling(lane, partitions, Flights(partitions), check_history=None, label="lane")
    return [theirs.partition for theirs in polling._wanted(Consumer())]


@pytest.mark.parametrize("buffered", [0, 49, 50, 60, READ_AHEAD * 50 - 1])
def test_several_batches_of_a_partition_are_read_ahead(buffered):
    assert wanted([buffered], batch=50, buffer=10_000) == [0]


def test_no_more_than_that_and_no_more_than_the_buffer_holds():
    assert wanted([READ_AHEAD * 50], batch=50, buffer=10_000) == []
    assert wanted([100], batch=50, buffer=100) == []
    assert wanted([99], batch=50, buffer=100) == [0]


def test_a_batch_that_is_divided_is_read_whole():
    assert wanted([799], batch=50, parts=4, buffer=800) == [0]
    assert wanted([READ_AHEAD * 200 - 1], batch=50, parts=4, buffer=10_000) == [0]


def test_the_partitions_that_are_due_first_take_the_room():
    assert wanted([0, 0, 0], batch=100, buffer=1_000) == [0, 1]
