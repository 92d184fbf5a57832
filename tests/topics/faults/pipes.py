"""Bytes of one answer or WebSocket, over HTTP/1.1 and HTTP/2, by clients that are as small as can be.

What is cut ends as ConnectionError or EOFError. An answer that is neither 200 nor 101 is a RuntimeError.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import h2.config
import h2.connection
import h2.events

from polywire.testing.websocket import KEY

Fields = list[tuple[str, str]]


class Pipe(Protocol):
    async def receive(self) -> bytes:
        """What has come, in any cut. Raises EOFError at the end."""

    async def send(self, data: bytes) -> None: ...


class Http1:
    """A connection: one request after the other, or a tunnel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._chunked = True

    async def ask(self, method: str, target: str, fields: Fields, body: bytes = b"") -> dict[str, str]:
        """The fields of the answer's head."""
        lines = [f"{method} {target} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in fields)]
        if body:
            lines.append(f"content-length: {len(body)}")
        await self.send("\r\n".join([*lines, "\r\n"]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        if head[0].split()[1] not in ("200", "101"):
            raise RuntimeError(f"{method} {target}: {head}")
        answered = dict(line.lower().split(": ", 1) for line in head[1:-2])
        self._chunked = "transfer-encoding" in answered
        return answered

    async def whole(self, answered: dict[str, str]) -> bytes:
        """A body whose length was told."""
        return await self._reader.readexactly(int(answered["content-length"]))

    async def receive(self) -> bytes:
        if not self._chunked:
            data = await self._reader.read(65536)
            if not data:
                raise EOFError
            return data
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        data = await self._reader.readexactly(size + 2)
        if not size:
            raise EOFError
        return data[:-2]

    async def send(self, data: bytes) -> None:
        await _send(self._writer, data)


class Http2:
    """A connection with one stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False))
        self._h2.initiate_connection()
        self._received = b""
        self._ended = False

    async def ask(self, method: str, target: str, fields: Fields, body: bytes | None = b"") -> None:
        """body: None: more is sent later."""
        head = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", target)]
        self._h2.send_headers(1, [*head, *fields], end_stream=body == b"")
        if body:
            self._h2.send_data(1, body, end_stream=True)
        await _send(self._writer, self._h2.data_to_send())

    async def send(self, data: bytes) -> None:
        self._h2.send_data(1, data)
        await _send(self._writer, self._h2.data_to_send())

    async def receive(self) -> bytes:
        while not self._received:
            if self._ended:
                raise EOFError
            data = await self._reader.read(65536)
            if not data:
                raise EOFError
            for event in self._h2.receive_data(data):
                self._note(event)
        await _send(self._writer, self._h2.data_to_send())
        received, self._received = self._received, b""
        return received

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            status = dict(event.headers or ()).get(b":status")
            if status != b"200":
                raise RuntimeError(str(event))
        elif isinstance(event, h2.events.DataReceived):
            self._received += event.data or b""
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)):
            self._ended = True


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    if writer.is_closing():
        raise ConnectionResetError  # uvloop's transport would say so by a RuntimeError
    writer.write(data)
    await writer.drain()


@asynccontextmanager
async def http1(port: int) -> AsyncIterator[Http1]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Http1(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def http2(port: int) -> AsyncIterator[Http2]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Http2(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def upgraded(port: int, path: str, subprotocol: str) -> AsyncIterator[Pipe]:
    """A WebSocket's bytes over HTTP/1.1."""
    fields = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
        ("sec-websocket-protocol", subprotocol),
    ]
    async with http1(port) as pipe:
        await pipe.ask("GET", path, fields)
        yield pipe


@asynccontextmanager
async def connected(port: int, path: str, subprotocol: str) -> AsyncIterator[Pipe]:
    """A WebSocket's bytes over HTTP/2."""
    fields = [
        (":protocol", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", subprotocol),
    ]
    async with http2(port) as pipe:
        await pipe.ask("CONNECT", path, fields, None)
        yield pipe
