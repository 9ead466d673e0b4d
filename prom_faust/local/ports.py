"""TCP ports of 127.0.0.1: which are free, and waiting until one is.

Free ports are taken from below the range that operating systems hand to outgoing connections
(32768 and up on Linux, 49152 and up elsewhere). A port from inside that range can be lost while its
server is down: a client that reconnects in a loop may be given the very port it tries to reach, and
is then connected to itself.
"""

import secrets
import socket
import time
from collections.abc import Iterator

from prom_faust.exceptions import LocalStackError

__all__ = ["HOST", "choose_port", "free_port", "is_free", "wait_until_free"]

HOST = "127.0.0.1"
"""The only address on which the local stack listens."""

_LOWEST, _COUNT = 15000, 17000
_POLL_SECONDS = 0.1


def _walk(start: int) -> Iterator[int]:
    while True:
        yield _LOWEST + start % _COUNT
        start += 1


# One walk per process: two calls must not return the same port before its server has bound it.
_candidates = _walk(secrets.randbelow(_COUNT))


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a server that has ended do not block its successor.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a free port; one process is never given the same port twice in a row of 17000 calls.

    Raises:
        LocalStackError: no port of the range is free.
    """
    for _ in range(_COUNT):
        port = next(_candidates)
        if is_free(port):
            return port
    raise LocalStackError(f"no port from {_LOWEST} to {_LOWEST + _COUNT - 1} is free on {HOST}")


def choose_port(preferred: int) -> int:
    """Return the preferred port when it is free, else another one that is."""
    return preferred if is_free(preferred) else free_port()


def wait_until_free(port: int, timeout: float) -> None:
    """Block until the port is free, for at most `timeout` seconds.

    Raises:
        LocalStackError: the port is still taken.
    """
    deadline = time.monotonic() + timeout
    while not is_free(port):
        if time.monotonic() >= deadline:
            raise LocalStackError(f"port {port} of {HOST} is taken by another process")
        time.sleep(_POLL_SECONDS)
