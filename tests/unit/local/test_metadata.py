"""The metadata request: its bytes, and what counts as an answer to it."""

import socket
import struct
from threading import Thread

import pytest

from prom_faust.local import free_port
from prom_faust.local.metadata import count_brokers, metadata_request, read_broker_count
from prom_faust.local.ports import HOST


def test_the_request_has_its_length_key_version_and_no_topics():
    assert metadata_request() == bytes.fromhex("0000000e 0003 0001 00000001 ffff 00000000")


def test_the_brokers_of_an_answer_are_counted():
    assert read_broker_count(struct.pack(">ii", 1, 3) + b"the brokers") == 3


@pytest.mark.parametrize("answer", [b"", b"\0\0\0\1", struct.pack(">ii", 7, 1)])
def test_an_answer_to_something_else_is_an_error(answer):
    with pytest.raises(ValueError, match="answer"):
        read_broker_count(answer)


def test_a_server_of_another_kind_is_no_broker():
    with socket.create_server((HOST, free_port())) as server:

        def speak_http():
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = Thread(target=speak_http)
        thread.start()
        with pytest.raises(ValueError, match="no metadata"):
            count_brokers(server.getsockname()[1])
        thread.join()
