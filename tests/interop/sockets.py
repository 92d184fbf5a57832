"""WebSocket clients of others, so far alike that one test can be told to each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import msgspec
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

Parts = list[str] | list[bytes]


class Closed(Exception):
    """The socket is closed: with which code and reason, as the client tells it."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Refused(Exception):
    """The handshake was answered with another status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Socket(Protocol):
    subprotocol: str | None
    is_compressed: bool

    async def send(self, message: str | bytes) -> None: ...
    async def send_parts(self, parts: Parts) -> None:
        """One message in so many frames."""

    async def receive(self) -> str | bytes:
        """The next message. Raises Closed at the end."""

    async def ping(self, payload: bytes) -> None:
        """Returns once the pong with this payload is there."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Returns once the server has closed as well."""


class Asyncio:
    """The package websockets, on asyncio."""

    def __init__(self, ws: websockets.asyncio.client.ClientConnection) -> None:
        self._ws = ws
        self.subprotocol: str | None = ws.subprotocol
        self.is_compressed = bool(ws.protocol.extensions)

    async def send(self, message: str | bytes) -> None:
        await self._ws.send(message)

    async def send_parts(self, parts: Parts) -> None:
        await self._ws.send(parts)

    async def receive(self) -> str | bytes:
        try:
            return await self._ws.recv()
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def ping(self, payload: bytes) -> None:
        await (await self._ws.ping(payload))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._ws.close(code, reason)
        await self._ws.wait_closed()


class Threads:
    """The package websockets, blocking: each call in a thread."""

    def __init__(self, ws: websockets.sync.client.ClientConnection) -> None:
        self._ws = ws
        self.subprotocol: str | None = ws.subprotocol
        self.is_compressed = bool(ws.protocol.extensions)

    async def send(self, message: str | bytes) -> None:
        await asyncio.to_thread(self._ws.send, message)

    async def send_parts(self, parts: Parts) -> None:
        await asyncio.to_thread(self._ws.send, parts)

    async def receive(self) -> str | bytes:
        try:
            return await asyncio.to_thread(self._ws.recv)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def ping(self, payload: bytes) -> None:
        pong = await asyncio.to_thread(self._ws.ping, payload)
        assert await asyncio.to_thread(pong.wait, 10)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await asyncio.to_thread(self._ws.close, code, reason)


class Aiohttp:
    """The client of aiohttp, which sends every message in one frame."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self._ws = ws
        self.subprotocol = ws.protocol
        self.is_compressed = bool(ws.compress)

    async def send(self, message: str | bytes) -> None:
        await (self._ws.send_str(message) if isinstance(message, str) else self._ws.send_bytes(message))

    async def send_parts(self, parts: Parts) -> None:
        raise NotImplementedError

    async def _next(self) -> Any:
        while True:
            message = await self._ws.receive()
            if message.type is not aiohttp.WSMsgType.PING:
                return message
            await self._ws.pong(message.data)

    async def receive(self) -> str | bytes:
        message = await self._next()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return message.data  # type: ignore[no-any-return]
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        raise Closed(message.data, message.extra)

    async def ping(self, payload: bytes) -> None:
        await self._ws.ping(payload)
        message = await self._next()
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, payload)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._ws.close(code=code, message=reason.encode())
        assert self._ws.close_code == code


def _closed(closed: ConnectionClosed) -> Closed:
    return Closed(closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else Closed(None, "")


class Talk:
    """The polywire protocol in JSON on such a socket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def say(self, **message: Any) -> None:
        await self._socket.send(msgspec.json.encode(message).decode())

    async def call(self, id: int, method: str, **members: Any) -> None:
        await self.say(type="call", id=id, method=method, **members)

    async def hear(self) -> Any:
        heard = await self._socket.receive()
        assert isinstance(heard, str)
        return msgspec.json.decode(heard)

    async def hear_all(self, count: int) -> list[Any]:
        return [await self.hear() for _ in range(count)]


def _options(subprotocols: Sequence[str], deflate: bool) -> dict[str, Any]:
    return {
        "subprotocols": [Subprotocol(one) for one in subprotocols] or None,
        "compression": "deflate" if deflate else None,
        "proxy": None,
    }


@asynccontextmanager
async def _asyncio(url: str, subprotocols: Sequence[str], deflate: bool) -> AsyncIterator[Socket]:
    try:
        async with websockets.asyncio.client.connect(url, **_options(subprotocols, deflate)) as ws:
            yield Asyncio(ws)
    except InvalidStatus as refused:
        raise Refused(refused.response.status_code) from None


@asynccontextmanager
async def _threads(url: str, subprotocols: Sequence[str], deflate: bool) -> AsyncIterator[Socket]:
    options = _options(subprotocols, deflate)
    try:
        ws = await asyncio.to_thread(lambda: websockets.sync.client.connect(url, **options).__enter__())
    except InvalidStatus as refused:
        raise Refused(refused.response.status_code) from None
    try:
        yield Threads(ws)
    finally:
        await asyncio.to_thread(ws.__exit__, None, None, None)


@asynccontextmanager
async def _aiohttp(url: str, subprotocols: Sequence[str], deflate: bool) -> AsyncIterator[Socket]:
    options: dict[str, Any] = {"protocols": subprotocols, "compress": 15 if deflate else 0, "autoping": False}
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(url, **options) as ws:
            yield Aiohttp(ws)
    except aiohttp.WSServerHandshakeError as refused:
        raise Refused(refused.status) from None


CLIENTS = {"websockets": _asyncio, "websockets.sync": _threads, "aiohttp": _aiohttp}
FRAGMENTING = ["websockets", "websockets.sync"]


@asynccontextmanager
async def socket_of(
    client: str, authority: str, path: str, subprotocols: Sequence[str] = (), *, deflate: bool = False
) -> AsyncIterator[Socket]:
    """A socket by one of `CLIENTS`. Raises Refused where the server does not take it up."""
    async with asyncio.timeout(30), CLIENTS[client](f"ws://{authority}{path}", subprotocols, deflate) as socket:
        yield socket
