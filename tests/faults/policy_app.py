"""An app whose batch agent raises over some records, under the policy that it is given."""

import os
from pathlib import Path
from typing import Any

from prom_faust import install
from tests.support.projection import make_app

OUT = Path(os.environ["OUT"])
BAD = {b"13", b"14", b"77"}
app = make_app("policies", os.environ["KAFKA_URL"], OUT.with_suffix(".data"), broker_session_timeout=6.0)
prom = install(app)
numbers = prom.topic(os.environ["TOPIC"], partitions=4)


@prom.batch_agent(
    numbers,
    size=50,
    name="copy",
    group=f"{os.environ['TOPIC']}.copy",
    on_error=os.environ["ON_ERROR"],
    attempts=2,
)
async def copy(batches: Any) -> None:
    async for batch in batches:
        for record in batch:
            if record.value in BAD:
                raise ValueError(f"cannot do {record.value!r}")
            if record.value == b"20":
                batch.reject(record, "nobody wants it")
        with OUT.open("a") as out:
            out.writelines(f"{r.partition} {r.offset}\n" for r in batch)


@app.agent(prom.topic("other", partitions=4))
async def other(stream: Any) -> None:
    async for _ in stream:
        pass
