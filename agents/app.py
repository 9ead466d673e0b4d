"""The Faust app, the plugin in it, and the topics.

All topics have the same keys and the same number of partitions, so that everything about one process is
handled by one worker.
"""

import faust

from agents.models import ProcessState
from agents.settings import Settings
from prom_faust import install

__all__ = ["PARTITIONS", "app", "heartbeats", "prom", "settings", "silences", "states"]

PARTITIONS = 8
HOUR_MS = "3600000"

settings = Settings()

app = faust.App(
    "event-hub",
    broker=settings.kafka_url,
    # Agents keep their names however `-A` is written.
    origin="agents",
    autodiscover=True,
    # Agents get bytes and read their own model from them, so a record that is none cannot crash one.
    value_serializer="raw",
    topic_replication_factor=1,
    broker_session_timeout=settings.session_timeout,
    web_bind="127.0.0.1",
    web_port=settings.web_port,
)
prom = install(app, mongo_url=settings.mongo_url)

heartbeats = prom.topic(
    "heartbeat.received",
    partitions=PARTITIONS,
    config={"retention.ms": HOUR_MS},
    key_type=str,
    value_type=bytes,
)
silences = prom.topic(
    "process.silent", partitions=PARTITIONS, config={"retention.ms": HOUR_MS}, key_type=str, value_type=bytes
)
states = prom.topic(
    "process.state",
    partitions=PARTITIONS,
    compacted=True,
    model=ProcessState,
    # Kafka compacts closed segments only, and a segment stays open for a week by default.
    config={"segment.ms": HOUR_MS},
    key_type=str,
    value_type=bytes,
)
