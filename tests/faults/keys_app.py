"""An app whose batch agent works on batches of different keys at once, and crashes over some of them."""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from prom_faust import install
from tests.support.projection import make_app

OUT = Path(os.environ["OUT"])
app = make_app("keys", os.environ["KAFKA_URL"], OUT.with_suffix(".data"), broker_session_timeout=6.0)
prom = install(app)
numbers = prom.topic(os.environ["TOPIC"], partitions=1)
choice = random.Random(int(os.environ["SEED"]))
at_work: Counter[bytes] = Counter()
batches_at_work = 0


@prom.batch_agent(numbers, size=20, window=500, name="copy", concurrency=4, by_key=True)
async def copy(batches: Any) -> None:
    global batches_at_work
    async for batch in batches:
        assert len(batch) <= 20
        keys = {record.key for record in batch}
        assert not any(at_work[key] for key in keys), "a key is worked on twice at once"
        at_work.update(keys)
        batches_at_work += 1
        try:
            await asyncio.sleep(choice.uniform(0.0, 0.02))
            crash = choice.random() < 0.05
            with OUT.open("a") as out:
                out.writelines(f"{int(r.key)} {r.offset} {batches_at_work}\n" for r in batch)
            if crash:
                raise RuntimeError("on purpose")
        finally:
            at_work.subtract(keys)
            batches_at_work -= 1


@app.agent(prom.topic(f"{os.environ['TOPIC']}.other", partitions=1))
async def other(stream: Any) -> None:
    async for _ in stream:
        pass
