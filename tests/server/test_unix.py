"""Unix sockets: whose file it is, what a caller is, and one socket for several workers."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from polywire.server.listener import ListenError, open_socket_sets, open_sockets
from polywire.server.settings import ServerSettings
from polywire.server.unix import open_unix_socket, remove_socket_file

from .conftest import Client, EchoSite, Serving

REQUEST = b"GET /a HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.7\r\n\r\n"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.sock")


async def ask(path: str, clients: list[Client]) -> int:
    clients.append(Client(*await asyncio.open_unix_connection(path)))
    clients[-1].send(REQUEST)
    return int((await clients[-1].answer())[0])


async def test_served_and_removed(serving: Serving, site: EchoSite, clients: list[Client], path: str) -> None:
    async with serving(uds=path) as server:
        assert server.port == 0
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        assert await ask(path, clients) == 200
        assert (site.peers[0].address, site.peers[0].port, site.peers[0].via) == ("unix", 0, None)
    assert not os.path.exists(path)  # noqa: ASYNC240 -- nothing else runs here


async def test_a_caller_with_a_path(serving: Serving, site: EchoSite, clients: list[Client], path: str) -> None:
    own = f"{path}.own"
    async with serving(uds=path, uds_mode=0o600) as server:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as opened:
            opened.setblocking(False)
            opened.bind(own)
            await asyncio.get_running_loop().sock_connect(opened, path)
            clients.append(Client(*await asyncio.open_unix_connection(sock=opened.dup())))
        clients[0].send(REQUEST)
        assert (await clients[0].answer())[0] == 200
        assert site.peers[0].address == own
        assert server.open_connections == 1


@pytest.mark.parametrize(("trusted", "address"), [(("unix",), "192.0.2.7"), (("0.0.0.0/0", "::/0"), "unix")])
async def test_trusted_by_its_own_word_only(
    serving: Serving, site: EchoSite, clients: list[Client], path: str, trusted: tuple[str, ...], address: str
) -> None:
    async with serving(uds=path, trusted_proxies=trusted):
        assert await ask(path, clients) == 200
        assert site.peers[0].address == address


def test_a_file_that_nobody_answers_on_is_replaced(path: str) -> None:
    open_unix_socket(path, 0o600).close()
    assert os.path.exists(path)
    with open_unix_socket(path, 0o600) as listening:
        listening.listen()
        with pytest.raises(ListenError, match="is in use by another program"):
            open_unix_socket(path, 0o600)
        remove_socket_file(path)
        assert os.path.exists(path), "somebody answers on it"
    remove_socket_file(path)
    assert not os.path.exists(path)
    remove_socket_file(path)


def test_a_full_backlog_is_an_answer(path: str) -> None:
    with open_unix_socket(path, 0o600) as listening, socket.socket(socket.AF_UNIX) as waiting:
        listening.listen(0)
        waiting.connect(path)
        with pytest.raises(ListenError, match="is in use"):
            open_unix_socket(path, 0o600)


def test_other_files_are_left_alone(tmp_path: Path, path: str) -> None:
    Path(path).write_text("precious")
    link = tmp_path / "link.sock"
    link.symlink_to(path)
    for name in (path, str(link)):
        with pytest.raises(ListenError, match="is no socket"):
            open_unix_socket(name, 0o600)
        remove_socket_file(name)
    assert Path(path).read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere/a.sock", "does not exist; make it first"), ("x" * 200, "is too long for a socket")]
)
def test_paths_that_cannot_be(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ListenError, match=reason):
        open_unix_socket(str(tmp_path / name), 0o600)


def test_workers_accept_from_one_unix_socket(path: str) -> None:
    first, second = (own[0] for own in open_socket_sets(ServerSettings(uds=path), 2))
    with first, second:
        for listening in (first, second):
            listening.listen()
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(path)
                listening.accept()[0].close()
    remove_socket_file(path)


def test_workers_have_a_tcp_socket_each() -> None:
    sets = open_socket_sets(ServerSettings(port=0), 3)
    try:
        assert len({own[0].getsockname() for own in sets}) == 1
        port = sets[0][0].getsockname()[1]
        for own in sets:
            own[0].listen()
        with pytest.raises(ListenError, match="is in use by another program"):
            open_socket_sets(ServerSettings(port=port), 2)
        with pytest.raises(ListenError):
            open_sockets(ServerSettings(port=port))
    finally:
        for own in sets:
            own[0].close()
