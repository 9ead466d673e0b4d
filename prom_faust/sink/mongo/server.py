"""MongoDB, called under a deadline: what is only an outage is one error, whatever the driver makes of it.

Works with a database object of pymongo's async API and of motor: only calls that both have, awaited.
"""

import asyncio
from typing import Any

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    WaitQueueTimeoutError,
    WTimeoutError,
)
from pymongo.write_concern import WriteConcern

from prom_faust.exceptions import AccessError, UnreachableError
from prom_faust.sink.outcome import INFRASTRUCTURE

__all__ = ["Server"]

AUTHENTICATION_FAILED = 18
OUTAGE = (ConnectionFailure, ExecutionTimeout, NetworkTimeout, WaitQueueTimeoutError, WTimeoutError)


class Server:
    """One database, as a projection uses it.

    Args:
        database: a database of pymongo's async API or of motor.
        deadline: seconds that one call may take.
    """

    def __init__(self, database: Any, *, deadline: float) -> None:
        self.database = database
        self.deadline = deadline

    def collection(self, name: str) -> Any:
        """A collection whose writes are acknowledged by the majority."""
        return self.database.get_collection(name, write_concern=WriteConcern("majority"))

    async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the driver under the deadline.

        Raises:
            UnreachableError: the server, or too few of them, did not answer.
            PyMongoError: whatever else the driver raises.
        """
        try:
            async with asyncio.timeout(self.deadline):
                with pymongo.timeout(self.deadline):
                    return await function(*args, **kwargs)
        except BulkWriteError as error:
            if error.timeout:
                # Its own text holds the operations, and so the documents.
                raise UnreachableError(
                    f"MongoDB at {self._addresses} did not answer within {self.deadline:g} s"
                ) from error
            raise
        except OUTAGE as error:
            raise UnreachableError(f"MongoDB does not answer: {error}") from error
        except OperationFailure as error:
            if error.code in INFRASTRUCTURE or error.has_error_label("RetryableWriteError"):
                raise UnreachableError(f"MongoDB cannot do it now: {error}") from error
            raise
        except TimeoutError as error:
            raise UnreachableError(
                f"MongoDB at {self._addresses} did not answer within {self.deadline:g} s"
            ) from error

    async def check_access(self) -> None:
        """At the start a password that is refused is a wrong one; later it is being changed.

        Raises:
            AccessError: MongoDB does not let us in.
            UnreachableError: it does not answer.
        """
        try:
            await self.call(self.database.command, "ping")
        except UnreachableError as error:
            cause = error.__cause__
            if isinstance(cause, OperationFailure) and cause.code == AUTHENTICATION_FAILED:
                raise AccessError(
                    f"MongoDB at {self._addresses} does not let this worker in: {cause.args[0]}. Are user, password "
                    "and authSource in mongo_url right?"
                ) from error
            raise

    @property
    def _addresses(self) -> str:
        """Host and port of the servers; nothing of the URL that could be secret."""
        servers = self.database.client.topology_description.server_descriptions()
        return ", ".join(f"{host}:{port}" for host, port in servers) or "its address"
