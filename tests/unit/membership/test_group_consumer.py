"""What Faust's consumer asks for is what it asked for when the answer comes."""

import asyncio

import faust
from faust.types import TP

from prom_faust import install


async def test_partitions_that_are_paused_meanwhile_do_not_make_a_fetch_one_of_all(monkeypatch):
    app = faust.App("hub", broker="kafka://127.0.0.1:9")
    install(app, database=object())
    consumer = app.consumer
    asked = []

    async def getmany(active_partitions, timeout):
        await asyncio.sleep(0)
        asked.append(set(active_partitions))
        return {}

    monkeypatch.setattr(consumer._thread, "getmany", getmany)
    active = {TP("changelog", 1)}
    fetch = asyncio.create_task(consumer._getmany(active, 0.1))
    await asyncio.sleep(0)
    active.clear()
    await fetch
    assert asked == [{TP("changelog", 1)}]
