"""The tests' ports: no other process is given one, and its users can bind it again and again."""

from __future__ import annotations

import socket

import pytest

from tests.support.servers.port import port_of_ones_own


def test_a_port_of_ones_own_refuses_until_its_owner_listens_and_then_again() -> None:
    address = ("127.0.0.1", port_of_ones_own())
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        with socket.create_server(address), socket.create_connection(address):
            pass


def test_no_other_process_is_given_the_port() -> None:
    port = port_of_ones_own()
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", port))
