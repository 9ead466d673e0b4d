"""The records of the benchmark, and the collection that they must leave."""

from collections import Counter

import orjson
import pytest

from benchmarks.workload import HOT_KEYS, PARTITIONS, WORKLOADS, events, final, last_written, records
from prom_faust import partition_of

COUNT = 2_000


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_collection_holds_the_last_value_of_every_key_that_is_not_deleted(workload):
    documents = {}
    for record in records(workload, COUNT):
        documents[record.key.decode()] = record.value and orjson.loads(record.value)["pid"]
    assert final(workload, COUNT) == {key: pid for key, pid in documents.items() if pid is not None}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_record_stands_on_the_partition_of_its_key(workload):
    assert all(
        record.partition == partition_of(record.key.decode(), PARTITIONS)
        for record in records(workload, COUNT)
    )


def test_large_documents_have_two_kilobytes():
    assert all(1_950 <= len(event.value) <= 2_100 for event in events("large", COUNT))


def test_hot_records_share_their_keys_evenly():
    counts = Counter(event.key for event in events("hot", 4 * HOT_KEYS))
    assert len(counts) == HOT_KEYS
    assert max(counts.values()) <= 2 * min(counts.values())


def test_a_tenth_of_the_records_deletes_a_key_that_was_written_before():
    written = set()
    deleted = 0
    for event in events("tombstones", COUNT):
        if event.value is None:
            written.remove(event.key)
            deleted += 1
        else:
            written.add(event.key)
    assert deleted == COUNT // 10
    assert written == set(final("tombstones", COUNT))


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_last_document_of_every_partition_stays(workload):
    last = last_written(workload, COUNT)
    assert last.items() <= final(workload, COUNT).items()
    assert {partition_of(key, PARTITIONS) for key in last} == set(range(PARTITIONS))
