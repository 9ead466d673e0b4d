"""Dead letters on the real broker: published is what every replica has."""

import pytest

from prom_faust.clients import Clients
from prom_faust.dlq.envelope import dlq_topic, letter_of
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import DecodeError
from prom_faust.lane.record import PlainRecord
from tests.support.projection import make_app


@pytest.mark.parametrize(("replicas", "published"), [("1", True), ("2", False)])
async def test_a_letter_that_too_few_replicas_take_is_not_published(
    kafka, topics, unique, tmp_path, replicas, published
):
    await topics.create(dlq_topic(unique), 1, **{"min.insync.replicas": replicas})
    publisher = DeadLetterPublisher(Clients(make_app(unique, kafka.url, tmp_path)), timeout=3.0)
    letter = letter_of(
        PlainRecord(unique, 0, 0, key=b"k", value=b"{"), DecodeError("bad"), consumer="g", died_at=0
    )
    try:
        (error,) = await publisher.publish([letter])
    finally:
        await publisher.close()
    assert (error is None) is published, error
    assert len(await topics.read(dlq_topic(unique))) == int(published)
