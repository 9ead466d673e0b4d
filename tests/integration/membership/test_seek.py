"""Where Faust's streams go when a rebalance is over."""

from prom_faust import install
from tests.support.projection import eventually, make_app


async def test_without_a_committed_offset_a_partition_is_read_from_its_start(kafka, topics, unique, tmp_path):
    app = make_app(unique, kafka.url, tmp_path, web_enabled=False, broker_commit_interval=60.0)
    topic = await topics.create(unique, 2, **{"cleanup.policy": "delete"})
    prom = install(app, ops=False, worker_name="w1")
    handled = []

    @app.agent(prom.topic(topic, partitions=2, value_type=bytes, value_serializer="raw"))
    async def handle(stream):
        async for event in stream.events():
            handled.append(event.message.offset)  # noqa: PERF401 - one by one, as they come

    async def count(expected):
        async def reached():
            return len(handled) == expected

        await eventually(reached)

    await app.start()
    try:
        await topics.send_all(topic, [(f"k{number}", b"1") for number in range(10)])
        await count(10)
        # What Faust reads before this, in the middle of a rebalance, it throws away.
        await app.consumer.perform_seek()
        await count(20)
        await app.consumer.commit()
        await app.consumer.perform_seek()
        await topics.send(topic, "k", b"2")
        await count(21)
    finally:
        await app.stop()
