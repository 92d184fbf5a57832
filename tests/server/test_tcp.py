"""TCP keep-alive: what accepted sockets inherit."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from polywire.server.tcp import PROBES, keep_alive


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def accepted(listening: socket.socket) -> socket.socket:
    with socket.create_connection(listening.getsockname()):
        return listening.accept()[0]


def test_accepted_sockets_are_looked_after(listening: socket.socket) -> None:
    keep_alive(listening, 60.0)
    with accepted(listening) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [opened.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [60, 15, PROBES]


def test_times_are_whole_seconds_and_at_least_one(listening: socket.socket) -> None:
    keep_alive(listening, 0.2)
    with accepted(listening) as opened:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1


def test_none_is_never(listening: socket.socket) -> None:
    keep_alive(listening, 60.0)
    keep_alive(listening, None)
    with accepted(listening) as opened:
        assert not opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
