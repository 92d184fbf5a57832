"""Servers that do not behave, before the Python client over WebSockets: its calls end, and nothing is kept for them."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

import polywire
from polywire import Internal, SocketSettings
from polywire.client.socket.link import SUBPROTOCOL, HandshakeClosed, HandshakeRefused, SocketLink
from polywire.client.socket.session import Session
from polywire.client.target import read_socket_target
from polywire.codec import Format, message_codec
from polywire.protocols.websocket.messages import AppInfo, Limits, Welcome
from polywire.protocols.websocket.protobuf_framing import ServerMessage, ServerMessageType
from polywire.schema import message_type
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_key import accept_key
from tests.live.service import Lab

QUICK = SocketSettings(transports=("websocket",), backoff_s=0.005, max_backoff_s=0.05)
ENGINE = WebSocketEngine(1 << 24)
MESSAGES = message_codec(message_type(ServerMessage), Format.PROTOBUF)


def told(kind: ServerMessageType, **more: Any) -> bytes:
    return ENGINE.encode(MESSAGES.encode(ServerMessage(kind, **more)))


def welcome(heartbeat_s: float = 15.0, calls: int = 10) -> bytes:
    limits = Limits(1 << 20, calls, 32)
    return told(
        ServerMessageType.WELCOME,
        welcome=Welcome(1, "s", "p", AppInfo("a", "1"), [], heartbeat_s, limits),
    )


@dataclass
class Hostile:
    port: int = 0
    handshakes: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)


@asynccontextmanager
async def hostile(
    answer: Callable[[str], bytes],
    then: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None,
) -> AsyncIterator[Hostile]:
    """A server: `answer` makes all that it says from the handshake's key."""
    made = Hostile()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.writers.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        made.handshakes += 1
        key = re.search(r"Sec-WebSocket-Key: (\S+)", head)
        assert key is not None
        writer.write(answer(key[1]))
        if then is not None:
            await then(reader, writer)

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for writer in made.writers:
            writer.close()


def accepted(key: str) -> bytes:
    return (
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        f"sec-websocket-accept: {accept_key(key)}\r\nsec-websocket-protocol: {SUBPROTOCOL}\r\n\r\n"
    ).encode()


def link_to(port: int) -> SocketLink:
    def ignore(*_: object) -> None: ...

    return SocketLink(read_socket_target(f"ws://127.0.0.1:{port}"), 1 << 20, ignore, ignore, lambda: None)


@pytest.mark.parametrize("status", ["\xb2\xb3\xb9", "9" * 5000, "-101", "1_0_1", ""])
async def test_a_status_that_is_none(status: str) -> None:
    async with hostile(lambda _: f"HTTP/1.1 {status} OK\r\n\r\n".encode("latin-1")) as server:
        link = link_to(server.port)
        with pytest.raises(HandshakeRefused) as caught:
            async with asyncio.timeout(5):
                await link.open(None)
        assert caught.value.status == 0
        await link.gone


@pytest.mark.parametrize("heartbeat_s", [math.nan, math.inf, -math.inf, 1e300, -1.0, 0.0])
async def test_a_heartbeat_that_cannot_be(heartbeat_s: float) -> None:
    async with hostile(lambda key: accepted(key) + welcome(heartbeat_s)) as server:
        link = link_to(server.port)
        with pytest.raises(HandshakeClosed, match="cannot be"):
            async with asyncio.timeout(5):
                await link.open(None)
        await link.gone


@pytest.mark.parametrize("calls", [0, -1])
async def test_a_server_that_takes_no_call_at_all(calls: int) -> None:
    async with hostile(lambda key: accepted(key) + welcome(calls=calls)) as server:
        link = link_to(server.port)
        with pytest.raises(HandshakeClosed, match="cannot be"):
            async with asyncio.timeout(5):
                await link.open(None)
        await link.gone


@pytest.mark.parametrize("reconnect_s", [math.nan, math.inf, 1e300, -1.0])
async def test_advice_when_to_come_back_is_bounded(reconnect_s: float) -> None:
    """The server goes away when it has got a call, and answers none: the next connection is made soon all the same."""
    arrived = asyncio.Event()

    async def then(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.handshakes == 2:
            arrived.set()
        elif await reader.read(1):
            writer.write(told(ServerMessageType.GOING_AWAY, reconnect_s=reconnect_s))

    async with hostile(lambda key: accepted(key) + welcome(), then) as server:
        async with polywire.connect_websocket(f"ws://127.0.0.1:{server.port}", settings=QUICK) as channel:
            call = asyncio.ensure_future(channel.client(Lab).get_item("a"))
            async with asyncio.timeout(5):
                await arrived.wait()
        with pytest.raises(polywire.Cancelled):
            await call


async def test_one_that_goes_away_at_once_again_and_again_is_come_back_to_slower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enough = asyncio.Event()
    pauses: list[float] = []
    connect = Session._connect

    def note(session: Session, delay_s: float = 0.0) -> None:
        pauses.append(delay_s)
        if len(pauses) == 6:
            enough.set()
        connect(session, delay_s)

    monkeypatch.setattr(Session, "_connect", note)
    leaving = told(ServerMessageType.GOING_AWAY)
    async with hostile(lambda key: accepted(key) + welcome() + leaving) as server:
        async with polywire.connect_websocket(f"ws://127.0.0.1:{server.port}", settings=QUICK) as channel:
            call = asyncio.ensure_future(channel.client(Lab).get_item("a"))
            async with asyncio.timeout(5):
                await enough.wait()
        with pytest.raises(polywire.Cancelled):
            await call
    assert pauses[0] == 0.0
    assert all(pauses[1:])


async def test_pings_of_one_that_does_not_read_are_not_answered_for_ever() -> None:
    async with hostile(lambda key: accepted(key) + welcome()) as server:
        link = link_to(server.port)
        await link.open(None)
        transport = link._transport
        assert transport is not None
        written: list[bytes] = []
        transport.write = written.append  # type: ignore[method-assign, assignment]
        ping = ENGINE.encode_ping()
        link.pause_writing()
        link.data_received(ping * 1000)
        assert written == []
        link.resume_writing()
        link.data_received(ping)
        assert len(written) == 1
        del transport.write
        link.abort()
        await link.gone


async def test_items_beyond_the_credit_end_their_call() -> None:
    async def then(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(told(ServerMessageType.NEXT, id=1) * (QUICK.window + 1))

    async with (
        hostile(lambda key: accepted(key) + welcome(), then) as server,
        polywire.connect_websocket(f"ws://127.0.0.1:{server.port}", settings=QUICK) as channel,
    ):
        items = channel.client(Lab).stream(1, 1)
        async with asyncio.timeout(5), aclosing(items):
            for _ in range(QUICK.window):
                await anext(items)
            with pytest.raises(Internal, match="credit"):
                await anext(items)
