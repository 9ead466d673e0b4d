"""The Faust app, the plugin in it, and the topics.

All topics have the same keys and the same number of partitions, so that everything about one process is
handled by one worker.
"""

import faust

from agents.models import registry
from agents.settings import Settings
from prom_faust import install
from prom_faust.settings import read_settings

__all__ = ["PARTITIONS", "app", "findings", "heartbeats", "prom", "settings", "silences", "states"]

PARTITIONS = 8
HOUR_MS = "3600000"
DAY_MS = "86400000"

settings = read_settings(Settings)

app = faust.App(
    "event-hub",
    broker=settings.kafka_url,
    # Agents keep their names however `-A` is written.
    origin="agents",
    autodiscover=True,
    topic_replication_factor=1,
    broker_session_timeout=settings.session_timeout,
    web_bind=settings.web_bind,
    web_port=settings.web_port,
)
prom = install(app, registry=registry, mongo_url=settings.mongo_url)

heartbeats = prom.topic(
    "heartbeat.received", partitions=PARTITIONS, config={"retention.ms": HOUR_MS}, key_type=str
)
silences = prom.topic("process.silent", partitions=PARTITIONS, config={"retention.ms": HOUR_MS}, key_type=str)
states = prom.topic(
    "process.state",
    partitions=PARTITIONS,
    compacted=True,
    key="processId",
    # Kafka compacts closed segments only, and a segment stays open for a week by default.
    config={"segment.ms": HOUR_MS},
    key_type=str,
)
findings = prom.topic(
    "process.finding", partitions=PARTITIONS, key="processId", config={"retention.ms": DAY_MS}, key_type=str
)
