"""Servers that never stop answering, before the Python client where it goes over HTTP: it reads what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

import polywire
from polywire import Message, ResourceExhausted, SocketSettings, Topic
from tests.live.service import Lab

MOST = 100_000
SETTINGS = SocketSettings(
    transports=("http",), max_message_bytes=MOST, backoff_s=0.005, max_backoff_s=0.05, greeting_timeout_s=0.05
)
CHUNKED = "transfer-encoding: chunked\r\n\r\n"
LINES = b"x" * 10_000


class Tick(Message):
    n: int


ticks = Topic("ticks", Tick)


@dataclass
class Endless:
    port: int = 0
    sent: list[int] = field(default_factory=list)
    """Bytes of each answer, until its reader had enough."""


@asynccontextmanager
async def endless(status: int, content_type: str, part: bytes) -> AsyncIterator[Endless]:
    """Answers /health/live, and everything else with the same part again and again."""
    made = Endless()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /health/live"):
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            writer.close()
            return
        writer.write(f"HTTP/1.1 {status} OK\r\ncontent-type: {content_type}\r\n{CHUNKED}".encode())
        place = len(made.sent)
        made.sent.append(0)
        with suppress(ConnectionError):
            while made.sent[place] < 100_000_000:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
                await writer.drain()
                made.sent[place] += len(part)
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_end(status: int) -> None:
    async with (
        endless(status, "application/json", LINES) as server,
        polywire.connect_websocket(f"ws://127.0.0.1:{server.port}", settings=SETTINGS) as channel,
    ):
        with pytest.raises(ResourceExhausted, match=f"longer than {MOST} bytes"):
            await asyncio.wait_for(channel.client(Lab).get_item("a"), 5)
        assert server.sent[0] < 50_000_000


@pytest.mark.parametrize(
    ("status", "part"),
    [(200, LINES), (200, b"data: " + LINES + b"\n"), (400, LINES)],
    ids=["a line", "an event", "an error"],
)
async def test_a_stream_without_end(status: int, part: bytes) -> None:
    async with (
        endless(status, "text/event-stream", part) as server,
        polywire.connect_websocket(f"ws://127.0.0.1:{server.port}", settings=SETTINGS) as channel,
    ):
        with pytest.raises(ResourceExhausted, match=f"longer than {MOST} bytes"):
            await asyncio.wait_for(anext(channel.client(Lab).stream_waits()), 5)
        assert server.sent[0] < 50_000_000


async def test_a_page_of_a_topic_without_end() -> None:
    async with (
        endless(200, "text/plain", b": " + b"\n" * 9) as server,
        polywire.connect_websocket(f"ws://127.0.0.1:{server.port}", settings=SETTINGS) as channel,
    ):
        # Its events are held back: then it is polled, and that has no end either.
        with pytest.raises(ResourceExhausted, match=f"longer than {MOST} bytes"):
            await asyncio.wait_for(anext(channel.subscribe(ticks)), 5)
        assert len(server.sent) > 1
        assert server.sent[1] < 50_000_000
