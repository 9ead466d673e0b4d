"""Quix Streams' MongoDB sink. It runs in an environment that has Quix Streams, and nothing of this project."""

import sys
from typing import Any

from quixstreams import Application
from quixstreams.sinks.community.mongodb import MongoDBSink

# By default all records of five seconds are held in memory before the first is written.
COMMIT_EVERY = 2_000
# What the topic's end leaves over shall not wait long.
COMMIT_SECONDS = 0.5
POLL_SECONDS = 0.1


def match(item: Any) -> dict[str, Any]:
    """The filter of a record's document: its own key field."""
    return {"id": item.value["id"]}


broker, topic, group, mongo, database, collection, folder = sys.argv[1:]
app = Application(
    broker_address=broker,
    consumer_group=group,
    auto_offset_reset="earliest",
    commit_every=COMMIT_EVERY,
    commit_interval=COMMIT_SECONDS,
    consumer_poll_timeout=POLL_SECONDS,
    auto_create_topics=False,
    state_dir=folder,
)
host, _, port = mongo.partition(":")
sink = MongoDBSink(
    host, database, collection, port=int(port), document_matcher=match, update_method="ReplaceOne"
)
app.dataframe(app.topic(topic)).sink(sink)
app.run()
