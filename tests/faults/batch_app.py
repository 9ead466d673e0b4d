"""An app with one public batch agent that crashes over some batches."""

import os
from pathlib import Path
from typing import Any

from prom_faust import install
from tests.support.projection import make_app

OUT = Path(os.environ["OUT"])
app = make_app("batches", os.environ["KAFKA_URL"], OUT.with_suffix(".data"), broker_session_timeout=6.0)
prom = install(app)
numbers = prom.topic(os.environ["TOPIC"], partitions=4)
calls = 0


@prom.batch_agent(numbers, size=50, window=500, name="copy")
async def copy(batches: Any) -> None:
    global calls
    async for batch in batches:
        calls += 1
        assert len(batch) <= 50
        lines = [f"{r.partition} {r.offset}\n" for r in batch]
        with OUT.open("a") as out:
            out.writelines(lines)
        if calls in (2, 5):
            raise RuntimeError(f"call {calls}")


@app.agent(prom.topic("other", partitions=4))
async def other(stream: Any) -> None:
    async for _ in stream:
        pass
