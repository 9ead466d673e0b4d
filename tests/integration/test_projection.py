"""The sink on a real broker and a real MongoDB server: what a topic becomes."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from pydantic import BaseModel

from prom_faust.dlq.envelope import decode, dlq_topic
from prom_faust.exceptions import IndexConflictError, TopicError
from prom_faust.sink.options import ChangelogOptions, Index
from tests.support.drivers import DRIVERS
from tests.support.projection import (
    applied,
    eventually,
    live,
    make_app,
    make_projection,
    projecting,
    started,
)


@pytest.fixture
def app(kafka, unique, tmp_path):
    return make_app(unique, kafka.url, tmp_path)


@pytest.fixture(params=DRIVERS)
def driver(request):
    return request.param


@pytest.fixture
async def topic(topics, unique):
    await topics.create(dlq_topic(unique), 2)
    return await topics.create(unique, 2)


async def settled(projection, topics):
    ends = await topics.ends(projection.options.topic)
    await eventually(lambda: applied(projection, ends))


async def test_the_last_value_of_every_key_stands_with_its_position(app, topics, topic, database):
    await topics.send_all(topic, [(f"k{i % 50}", {"a": i}) for i in range(1000)])
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
        await settled(projection, topics)
        documents = await live(database.get_collection("c"))
    assert {key: document["a"] for key, document in documents.items()} == {
        f"k{i}": 950 + i for i in range(50)
    }
    sample = documents["k0"]
    assert list(sample) == ["_id", "_key", "a", "_ts", "_src"]
    assert sample["_src"]["n"] == sample["_src"]["p"] * 2**48 + sample["_src"]["o"]


async def test_tombstones_of_every_spelling_delete_for_a_reader_at_once(app, topics, topic, database):
    for key in "abcd":
        await topics.send(topic, key, {"v": 1})
    for key, value in [("a", None), ("b", b"null"), ("c", {"_deleted": True})]:
        await topics.send(topic, key, value)
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
        await settled(projection, topics)
        assert set(await live(database.c)) == {"d"}
        assert await database.c.count_documents({"_deleted": True}) == 3


async def test_a_bad_record_is_dead_lettered_whole_and_the_rest_goes_on(app, topics, topic, database):
    bad = await topics.send(topic, "b", b"{not json", headers={"trace": b"\x00\xff"})
    await topics.send(topic, "b", {"v": 2})
    await topics.send(topic, "g", {"v": 3})
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
        await settled(projection, topics)
        assert {k: d["v"] for k, d in (await live(database.c)).items()} == {"b": 2, "g": 3}
    letters = [decode(record) for record in await topics.read(dlq_topic(topic))]
    assert [(x.record.partition, x.record.offset) for x in letters] == [(bad.partition, bad.offset)]
    letter = letters[0]
    assert letter.record.value == b"{not json"
    assert letter.record.headers == (("trace", b"\x00\xff"),)
    assert letter.consumer == projection.group


async def test_what_only_mongodb_refuses_is_dead_lettered_and_the_next_best_stands(
    app, topics, topic, database
):
    await database.create_collection("c", validator={"v": {"$lt": 100}})
    await topics.send_all(topic, [("k", {"v": 1}), ("k", {"v": 2}), ("k", {"v": 100}), ("j", {"v": 3})])
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
        await settled(projection, topics)
        assert {k: d["v"] for k, d in (await live(database.c)).items()} == {"k": 2, "j": 3}
    letters = [decode(record) for record in await topics.read(dlq_topic(topic))]
    assert [letter.record.value for letter in letters] == [b'{"v":100}']


class Person(BaseModel):
    name: str
    nick: str | None = None
    age: int = 0


async def test_a_model_decides_what_is_bad_and_an_absent_field_stays_absent(app, topics, topic, database):
    await topics.send(topic, "a", {"name": "A", "extra": 1})
    await topics.send(topic, "b", {"name": "B", "nick": None})
    await topics.send(topic, "c", {"nick": "no name"})
    options = ChangelogOptions(topic=topic, collection="c", model=Person, map=["name", "nick"])
    async with projecting(app, database, options) as projection:
        await settled(projection, topics)
        documents = await live(database.c)
    assert set(documents) == {"a", "b"}
    assert "nick" not in documents["a"]
    assert documents["b"]["nick"] is None


async def test_set_leaves_the_fields_of_other_writers(app, topics, topic, database):
    options = ChangelogOptions(topic=topic, collection="c", map=["a", "b"], write="set")
    async with projecting(app, database, options) as projection:
        await topics.send(topic, "k", {"a": 1, "b": 2})
        await settled(projection, topics)
        await database.c.update_one({"_key": "k"}, {"$set": {"theirs": 9}})
        await topics.send(topic, "k", {"a": 3})
        await settled(projection, topics)
        document = (await live(database.c))["k"]
        assert (document["a"], document.get("b"), document["theirs"]) == (3, None, 9)
        await topics.send(topic, "k", None)
        await settled(projection, topics)
        assert await live(database.c) == {}
        await topics.send(topic, "k", {"a": 4})
        await settled(projection, topics)
        assert (await live(database.c))["k"]["a"] == 4


async def test_with_versions_the_highest_wins_and_a_null_ends_it(app, topics, topic, database):
    options = ChangelogOptions(topic=topic, collection="c", version_of="rev", window=3)
    await topics.send_all(
        topic,
        [
            ("a", {"rev": 5, "x": 1}),
            ("a", {"rev": 4, "x": 2}),
            ("a", {"rev": 5, "x": 3}),
            ("b", {"rev": 7}),
            ("b", None),
            ("b", {"rev": 7, "late": True}),
            ("c", {"rev": 7}),
            ("c", None),
            ("c", {"rev": 8}),
        ],
        partition=0,
    )
    async with projecting(app, database, options) as projection:
        await settled(projection, topics)
        documents = await live(database.c)
        marker = await database.c.find_one({"_key": "b"})
    assert {key: (d["_v"], d.get("x")) for key, d in documents.items()} == {"a": (5, 1), "c": (8, None)}
    assert marker["_deleted"] is True
    assert marker["_v"] == 7


EMAIL = [Index({"email": 1}, unique=True)]


@pytest.mark.parametrize("window", [10_000, 1])
async def test_a_unique_value_handed_over_after_it_was_given_up(app, topics, topic, database, window):
    options = ChangelogOptions(topic=topic, collection="c", indexes=EMAIL, window=window)
    async with projecting(app, database, options) as projection:
        await topics.send_all(topic, [("k1", {"email": "a"})], partition=0)
        await settled(projection, topics)
        await topics.send_all(topic, [("k1", {}), ("k2", {"email": "a"})], partition=0)
        await settled(projection, topics)
        assert {k: d.get("email") for k, d in (await live(database.c)).items()} == {"k1": None, "k2": "a"}
    assert await topics.read(dlq_topic(topic)) == []


@pytest.mark.parametrize("partitions", [(0, 0), (0, 1), (1, 0)])
@pytest.mark.parametrize("pause", [0.0, 2.0])
async def test_a_unique_value_taken_before_it_is_given_up(app, topics, topic, database, partitions, pause):
    options = ChangelogOptions(topic=topic, collection="c", indexes=EMAIL)
    taker, giver = partitions
    async with projecting(app, database, options) as projection:
        await topics.send_all(topic, [("k1", {"email": "a"})], partition=giver)
        await settled(projection, topics)
        await topics.send_all(topic, [("k2", {"email": "a", "x": 1})], partition=taker)
        await asyncio.sleep(pause)
        await topics.send_all(topic, [("k1", {"email": "b"})], partition=giver)
        await settled(projection, topics)
        assert {k: d.get("email") for k, d in (await live(database.c)).items()} == {"k1": "b", "k2": "a"}
    assert await topics.read(dlq_topic(topic)) == []


async def test_a_unique_value_handed_over_across_a_delete(app, topics, topic, database):
    options = ChangelogOptions(topic=topic, collection="c", indexes=EMAIL)
    async with projecting(app, database, options) as projection:
        await topics.send_all(topic, [("k1", {"email": "a"})])
        await settled(projection, topics)
        await topics.send_all(topic, [("k2", {"email": "a"}), ("k1", None)])
        await settled(projection, topics)
        assert {k: d.get("email") for k, d in (await live(database.c)).items()} == {"k2": "a"}
    assert await topics.read(dlq_topic(topic)) == []


async def test_two_unique_values_swapped_in_one_window(app, topics, topic, database):
    options = ChangelogOptions(topic=topic, collection="c", indexes=EMAIL)
    await topics.send_all(topic, [("k1", {"email": "a"}), ("k2", {"email": "b"})], partition=0)
    async with projecting(app, database, options) as projection:
        await settled(projection, topics)
    await topics.send_all(topic, [("k1", {}), ("k2", {"email": "a"}), ("k1", {"email": "b"})], partition=0)
    async with projecting(app, database, options) as projection:
        await settled(projection, topics)
        assert {k: d.get("email") for k, d in (await live(database.c)).items()} == {"k1": "b", "k2": "a"}
    assert await topics.read(dlq_topic(topic)) == []


async def test_a_unique_value_that_is_never_given_up_is_bad_data(app, topics, topic, database):
    options = ChangelogOptions(topic=topic, collection="c", indexes=EMAIL)
    await topics.send_all(
        topic, [("k1", {"email": "a"}), ("k2", {"email": "b"}), ("k2", {"email": "a"})], partition=0
    )
    async with projecting(app, database, options, unique_wait=1.0) as projection:
        await settled(projection, topics)
        assert {k: d.get("email") for k, d in (await live(database.c)).items()} == {"k1": "a", "k2": "b"}
    letters = [decode(record) for record in await topics.read(dlq_topic(topic))]
    assert [letter.record.key for letter in letters] == [b"k2"]


async def test_nothing_at_or_after_a_held_record_is_committed(app, topics, topic, database):
    options = ChangelogOptions(topic=topic, collection="c", indexes=EMAIL)
    await topics.send_all(topic, [("k1", {"email": "a"}), ("k2", {"email": "a"}), ("k3", {})], partition=0)
    async with projecting(app, database, options) as projection:
        await eventually(lambda: has_key(database.c, "k3"))
        await asyncio.sleep(1.0)
        positions = await projection.collection.positions.load_positions(topic)
        assert positions[0].applied == 1
        assert (await topics.committed(projection.group, topic))[0] == 1


async def has_key(collection, key):
    return key in await live(collection)


async def test_an_index_that_differs_is_a_named_error(app, topics, topic, database):
    await database.c.create_index([("host", 1)], name="host_1", unique=True)
    projection = make_projection(
        app, database, ChangelogOptions(topic=topic, collection="c", indexes=["host"])
    )
    with pytest.raises(IndexConflictError, match=r"host_1 differs.*unique is True.*dropIndex"):
        await projection.prepare()


async def test_an_index_under_another_name_is_a_named_error(app, topics, topic, database):
    await database.c.create_index([("host", 1)], name="mine")
    projection = make_projection(
        app, database, ChangelogOptions(topic=topic, collection="c", indexes=["host"])
    )
    with pytest.raises(IndexConflictError, match="its name is mine"):
        await projection.prepare()


async def test_dead_letters_that_cannot_be_published_stop_their_partition_only(app, topics, unique, database):
    topic = await topics.create(unique, 2)
    options = ChangelogOptions(topic=topic, collection="c")
    async with projecting(app, database, options) as projection:
        await topics.delete(dlq_topic(topic))
        projection.publisher._timeout = 0.5
        await topics.send(topic, "good", {"v": 1}, partition=0)
        await topics.send(topic, "bad", b"{", partition=1)
        await topics.send(topic, "after", {"v": 2}, partition=1)
        await eventually(lambda: has_key(database.c, "good"))
        await asyncio.sleep(2.0)
        assert "after" not in await live(database.c)
        assert (await topics.committed(projection.group, topic))[1] == 0
        await topics.create(dlq_topic(topic), 1)
        await settled(projection, topics)
        assert set(await live(database.c)) == {"good", "after"}
    assert len(await topics.read(dlq_topic(topic))) >= 1


class CancelsOnce:
    """A collection whose first bulk write ends in a cancellation that nobody asked for."""

    def __init__(self, inner):
        self._inner = inner
        self.cancelled = False

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def bulk_write(self, *args, **kwargs):
        if not self.cancelled:
            self.cancelled = True
            raise asyncio.CancelledError
        return await self._inner.bulk_write(*args, **kwargs)


async def test_a_cancelled_write_is_not_done_and_comes_again(app, topics, topic, database):
    await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(10)])
    projection = make_projection(app, database, ChangelogOptions(topic=topic, collection="c"))
    projection.collection.documents = CancelsOnce(projection.collection.documents)
    async with started(projection):
        await settled(projection, topics)
        assert len(await live(database.c)) == 10


async def test_a_process_that_stood_still_for_a_session_does_not_write(app, topics, topic, database):
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
        await topics.send(topic, "k", {"a": 1})
        await settled(projection, topics)
        assert projection.lane._leased()
        projection.lane._polled_at -= app.conf.broker_session_timeout
        assert not projection.lane._leased()


async def test_partitions_are_read_beside_one_that_ends_in_an_aborted_transaction(
    app, topics, unique, database
):
    topic = await topics.create(unique, 4)
    producer = AIOKafkaProducer(bootstrap_servers=topics.bootstrap, transactional_id=unique)
    await producer.start()
    await producer.begin_transaction()
    for _ in range(50):
        await producer.send(topic, key=b"never", value=b"{}", partition=0)
    await producer.flush()
    await producer.abort_transaction()
    await producer.stop()
    for partition in (1, 2, 3):
        await topics.send_all(topic, [(f"p{partition}k{i}", {"a": i}) for i in range(5)], partition)
    options = ChangelogOptions(topic=topic, collection="c", window=10)
    async with projecting(app, database, options):
        await eventually(lambda: has_count(database.c, 15))


async def has_count(collection, count):
    return len(await live(collection)) == count


@pytest.mark.parametrize("codec", ["lz4", "zstd", "snappy"])
async def test_a_compressed_topic_is_read(app, topics, unique, database, codec):
    topic = await topics.create(unique, 1, **{"compression.type": codec})
    await topics.send_all(topic, [(f"k{i}", {"a": i}) for i in range(20)])
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")):
        await eventually(lambda: has_count(database.c, 20))


async def test_a_projection_that_starts_alone_makes_its_dead_letter_topic(app, topics, unique, database):
    topic = await topics.create(unique, 1)
    await topics.send(topic, "k", b"{")
    async with projecting(app, database, ChangelogOptions(topic=topic, collection="c")) as projection:
        await settled(projection, topics)
    assert len(await topics.read(dlq_topic(topic))) == 1


async def test_a_projection_of_a_missing_topic_is_a_named_error(app, unique, database):
    projection = make_projection(app, database, ChangelogOptions(topic=unique, collection="c"))
    with pytest.raises(TopicError, match="topics are missing"):
        await projection.prepare()
