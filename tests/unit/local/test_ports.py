"""Ports: what counts as free, and that a free one is never handed out twice."""

import socket

import pytest

from prom_faust.exceptions import LocalStackError
from prom_faust.local import free_port
from prom_faust.local.ports import HOST, choose_port, is_free, wait_until_free


@pytest.fixture
def taken():
    with socket.create_server((HOST, free_port())) as server:
        yield server.getsockname()[1]


def test_free_ports_of_one_process_differ():
    assert len({free_port() for _ in range(50)}) == 50


def test_a_free_port_lies_below_the_range_of_outgoing_connections():
    assert all(1024 < free_port() < 32768 for _ in range(20))


def test_a_port_on_which_something_listens_is_not_free(taken):
    assert not is_free(taken)


def test_the_preferred_port_is_chosen_when_it_is_free():
    port = free_port()
    assert choose_port(port) == port


def test_another_port_is_chosen_when_the_preferred_one_is_taken(taken):
    assert choose_port(taken) != taken


def test_waiting_for_a_taken_port_ends_with_its_number(taken):
    with pytest.raises(LocalStackError, match=f"port {taken} of 127.0.0.1 is taken"):
        wait_until_free(taken, timeout=0.2)
