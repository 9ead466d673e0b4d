"""The one Kafka request that the local stack sends: which brokers are there?

An open port is not enough: a broker accepts connections before it has joined its cluster. It is up
when its metadata lists a broker. A blocking request of a few bytes needs no event loop, so a server
can be started from inside of one as well.

Layout: the Kafka protocol guide, `Metadata` version 1, with request header version 1.
"""

import socket
import struct

from prom_faust.local.ports import HOST

__all__ = ["count_brokers", "metadata_request", "read_broker_count"]

_METADATA, _VERSION, _CORRELATION = 3, 1, 1
_NO_CLIENT_ID, _NO_TOPICS = -1, 0
_TIMEOUT_SECONDS = 2.0
_LARGEST_ANSWER_BYTES = 1_000_000


def metadata_request() -> bytes:
    """Return a whole request, its length included, that asks for no topic."""
    body = struct.pack(">hhihi", _METADATA, _VERSION, _CORRELATION, _NO_CLIENT_ID, _NO_TOPICS)
    return struct.pack(">i", len(body)) + body


def read_broker_count(answer: bytes) -> int:
    """Return how many brokers an answer, without its length, lists.

    Raises:
        ValueError: these bytes do not answer `metadata_request`.
    """
    try:
        correlation, brokers = struct.unpack_from(">ii", answer)
    except struct.error as error:
        raise ValueError(f"an answer of {len(answer)} bytes is too short") from error
    if correlation != _CORRELATION:
        raise ValueError(f"an answer to request {correlation}, not {_CORRELATION}")
    return int(brokers)


def count_brokers(port: int) -> int:
    """Ask the broker on the port of 127.0.0.1 how many brokers its cluster has.

    Raises:
        OSError: it does not answer, or cuts the answer off.
        ValueError: something answers that is no Kafka broker.
    """
    with (
        socket.create_connection((HOST, port), timeout=_TIMEOUT_SECONDS) as connection,
        connection.makefile("rb") as stream,
    ):
        connection.sendall(metadata_request())
        (length,) = struct.unpack(">i", _read(stream.read(4), 4))
        if not 0 < length <= _LARGEST_ANSWER_BYTES:
            raise ValueError(f"an answer of {length} bytes is no metadata")
        return read_broker_count(_read(stream.read(length), length))


def _read(data: bytes, wanted: int) -> bytes:
    if len(data) != wanted:
        raise ConnectionError(f"the broker closed the connection after {len(data)} of {wanted} bytes")
    return data
