"""The benchmark's view from outside, on a collection that the test fills."""

import os

import pytest
from pymongo import MongoClient

from benchmarks.onlooker import Onlooker
from benchmarks.settings import RunSettings
from benchmarks.workload import COLLECTION, events, final

COUNT = 200


@pytest.fixture
def onlooker(mongo, unique, tmp_path):
    run = RunSettings(
        name=unique,
        broker="kafka://127.0.0.1:9092",
        mongo=mongo.url,
        mongo_pid=mongo.pid,
        workload="tombstones",
        records=COUNT,
        limit=1.0,
        report=tmp_path / "report.json",
    )
    with MongoClient(mongo.url, directConnection=True) as client:
        yield Onlooker(run, client[unique][COLLECTION])
        client.drop_database(unique)


def documents():
    return [event.fields for event in events("tombstones", COUNT) if event.fields is not None]


def test_a_run_lasts_from_the_first_documents_until_the_deleted_ones_are_gone(onlooker):
    found, rest = documents()[:20], documents()[20:]
    assert onlooker.look(os.getpid()) is None
    onlooker.collection.insert_many(found)
    assert onlooker.look(os.getpid()) is None
    onlooker.collection.insert_many(rest)
    assert onlooker.look(os.getpid()) is None
    onlooker.collection.delete_many({"id": {"$nin": list(final("tombstones", COUNT))}})
    assert onlooker.look(os.getpid()).records == COUNT - len(found)


def test_a_run_is_not_over_while_a_partition_lacks_its_last_document(onlooker):
    onlooker.collection.insert_many(documents())
    onlooker.collection.delete_many({"id": {"$nin": list(final("tombstones", COUNT))}})
    onlooker.collection.update_one({"id": documents()[-1]["id"]}, {"$set": {"pid": -1}})
    assert [onlooker.look(os.getpid()) for _ in range(2)] == [None, None]
