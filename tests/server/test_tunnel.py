"""An Upgrade over real sockets: a site that echoes what comes through the tunnel."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from polywire.runtime.call import Peer
from polywire.wire.headers import HeaderBlock

from .conftest import EchoSite
from .test_connection import GET, until

UPGRADE = b"GET /%s HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
EMPTY = HeaderBlock()


class Tunnel:
    """Echoes; ends when the peer does, or at once on `bye`; stops reading while the peer does not read."""

    def __init__(self, site: TunnelSite, sink: Any) -> None:
        self.site = site
        self.received = b""
        self.writable = True
        sink.receiver = self
        self.sink = sink.send_head(101, EMPTY)
        site.tunnels.append(self)

    def on_readable(self) -> None:
        if self.writable:
            part = self.sink.take()
            self.sink.grant(len(part))
            self.received += part
            self.writable = self.sink.send_data(part)
            if self.sink.ended or part.endswith(b"bye"):
                self.sink.send_end()

    def on_writable(self) -> None:
        self.writable = True
        self.on_readable()

    def on_gone(self) -> None:
        self.site.gone += 1


class TunnelSite(EchoSite):
    def __init__(self) -> None:
        super().__init__()
        self.tunnels: list[Tunnel] = []

    def on_request(self, peer: Peer, sink: Any) -> None:
        if sink.tunnel is not None and sink.target == "/ws":
            Tunnel(self, sink)
        else:
            super().on_request(peer, sink)

    async def stop(self) -> None:
        for tunnel in self.tunnels:
            tunnel.sink.send_data(b"going away")
            tunnel.sink.send_end()
        await super().stop()


@pytest.fixture
def site() -> TunnelSite:
    return TunnelSite()


async def opened(connect: Any, server: Any, **options: Any) -> Any:
    client = await connect(server, **options)
    client.send(UPGRADE % b"ws" + b"first")
    async with asyncio.timeout(5):
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\ndate: ")
        assert head.endswith(b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        assert await client.reader.readexactly(5) == b"first"
    return client


async def test_bytes_both_ways_until_the_peer_ends(serving: Any, connect: Any, site: TunnelSite) -> None:
    async with serving() as server:
        client = await opened(connect, server)
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert await client.reader.readexactly(18) == b"GET / HTTP/1.1\r\n\r\n"
        client.send(b"last")
        client.writer.write_eof()
        assert await client.rest() == b"last"
        await until(lambda: server.open_connections == 0)
        assert site.gone == 0


async def test_our_end_first_and_what_comes_after_it(serving: Any, connect: Any, site: TunnelSite) -> None:
    async with serving() as server:
        client = await opened(connect, server)
        client.send(b"bye")
        assert await client.rest() == b"bye"
        client.send(b"and one thing more")
        client.writer.write_eof()
        await until(lambda: site.tunnels[0].received == b"firstbyeand one thing more")
        await until(lambda: server.open_connections == 0)
        assert site.gone == 0


async def test_a_peer_that_keeps_its_half_open_is_cut_off(serving: Any, connect: Any, site: TunnelSite) -> None:
    async with serving(body_timeout_s=0.1, linger_s=0.1) as server:
        client = await opened(connect, server)
        client.send(b"bye")
        assert await client.rest() == b"bye"
        await until(lambda: server.open_connections == 0)
        assert site.gone == 1


async def test_tls_closes_both_ways_at_once(
    serving: Any, connect: Any, site: TunnelSite, certificate: tuple[Path, Path]
) -> None:
    async with serving(tls_cert=str(certificate[0]), tls_key=str(certificate[1])) as server:
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        client = await opened(connect, server, ssl=trusting, server_hostname="localhost")
        client.send(b"bye")
        assert await client.rest() == b"bye"
        await until(lambda: server.open_connections == 0)
        assert site.gone == 0


async def test_who_does_not_take_it_up_serves_the_get(serving: Any, connect: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(UPGRADE % b"else" + GET)
        assert await client.answer() == (200, b"1.1 http GET /else ")
        assert await client.answer() == (200, b"1.1 http GET / ")


async def test_no_time_out_of_http_ends_it(serving: Any, connect: Any) -> None:
    async with serving(idle_timeout_s=0.1, body_timeout_s=0.1, head_timeout_s=0.1, linger_s=0.1) as server:
        client = await opened(connect, server)
        idle = await connect(server)
        idle.send(GET)
        await idle.answer()
        assert await idle.rest() == b"", "the idle one has been closed"
        await until(lambda: server.open_connections == 1)
        client.send(b"still here")
        assert await client.reader.readexactly(10) == b"still here"


async def test_a_peer_that_reads_late_loses_nothing(serving: Any, connect: Any, site: TunnelSite) -> None:
    async with serving() as server:
        client = await opened(connect, server)
        sent = bytes(range(256)) * 40_000
        client.send(sent)
        await until(lambda: not site.tunnels[0].writable)
        assert len(site.tunnels[0].received) < len(sent), "what it does not read is not read from it"
        async with asyncio.timeout(10):
            assert await client.reader.readexactly(len(sent)) == sent


async def test_who_never_reads_is_cut_off(serving: Any, connect: Any, site: TunnelSite) -> None:
    async with serving(write_timeout_s=0.2) as server:
        client = await opened(connect, server)
        client.writer.transport.pause_reading()
        client.send(bytes(20_000_000))
        await until(lambda: server.open_connections == 0)
        assert site.gone == 1


async def test_a_drain_waits_for_it_and_then_ends_it_in_order(serving: Any, connect: Any) -> None:
    async with serving(linger_s=0.1) as server:
        client = await opened(connect, server)
        draining = asyncio.create_task(server.drain(0.3))
        client.send(b"on")
        assert await client.reader.readexactly(2) == b"on"
        assert await client.rest() == b"going away", "and no reset"
        await draining


async def test_a_peer_that_leaves_is_gone(serving: Any, connect: Any, site: TunnelSite) -> None:
    async with serving() as server:
        client = await opened(connect, server)
        client.writer.transport.abort()
        await until(lambda: server.open_connections == 0)
        assert site.tunnels[0].sink.ended or site.gone == 1


async def test_a_tunnel_behind_an_answer_that_takes_its_time(serving: Any, connect: Any, site: TunnelSite) -> None:
    """Reading stops until the tunnel has the connection to itself, and then goes on."""
    async with serving() as server:
        client = await connect(server)
        client.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n" + UPGRADE % b"ws" + b"first")
        await until(lambda: len(site.tunnels) == 1)
        client.send(b"second")
        assert site.tunnels[0].received == b""
        site.release()
        assert (await client.answer())[0] == 200
        async with asyncio.timeout(5):
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await client.reader.readexactly(11) == b"firstsecond"
            client.send(b"third")
            assert await client.reader.readexactly(5) == b"third"
