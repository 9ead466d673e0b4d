"""Section 1c: partition-aware subscribe: ``partitions``, a key, members that own partitions, a stop that leaves.

Two apps are two workers: they share the logical partitions of one group.
"""

import asyncio

import pytest

from prom_faust import install, partition_of
from tests.support.projection import eventually, make_app

GROUP = "readers"
PARTITIONS = 8


async def start_worker(name, unique, kafka, topics, folder):
    app = make_app(f"{unique}-{name}", kafka.url, folder, web_enabled=False, topic_disable_leader=False)
    prom = install(app, worker_name=name)
    await topics.create(f"{unique}-{name}-other", 1)

    @app.agent(app.topic(f"{unique}-{name}-other", partitions=1))
    async def other(stream):
        async for _ in stream:
            pass

    await app.start()
    return prom


@pytest.fixture
async def workers(kafka, topics, unique, tmp_path):
    proms = await asyncio.gather(*(start_worker(n, unique, kafka, topics, tmp_path) for n in ("w1", "w2")))
    yield proms
    await asyncio.gather(*(prom.app.stop() for prom in proms))


async def test_members_share_the_partitions_and_each_key_has_one_owner(workers, topics, unique):
    topic = await topics.create(unique, PARTITIONS, **{"cleanup.policy": "delete"})
    await topics.send(topic, "before", {"n": -1})
    owned = {prom.settings.worker_name: frozenset() for prom in workers}
    seen = {name: [] for name in owned}

    def subscribe(prom):
        name = prom.settings.worker_name

        async def handler(event):
            assert event.partition in owned[name]
            seen[name].append(event)

        prom.topic(topic, partitions=PARTITIONS)  # its keys are at home by jump hash: Kafka assigns
        return prom.subscribe_partitioned(
            topic,
            handler,
            group=f"{unique}.{GROUP}",
            partitions=PARTITIONS,
            rebalance_every=0.3,
            on_assigned=lambda partitions: owned.update({name: partitions}),
            on_revoked=lambda partitions: owned.update({name: owned[name] - partitions}),
        )

    stops = [subscribe(prom) for prom in workers]
    await eventually(lambda: shared(owned), seconds=20)
    keys = [f"host-{number}" for number in range(60)]
    await topics.send_all(topic, [(key, {"n": number}) for number, key in enumerate(keys)])
    await eventually(lambda: total(seen, 60))
    for name, events in seen.items():
        assert {event.partition for event in events} <= owned[name]
        assert all(event.partition == partition_of(event.key, PARTITIONS) for event in events)
        assert all(event.source.partition == event.partition for event in events)
    assert sorted(event.value["n"] for events in seen.values() for event in events) == list(range(60))

    await stops[0]()
    assert owned["w1"] == frozenset()
    await eventually(lambda: owns_all(owned["w2"]), seconds=10)
    await topics.send_all(topic, [(key, {"n": 60 + number}) for number, key in enumerate(keys)])
    await eventually(lambda: total(seen, 120))
    assert {event.value["n"] for event in seen["w1"]} < set(range(60))
    await stops[1]()


async def shared(owned):
    return all(owned.values()) and sum(map(len, owned.values())) == PARTITIONS


async def owns_all(partitions):
    return len(partitions) == PARTITIONS


async def total(seen, count):
    return sum(map(len, seen.values())) >= count
