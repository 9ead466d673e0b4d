"""Dead letters on the real broker: published is what the broker has taken."""

import pytest

from prom_faust.clients import Clients
from prom_faust.dlq.envelope import dlq_topic, letter_of
from prom_faust.dlq.kafka import DeadLetterPublisher
from prom_faust.exceptions import DecodeError
from prom_faust.lane.record import PlainRecord
from tests.support.projection import make_app


@pytest.mark.parametrize(("most_bytes", "published"), [("100000", True), ("200", False)])
async def test_a_letter_that_the_broker_refuses_is_not_published(
    kafka, topics, unique, tmp_path, most_bytes, published
):
    await topics.create(dlq_topic(unique), 1, **{"max.message.bytes": most_bytes})
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
