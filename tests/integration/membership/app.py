"""A worker whose group is all that matters: with the plugin, or with nothing of it but the assignor.

Every assignment goes to ``OUT`` as one line of JSON: the topic's partitions that this worker owns.
"""

import json
import os
from pathlib import Path
from typing import Any

import faust

OUT = Path(os.environ["OUT"])
PARTITIONS = 8

options: dict[str, Any] = {}
if os.environ.get("ALONE"):
    options["PartitionAssignor"] = "prom_faust:RendezvousAssignor"
app = faust.App(
    os.environ["GROUP"],
    broker=os.environ["KAFKA_URL"],
    datadir=str(OUT.with_suffix(".data")),
    web_bind="127.0.0.1",
    topic_replication_factor=1,
    topic_partitions=PARTITIONS,
    topic_disable_leader=True,
    table_standby_replicas=int(os.environ.get("STANDBYS", "1")),
    consumer_group_instance_id=os.environ.get("INSTANCE"),
    broker_session_timeout=10.0,
    broker_heartbeat_interval=0.3,
    **options,
)
if os.environ.get("ALONE"):
    topic = app.topic(os.environ["TOPIC"], partitions=PARTITIONS, key_type=str, value_type=bytes)
else:
    from prom_faust import install

    prom = install(app)
    topic = prom.topic(os.environ["TOPIC"], partitions=PARTITIONS, compacted=True, key_type=str)
    if os.environ.get("MONGO_URL"):
        prom.materialize(topic, collection="items", key="id")


@app.agent(topic)
async def read(stream: Any) -> None:
    async for _ in stream:
        pass


@app.on_partitions_assigned.connect
async def tell(_app: faust.App, assigned: Any, **_: Any) -> None:
    mine = sorted(tp.partition for tp in assigned if tp.topic == os.environ["TOPIC"])
    with OUT.open("a") as out:
        out.write(json.dumps(mine) + "\n")
