"""WebSockets over real sockets: HTTP/1.1 in raw bytes, HTTP/2 by hyper-h2, and peers that do not behave."""

from __future__ import annotations

import asyncio
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from polywire.http.exchange import Exchange
from polywire.http.websocket import WebSocket, WebSocketLimits, accept
from polywire.runtime.call import Peer
from polywire.wire.websocket import WebSocketEngine

from .conftest import EchoSite
from .test_connection import until

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
LIMITS = WebSocketLimits(max_message_bytes=1_000_000, close_timeout_s=0.2)


class SocketSite(EchoSite):
    """Sends messages back, and takes no more while they are not read."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: list[WebSocket] = []
        self.ends: list[tuple[int, str]] = []
        self.unfinished_bytes = 0
        self.taken = 0

    def on_request(self, peer: Peer, sink: Any) -> None:
        if sink.tunnel is None:
            super().on_request(peer, sink)
            return
        ws = accept(Exchange(sink, peer), LIMITS, self)
        if ws is not None:
            self.sockets.append(ws)

    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        self.taken += 1
        if not ws.send(message):
            ws.pause_until_drained()

    def on_unfinished(self, ws: WebSocket, count_bytes: int) -> bool:
        self.unfinished_bytes += count_bytes
        return True

    def on_closed(self, ws: WebSocket, code: int, reason: str) -> None:
        self.ends.append((code, reason))


@pytest.fixture
def site() -> SocketSite:
    return SocketSite()


async def opened(connect: Any, server: Any, first: bytes = b"") -> Any:
    client = await connect(server)
    client.send(UPGRADE + first)
    async with asyncio.timeout(5):
        head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    return client


async def test_messages_and_a_close_over_http1(serving: Any, connect: Any, site: SocketSite) -> None:
    engine = WebSocketEngine(1_000_000, is_client=True)
    async with serving() as server:
        client = await opened(connect, server, engine.encode("with the handshake"))
        assert await client.reader.readexactly(20) == b"\x81\x12with the handshake"
        client.send(engine.encode("one") + engine.encode(b"two") + engine.encode_ping(b"p"))
        assert await client.reader.readexactly(13) == b"\x81\x03one\x82\x03two\x8a\x01p"
        for byte in engine.encode("byte by byte"):
            client.send(bytes([byte]))
        assert await client.reader.readexactly(14) == b"\x81\x0cbyte by byte"
        client.send(engine.encode_close(1001, "off"))
        assert await client.rest() == b"\x88\x02\x03\xe9"
        client.writer.write_eof()
        await until(lambda: server.open_connections == 0)
    assert site.ends == [(1001, "off")]


async def test_messages_and_a_close_over_http2(serving: Any, connect: Any, site: SocketSite) -> None:
    ours = WebSocketEngine(1_000_000, is_client=True)
    found: list[Any] = []
    async with serving() as server:
        client = await connect(server)
        peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        peer.initiate_connection()
        client.send(peer.data_to_send())

        async def hear(count: int) -> None:
            async with asyncio.timeout(5):
                while len(found) < count:
                    for event in peer.receive_data(await client.reader.read(65536)):
                        if isinstance(event, h2.events.ResponseReceived):
                            found.append(dict(event.headers)[b":status"])
                        elif isinstance(event, h2.events.DataReceived):
                            peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                            found.extend(ours.receive_data(event.data))
                        elif isinstance(event, h2.events.StreamEnded):
                            found.append("end")
                        elif isinstance(event, h2.events.RemoteSettingsChanged):
                            enabled = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
                            assert event.changed_settings[enabled].new_value == 1
                    client.send(peer.data_to_send())

        def say(data: bytes) -> None:
            peer.send_data(1, data)
            client.send(peer.data_to_send())

        peer.send_headers(
            1,
            [
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":authority", "a"),
                (":path", "/ws"),
                ("sec-websocket-version", "13"),
            ],
        )
        client.send(peer.data_to_send())
        await hear(1)
        say(ours.encode("one") + ours.encode(b"two")[:-1])
        await hear(2)
        say(ours.encode(b"two")[-1:])
        say(ours.encode_close(3000))
        await hear(5)
        assert found[:2] == [b"200", "one"]
        assert found[3:] == [(8, (3000, "")), "end"]
    assert site.ends == [(3000, "")]


async def test_messages_that_come_with_the_handshake_over_http2(serving: Any, connect: Any, site: SocketSite) -> None:
    engine = WebSocketEngine(1_000_000, is_client=True)
    peer = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False))
    peer.initiate_connection()
    fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/"),
    ]
    for stream in (1, 3):
        peer.send_headers(stream, [*fields, ("sec-websocket-version", "13")])
        peer.send_data(stream, engine.encode("early") + engine.encode("earlier"), end_stream=stream == 3)
    async with serving() as server, asyncio.timeout(5):
        client = await connect(server)
        client.send(peer.data_to_send())
        received = {1: b"", 3: b""}
        while len(received[1]) < 16:
            for event in peer.receive_data(await client.reader.read(65536)):
                if isinstance(event, h2.events.DataReceived):
                    received[event.stream_id] += event.data
        assert received[1] == b"\x81\x05early\x81\x07earlier"
        await until(lambda: site.ends == [(1006, "")])


async def test_a_peer_that_reads_late_loses_nothing(serving: Any, connect: Any, site: SocketSite) -> None:
    engine = WebSocketEngine(1_000_000, is_client=True)
    sent = [bytes([number]) * 50_000 for number in range(200)]
    async with serving() as server:
        client = await opened(connect, server)
        for message in sent:
            client.send(engine.encode(message))
        await until(lambda: site.sockets[0].is_paused)
        assert site.taken < len(sent), "what it does not read is not read from it"
        reader = WebSocketEngine(1_000_000, is_client=True)
        found: list[Any] = []
        async with asyncio.timeout(10):
            while len(found) < len(sent):
                found += reader.receive_data(await client.reader.read(65536))
        assert found == sent


async def test_who_never_reads_is_cut_off(serving: Any, connect: Any, site: SocketSite) -> None:
    engine = WebSocketEngine(1_000_000, is_client=True)
    async with serving(write_timeout_s=0.2) as server:
        client = await opened(connect, server)
        client.writer.transport.pause_reading()
        for _ in range(300):
            client.send(engine.encode(bytes(60_000)))
        await until(lambda: server.open_connections == 0)
        assert site.taken < 300
    assert site.ends == [(1006, "")]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"\x81\x05Hello", 1002),
        (b"\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0", 1009),
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),
    ],
)
async def test_who_breaks_the_protocol_and_sends_on_is_cut_off(
    serving: Any, connect: Any, site: SocketSite, wire: bytes, code: int
) -> None:
    async with serving(body_timeout_s=60, linger_s=0.1) as server:
        client = await opened(connect, server)
        client.send(wire)
        async with asyncio.timeout(5):
            assert await client.reader.readexactly(1) == b"\x88"
            size = (await client.reader.readexactly(1))[0]
            assert int.from_bytes((await client.reader.readexactly(size))[:2], "big") == code
            assert await client.reader.read() == b""
            while server.open_connections:
                client.send(bytes(10_000))
                await asyncio.sleep(0)
    assert [end for end, _ in site.ends] == [code]


async def test_a_flood_of_pings_is_answered_only_as_far_as_it_is_read(
    serving: Any, connect: Any, site: SocketSite
) -> None:
    engine = WebSocketEngine(1_000_000, is_client=True)
    ping = engine.encode_ping(b"x" * 125)
    async with serving() as server:
        client = await opened(connect, server)
        client.writer.transport.pause_reading()
        sent = 0
        async with asyncio.timeout(10):
            while not site.sockets[0].is_blocked:
                client.send(ping * 500)
                sent += 500
                await asyncio.sleep(0)
            for _ in range(20):
                client.send(ping * 500)
                await asyncio.sleep(0)
        queued = site.sockets[0].exchange.sink.buffered_out_bytes
        assert queued < 1_000_000
        client.writer.transport.resume_reading()
        client.send(engine.encode("still here") + engine.encode_close(1000))
        reader = WebSocketEngine(1_000_000, is_client=True)
        found: list[Any] = []
        async with asyncio.timeout(10):
            while not reader.closed:
                found += reader.receive_data(await client.reader.read(65536))
        pongs = found.count((10, b"x" * 125))
        assert pongs < sent + 20 * 500
        assert found[-2:] == ["still here", (8, (1000, ""))]


async def test_a_close_that_nobody_answers_ends_the_connection(serving: Any, connect: Any, site: SocketSite) -> None:
    async with serving(body_timeout_s=60, linger_s=0.1) as server:
        client = await opened(connect, server)
        await until(lambda: site.sockets)
        site.sockets[0].close(1001, "going")
        assert await client.rest() == b"\x88\x07\x03\xe9going"
        await until(lambda: server.open_connections == 0)
    assert site.ends == [(1001, "going")]


async def test_a_message_that_never_ends_holds_no_more_than_the_limit(
    serving: Any, connect: Any, site: SocketSite
) -> None:
    async with serving() as server:
        client = await opened(connect, server)
        first, more = b"\x01\xfe\x27\x10\0\0\0\0", b"\x00\xfe\x27\x10\0\0\0\0"
        client.send(first + b"a" * 10_000)
        for _ in range(150):
            client.send(more + b"a" * 10_000)
        async with asyncio.timeout(5):
            assert (await client.reader.read())[:4] == b"\x88\x28\x03\xf1"
        assert site.sockets[0].engine.kept_bytes == 0
    assert site.ends == [(1009, "a message is larger than 1000000 bytes")]
