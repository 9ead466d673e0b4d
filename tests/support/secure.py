"""Servers that want to know who asks, over TLS: certificates of a test's own authority, made when they are needed."""

import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from prom_faust.local import KafkaServer, MongoServer, free_port
from prom_faust.local.ports import HOST

USER = "hub"
MONGO_USER = "hub@example"
PASSWORD = "p@ss/w:rd?&%$#secret"
"""It has to be escaped in a URL, and must not be in any log."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority, and what it gave to a server on 127.0.0.1; files in PEM.

    Attributes:
        authority: the authority's certificate, for clients.
        server: the server's key and certificates, in one file.
    """

    authority: Path
    server: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        authority = trustme.CA()
        issued = authority.issue_cert(HOST)
        made = cls(folder / "authority.pem", folder / "server.pem")
        authority.cert_pem.write_to_path(made.authority)
        # Java reads keys in PKCS #8 only.
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        made.server.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + b"".join(each.bytes() for each in issued.cert_chain_pems)
        )
        return made

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


@dataclass(frozen=True, slots=True)
class SecureKafka:
    """A broker with two listeners: one for the tests, and one that takes clients with password and TLS only.

    Attributes:
        server: the broker; its own port is the open one.
        port: the other one. Who comes in there is told of no other.
        certificates: what it shows.
    """

    server: KafkaServer
    port: int
    certificates: Certificates

    @classmethod
    def make(cls, folder: Path, certificates: Certificates) -> "SecureKafka":
        open_port, controller, port = free_port(), free_port(), free_port()
        login = "org.apache.kafka.common.security"
        listeners = f"PLAINTEXT://{HOST}:{open_port},SASL_SSL://{HOST}:{port}"
        config = {
            "listeners": f"{listeners},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            ),
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "listener.name.sasl_ssl.ssl.keystore.type": "PEM",
            "listener.name.sasl_ssl.ssl.keystore.location": str(certificates.server),
        }
        return cls(KafkaServer(folder, open_port, controller, broker_config=config), port, certificates)

    @property
    def url(self) -> str:
        return f"kafka://{HOST}:{self.port}"

    def add_scram_user(self) -> None:
        """Let the user in by SCRAM-SHA-256, too: Kafka keeps such passwords itself, and has to run for that."""
        subprocess.run(
            [
                *self.server._java("kafka.admin.ConfigCommand", heap="128m"),
                *("--bootstrap-server", self.server.bootstrap, "--alter"),
                *("--entity-type", "users", "--entity-name", USER),
                *("--add-config", f"SCRAM-SHA-256=[password={PASSWORD}]"),
            ],
            check=True,
            capture_output=True,
        )


class SecureMongo(MongoServer):
    """A MongoDB server that takes clients with password and TLS only; it has one user.

    Args:
        folder: what it writes goes here.
        certificates: what it shows.
    """

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, free_port())
        self._certificates = certificates

    def start(self, timeout: float = 60.0) -> None:
        # The user is made while it asks nobody who he is.
        with MongoServer(self.directory, self.port) as unlocked, MongoClient(unlocked.url) as client:
            client.admin.command("createUser", MONGO_USER, pwd=PASSWORD, roles=["root"])
        super().start(timeout)

    def url_of(self, database: str, password: str = PASSWORD) -> str:
        login = f"{quote(MONGO_USER, safe='')}:{quote(password, safe='')}"
        tls = f"tls=true&tlsCAFile={quote(str(self._certificates.authority), safe='')}"
        return f"mongodb://{login}@{HOST}:{self.port}/{database}?authSource=admin&directConnection=true&{tls}"

    def _command(self) -> Sequence[str]:
        keys = self._certificates.server
        return [*super()._command(), "--auth", f"--tls-cert-file={keys}", f"--tls-key-file={keys}"]

    def _answers(self) -> bool:
        try:
            with MongoClient(self.url_of("admin"), serverSelectionTimeoutMS=1000) as client:
                return bool(client.admin.command("ping"))
        except PyMongoError:
            return False
