"""Who this worker is: a name that a restart keeps.

Kafka gives a member another id at every start. Homes that a deployment should not move need a name instead: the
setting ``worker_name``, or ``consumer_group_instance_id``, or this host's name and a number.
"""

import fcntl
import logging
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

import faust

from prom_faust.assignment.wire import Identity
from prom_faust.settings import Settings, load_settings

__all__ = ["settings_of", "worker_identity"]

logger = logging.getLogger(__name__)

MAX_WORKERS = 1_000
"""Of one app on one host."""


def settings_of(app: Any) -> Settings:
    """The plugin's settings, or those of the environment where only a part of it is used, without ``install``."""
    prom = vars(app).get("prom")
    return load_settings() if prom is None else cast(Settings, prom.settings)


def worker_identity(app: faust.App) -> Identity:
    """Who this process is in the groups of an app; the same at every call.

    Only a worker should ask: on a host with several, the first free number is taken, and kept until the process
    ends.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    known = cast(Identity | None, vars(app).get("prom_identity"))
    if known is None:
        settings, conf = settings_of(app), app.conf
        known = Identity(
            name=settings.worker_name or conf.consumer_group_instance_id or _host_and_number(app),
            weight=settings.worker_weight,
            started=round(time.time() * 1000),
            process=uuid4().hex[:12],
            url=str(conf.canonical_url),
        )
        vars(app)["prom_identity"] = known
    return known


def _host_and_number(app: faust.App) -> str:
    """This host's name and the first number that no other worker of the app has on it."""
    host = socket.gethostname()
    # A temporary folder is one that all processes of a host have, and that a container does not share.
    folder = Path(tempfile.gettempdir()) / f"prom_faust-{os.getuid()}" / str(app.conf.id)
    for number, lock in _free(folder):
        vars(app)["prom_identity_lock"] = (
            lock  # the system gives it back when the process ends, however it ends
        )
        return f"{host}-{number}"
    logger.warning("no number is free in %s; set worker_name", folder)
    return f"{host}-{uuid4().hex[:12]}"


def _free(folder: Path) -> Iterator[tuple[int, IO[bytes]]]:
    for number in range(MAX_WORKERS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / f"{number}.lock").open("ab")
        except OSError as error:
            logger.warning("cannot see which workers run on this host: %s; set worker_name", error)
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        yield number, lock
