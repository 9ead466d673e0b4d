"""Section 3a: ``startChangelogProjector(db, bus, {topic, collection, keyOf, map, tombstone, indexes, versionOf})``.

Unique ``_key``, custom indexes with ``unique``, upserts, tombstones, ``_v``, ``_ts``, from earliest, batches of 500.
"""

import pytest

from prom_faust import ChangelogOptions, Index, start_changelog_projector
from tests.support.projection import eventually, live, make_app


@pytest.fixture
async def running_app(kafka, topics, unique, tmp_path):
    """An app that runs already, as it does when a task of a user starts a projector."""
    app = make_app(unique, kafka.url, tmp_path, web_enabled=False, topic_disable_leader=False)
    await topics.create(f"{unique}-other", 1)

    @app.agent(app.topic(f"{unique}-other", partitions=1))
    async def other(stream):
        async for _ in stream:
            pass

    await app.start()
    yield app
    await app.stop()


async def test_the_projector_does_all_that_section_3a_lists(running_app, topics, unique, database):
    topic = await topics.create(unique, 8)
    earlier = await topics.send(topic, "a", {"id": "a", "email": "a@x", "rev": 1, "gone": False, "extra": 1})
    options = ChangelogOptions(
        topic=topic,
        collection="people",
        key_of=lambda event: event["id"],
        map=lambda event: {"email": event["email"]},
        tombstone=lambda event: event.get("gone") is True,
        indexes=[Index({"email": 1}, unique=True), Index({"_ts": -1})],
        version_of=lambda event: event["rev"],
    )
    assert options.size == 500
    stop = start_changelog_projector(database, running_app, options)
    try:
        people = database.people
        document = (await eventually(lambda: live(people)))["a"]
        del document["_id"]
        assert document == {
            "_key": "a",
            "email": "a@x",
            "_ts": earlier.timestamp,
            "_src": {
                "t": topic,
                "p": earlier.partition,
                "o": earlier.offset,
                "n": (earlier.partition << 48) + earlier.offset,
            },
            "_v": 1,
        }
        indexes = await people.index_information()
        assert indexes["_key_1"]["unique"] is True
        assert indexes["email_1"]["unique"] is True
        assert indexes["_ts_-1"]["key"] == [("_ts", -1)]
        assert "sink.people" in running_app.agents

        await topics.send(topic, "b", {"id": "b", "email": "b@x", "rev": 5})
        await topics.send(topic, "b", {"id": "b", "email": "old@x", "rev": 4})
        await topics.send(topic, "a", {"id": "a", "email": "a@x", "rev": 2, "gone": True})
        await eventually(lambda: only(people, {"b"}))
        assert (await live(people))["b"]["email"] == "b@x"
    finally:
        await stop()
    assert "sink.people" not in running_app.agents
    await topics.send(topic, "b", None)
    assert set(await live(people)) == {"b"}


async def only(collection, keys):
    return set(await live(collection)) == keys


async def test_the_key_is_the_record_key_and_the_event_is_stored_whole_by_default(
    running_app, topics, unique, database
):
    topic = await topics.create(unique, 8)
    stop = start_changelog_projector(database, running_app, ChangelogOptions(topic=topic, collection="c"))
    try:
        await topics.send(topic, "k", {"x": 1, "y": {"z": [1, 2]}})
        document = (await eventually(lambda: live(database.c)))["k"]
        assert (document["x"], document["y"]) == (1, {"z": [1, 2]})
        assert "_v" not in document
    finally:
        await stop()
