"""What is applied late, at its own position: mended keys, other values, and rebuilds that swap meanwhile."""

from dataclasses import replace

import pytest

from prom_faust.dlq.envelope import decode as decode_letter
from prom_faust.dlq.envelope import dlq_topic
from prom_faust.routing.hashing import partition_of
from prom_faust.sink.log.kafka import LogReader
from prom_faust.sink.options import ChangelogOptions
from prom_faust.sink.replay import Verdict
from prom_faust.sink.replay.candidate import Candidate
from prom_faust.sink.replay.service import replay
from tests.support.projection import applied, eventually, live, make_app, make_projection, projecting


class Case:
    def __init__(self, projection, topics):
        self.projection, self.topics = projection, topics

    async def candidate(self, **changes):
        """The last letter's record, mended."""
        letters = await self.topics.read(dlq_topic(self.projection.options.topic))
        letter = decode_letter(letters[-1])
        return Candidate(replace(letter.record, **changes), letter.died_at, letter)

    async def replay(self, candidate, between=None):
        """Apply it; ``between`` comes after the first answer, as the recording of it does."""

        async def source():
            yield [candidate]

        results = []
        async with LogReader(self.projection.clients) as log:
            async for found in replay(self.projection, log, source):
                results += found
                if between is not None:
                    await between()
        (result,) = results
        return result


@pytest.fixture
def make(kafka, topics, database, unique, tmp_path):
    async def make(partition, key, value, **options):
        """A projection that has dead-lettered one record."""
        await topics.create(dlq_topic(unique), 1)
        topic = await topics.create(unique, 4)
        await topics.send(topic, key, value, partition=partition)
        app = make_app(unique, kafka.url, tmp_path)
        options = ChangelogOptions(topic=topic, collection="c", **options)
        async with projecting(app, database, options) as projection:
            ends = await topics.ends(topic)
            await eventually(lambda: applied(projection, ends))
        return Case(make_projection(app, database, options), topics)

    return make


KEY = "right"
HOME = partition_of(KEY, 4)


@pytest.mark.parametrize(
    ("routing", "partition", "verdict"),
    [
        ("kafka", HOME, Verdict.REFUSED),
        ("jump", (HOME + 1) % 4, Verdict.REFUSED),
        ("jump", HOME, Verdict.APPLIED),
    ],
)
async def test_a_mended_key_is_applied_only_where_all_records_of_it_are(
    make, database, routing, partition, verdict
):
    case = await make(partition, "wrong", {"id": KEY}, key_of="id", routing=routing)
    result = await case.replay(await case.candidate(key=KEY.encode()))
    assert result.verdict is verdict
    assert ("--to-topic" in result.reason) is (verdict is Verdict.REFUSED)
    assert (KEY in await live(database.c)) is (verdict is Verdict.APPLIED)


@pytest.mark.parametrize("options", [{}, {"write": "set", "map": ["a"]}], ids=["replace", "set"])
async def test_another_value_at_its_own_position_is_put_right(make, database, options):
    """An earlier replay was cut off before it was recorded, and the function was mended since."""
    case = await make(0, "k", b"no json", **options)
    first, second = await case.candidate(value=b'{"a":15.0}'), await case.candidate(value=b'{"a":1.5}')
    assert (await case.replay(first)).verdict is Verdict.APPLIED
    assert (await case.replay(first)).verdict is Verdict.ALREADY
    assert (await case.replay(second)).verdict is Verdict.APPLIED
    assert (await live(database.c))["k"]["a"] == 1.5


async def test_another_value_of_an_inserted_record_is_refused(make, database):
    case = await make(0, "k", b"no json", write="insert")
    first, second = await case.candidate(value=b'{"a":15.0}'), await case.candidate(value=b'{"a":1.5}')
    assert (await case.replay(first)).verdict is Verdict.APPLIED
    result = await case.replay(second)
    assert (result.verdict, "another value stands" in result.reason) == (Verdict.REFUSED, True)
    assert (await live(database.c))["k"]["a"] == 15.0


async def test_what_a_swap_takes_away_between_the_write_and_its_letter_is_written_again(make, database):
    case = await make(0, "k", b"no json")

    async def swap():
        await database.c.delete_many({})
        swapped = {"_id": "c", "topic": case.projection.options.topic, "swaps": 1}
        await database["_prom_rebuilds"].insert_one(swapped)

    result = await case.replay(await case.candidate(value=b'{"a":1}'), between=swap)
    assert result.verdict is Verdict.APPLIED
    assert set(await live(database.c)) == {"k"}
