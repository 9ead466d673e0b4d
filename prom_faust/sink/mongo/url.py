"""``mongo_url``: the one database that it names, with an error that says nothing of user and password."""

import re
from typing import Any
from urllib.parse import unquote

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from prom_faust.exceptions import ConfigurationError

__all__ = ["database_of"]


def database_of(url: str) -> Any:
    """The database of a URL, ``prom`` where it names none; nothing is connected yet.

    Raises:
        ConfigurationError: it is no such URL.
    """
    try:
        if not url.startswith(("mongodb://", "mongodb+srv://")):
            raise ConfigurationError(
                "mongo_url cannot be used: it must begin with mongodb:// or mongodb+srv://"
            )
        client: AsyncMongoClient[Any] = AsyncMongoClient(
            url, serverSelectionTimeoutMS=5_000, connectTimeoutMS=5_000, appname="prom_faust"
        )
        database = client.get_default_database("prom")
    except (PyMongoError, ValueError, OSError) as error:
        raise ConfigurationError(f"mongo_url cannot be used: {_without_login(error, url)}") from None
    # The driver takes "a.b" for a collection of a.
    if unquote(_after_login(url).partition("?")[0].partition("/")[2]) not in {"", database.name}:
        raise ConfigurationError("mongo_url cannot be used: its path must be the name of a database")
    return database


def _after_login(url: str) -> str:
    return url.partition("://")[2].rpartition("@")[2]


def _without_login(error: Exception, url: str) -> str:
    """What the driver says of a URL, unless it quotes a part of the user's name or password.

    It takes one that is not escaped for a part of the host's or the database's name.
    """
    login = url.partition("://")[2].removesuffix(_after_login(url))
    if {*re.findall(r"\w+", login)} & {*re.findall(r"\w+", str(error))}:
        return "user and password must be escaped, as urllib.parse.quote_plus does it (RFC 3986)"
    return str(error)
