"""A server that speaks MongoDB's wire protocol: the one of the `secantusdb` wheel, never imported.

It keeps documents in WiredTiger and presents itself as a replica set of one, so transactions and
change streams work. It is a server for development and tests; its release is pinned.
"""

import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from prom_faust.exceptions import LocalStackError
from prom_faust.local.ports import HOST
from prom_faust.local.process import Server

__all__ = ["MongoServer"]

_ANSWER_MILLISECONDS = 1000


class MongoServer(Server):
    """A MongoDB-wire server on `mongodb://127.0.0.1:port`; an acknowledged write survives a kill."""

    name: ClassVar[str] = "mongo"
    scheme: ClassVar[str] = "mongodb"

    @property
    def _configuration(self) -> Path:
        return self.directory / "secantusd.toml"

    def _prepare(self) -> None:
        # Naming an empty file keeps the server from looking for one in the user's home and in /etc.
        self._configuration.touch()

    def _command(self) -> Sequence[str]:
        script = Path(sysconfig.get_path("scripts")) / "secantusd-py"
        if not script.exists():
            raise LocalStackError(f"{script} is missing: pip install 'prom-faust[local]'")
        return [
            str(script),
            f"--config={self._configuration}",
            f"--host={HOST}",
            f"--port={self.port}",
            f"--storage-path={self.directory / 'data'}",
            # Without it a write is acknowledged before it is durable.
            "--sync-on-commit",
        ]

    def _answers(self) -> bool:
        try:
            with MongoClient[dict[str, object]](
                HOST,
                self.port,
                directConnection=True,
                serverSelectionTimeoutMS=_ANSWER_MILLISECONDS,
                connectTimeoutMS=_ANSWER_MILLISECONDS,
                socketTimeoutMS=_ANSWER_MILLISECONDS,
            ) as client:
                return bool(client.admin.command("hello").get("isWritablePrimary"))
        except PyMongoError:
            return False
