"""What the pages say of a partition whose handler keeps raising, from a real lane and a real broker."""

import pytest

from prom_faust import install
from prom_faust.ops.board import Seen
from prom_faust.ops.faust import Observer
from prom_faust.ops.kafka import describe_group
from prom_faust.ops.sinks import sinks_json
from tests.support.projection import eventually, make_app


async def refuse(event):
    if event.value["n"] == 0:
        raise ValueError("no price")


@pytest.fixture
async def stuck(kafka, topics, unique, tmp_path):
    """A worker whose partition 0 does not get over its first record; its observer, and what sends another record."""
    await topics.create(unique, 2)
    prom = install(make_app(unique, kafka.url, tmp_path), worker_name="w1")
    prom.subscribe_partitioned(unique, refuse, group=f"{unique}.group")
    (lane,) = prom.lanes.values()
    await lane.agent.start()
    await lane.start()

    async def owns():
        return len(lane.partitions) == 2

    async def send(n, partition):
        await topics.send(unique, f"k{partition}", {"n": n}, partition=partition)

    await eventually(owns)
    await send(0, 0)

    async def put_back():
        return any(partition.error for partition in lane.partitions.values())

    await eventually(put_back)
    yield Observer(prom, interval=0.2, progress_within=0.0), send
    await lane.stop()
    await lane.agent.stop()


async def test_it_is_stuck_and_its_lag_grows_with_what_comes_in_while_the_others_flow(stuck, unique):
    observer, send = stuck
    for n in range(1, 8):
        await send(n, 0)
        await send(n, 1)

    async def told():
        status = observer.status()
        state = await describe_group(observer.prom.clients, f"{unique}.group")
        (sink,) = sinks_json([Seen(status, 0.0, silent=False)], {state.group: state}, {})
        first, second = sink["partitions"]
        return (second["applied"], second["lag"]) == (7, 0) and (sink, first, status)

    sink, first, status = await eventually(told)
    assert (sink["state"], sink["stopped"], sink["what"]) == ("stuck", [], "partitioned")
    assert (first["applied"], first["end"], first["lag"]) == (0, 8, 8)
    assert "no price" in first["problem"]
    (reason,) = [each for each in status.not_ready if "nothing was done" in each]
    assert reason.endswith(f"on partition 0 of {unique} for 0 s: the handler raised ValueError('no price')")
