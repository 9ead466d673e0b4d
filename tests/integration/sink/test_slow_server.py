"""A MongoDB too slow for a full chunk within the deadline: chunks become smaller, and it is caught up with."""

import asyncio

import pytest

from prom_faust.dlq.envelope import dlq_topic
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.verify import verify
from tests.support.projection import applied, eventually, make_app, make_projection, projecting

RECORDS = 1_000
SECONDS_EACH = 0.004
"""500 documents take twice the deadline."""
DEADLINE = 1.0


class SlowCursor:
    def __init__(self, inner, seconds):
        self._inner, self._seconds = inner, seconds

    async def to_list(self, *args):
        await asyncio.sleep(self._seconds)
        return await self._inner.to_list(*args)


class SlowCollection:
    """The real one, after the time that a slow server would take."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def find(self, query, *args):
        found = self._inner.find(query, *args)
        return SlowCursor(found, SECONDS_EACH * len(query["_key"]["$in"])) if "_key" in query else found

    async def bulk_write(self, operations, **options):
        await asyncio.sleep(SECONDS_EACH * len(operations))
        return await self._inner.bulk_write(operations, **options)


class SlowDatabase:
    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def get_collection(self, name, **options):
        inner = self._inner.get_collection(name, **options)
        return inner if name.startswith("_") else SlowCollection(inner)


@pytest.mark.parametrize("options", [{}, {"version_of": "version"}], ids=["writes", "reads and writes"])
async def test_a_server_too_slow_for_a_full_chunk_is_caught_up_with(
    kafka, topics, database, unique, tmp_path, options
):
    await topics.create(dlq_topic(unique), 1)
    topic = await topics.create(unique, 1)
    await topics.send_all(topic, ((f"k{number}", {"version": number}) for number in range(RECORDS)))
    app = make_app(unique, kafka.url, tmp_path)
    projected = ChangelogOptions(topic=topic, collection="c", **options)
    async with projecting(app, SlowDatabase(database), projected, write_deadline=DEADLINE) as projection:
        ends = await topics.ends(topic)
        await eventually(lambda: applied(projection, ends), seconds=30)
        assert projection.projector.stats.retries
    report = await verify(make_projection(app, database, projected))
    assert report.clean, report.differences
    assert report.documents == RECORDS
