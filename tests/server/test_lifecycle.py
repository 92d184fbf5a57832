"""Starting, failing to start, running out of descriptors, and the clock."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from polywire import App, Service, query
from polywire.runtime.health import State
from polywire.server import listener as listeners
from polywire.server.hub import Hub
from polywire.server.listener import ListenError
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings
from polywire.server.tls import TlsError, server_context

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def test_a_start_hook_that_fails_leaves_nothing(site: Any) -> None:
    site.fail_start = OSError("no database")
    before = asyncio.all_tasks()
    server = Server(site, ServerSettings(port=0))
    with pytest.raises(OSError, match="no database"):
        await server.start()
    assert site.stopped == 1
    assert site.health.state is State.STARTING
    assert asyncio.all_tasks() == before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


async def test_a_port_in_use_leaves_nothing(site: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(site, ServerSettings(port=taken.getsockname()[1]))
        with pytest.raises(ListenError, match="in use"):
            await server.start()
    assert site.started == 0


async def test_a_certificate_that_is_none_is_said_before_anything_starts(site: Any) -> None:
    server = Server(site, ServerSettings(port=0, tls_cert="/nowhere/cert.pem"))
    with pytest.raises(TlsError, match=r"cannot read /nowhere/cert\.pem"):
        await server.start()
    assert site.started == 0


async def test_a_host_that_is_none(site: Any) -> None:
    with pytest.raises(ListenError, match=r"cannot resolve the host 'nowhere\.invalid'"):
        await Server(site, ServerSettings(host="nowhere.invalid", port=0)).start()


def test_the_port_is_known_only_once_started(site: Any) -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = Server(site).port


async def test_sockets_can_be_handed_in(site: Any) -> None:
    handed = socket.create_server(("127.0.0.1", 0))
    port = handed.getsockname()[1]
    server = Server(site, ServerSettings(port=0, drain_s=0.1), [handed])
    await server.start()
    assert server.port == port
    await server.drain()
    assert handed.fileno() == -1


def test_the_drain_lasts_as_the_app_says_unless_the_settings_do() -> None:
    class Thing(Service):
        @query
        async def run(self) -> None: ...

    app = App(Thing(), drain_s=7.0)
    assert Server(app).drain_s == 7.0
    assert Server(app, ServerSettings(drain_s=2.0)).drain_s == 2.0


async def test_running_out_of_descriptors_pauses_accepting(
    serving: Any, connect: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listeners, "_BACK_OFF_S", 0.02)
    async with serving() as server:
        real, failures = server._listeners[0]._socket, [0]

        class Exhausted:
            def accept(self) -> Any:
                failures[0] += 1
                if failures[0] <= 3:
                    raise OSError(errno.EMFILE, "Too many open files")
                return real.accept()

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

        server._listeners[0]._socket = Exhausted()
        client = await connect(server)
        client.send(GET)
        assert (await client.answer())[0] == 200
        assert failures[0] >= 4
        server._listeners[0]._socket = real
    told = [record.getMessage() for record in caplog.records]
    assert told == ["cannot accept connections: Too many open files; raise the limit of open files (ulimit -n)"]


async def test_the_date_is_renewed_each_second() -> None:
    wall = [784111777.9]
    hub = Hub(lambda peer, sink: None, ServerSettings(), asyncio.get_running_loop(), wall=lambda: wall[0])
    first = hub.common.block
    assert dict(first.pairs)[b"date"] == b"Sun, 06 Nov 1994 08:49:37 GMT"
    hub.tick()
    assert hub.common.block is first
    wall[0] += 0.2
    hub.tick()
    assert dict(hub.common.block.pairs)[b"date"] == b"Sun, 06 Nov 1994 08:49:38 GMT"


async def test_the_server_field_can_be_left_out() -> None:
    hub = Hub(lambda peer, sink: None, ServerSettings(server_header=None), asyncio.get_running_loop())
    assert [name for name, _ in hub.common.block.pairs] == [b"date"]


async def test_a_connection_that_fails_its_tick_is_aborted_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        protocol = "http1"
        aborted = ticked = 0

        def tick(self, now: float) -> None:
            self.ticked += 1
            raise ZeroDivisionError

        def drain(self) -> None: ...

        def abort(self) -> None:
            self.aborted += 1

    hub = Hub(lambda peer, sink: None, ServerSettings(), asyncio.get_running_loop())
    both = [Broken(), Broken()]
    for one in both:
        hub.add(one)
    hub.tick()
    assert [(one.ticked, one.aborted) for one in both] == [(1, 1), (1, 1)]
    assert "ZeroDivisionError" in caplog.text


BAD_SETTINGS = [
    ({"protocols": frozenset({"http1", "gopher"})}, "unknown protocols \\['gopher'\\]"),
    ({"protocols": frozenset({"tls"})}, "needs http1 or http2"),
    ({"tls_key": "key.pem"}, "a TLS key without a certificate"),
    ({"tls_cert": "cert.pem", "protocols": frozenset({"http1"})}, "leave tls out"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServerSettings(**settings)


def test_no_certificate_is_no_tls() -> None:
    assert server_context(ServerSettings()) is None
