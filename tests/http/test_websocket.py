"""A WebSocket over an exchange: the handshake, messages, closing, and peers that are not as they should be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from polywire import App, Service, query
from polywire.http.exchange import Exchange
from polywire.http.websocket import Deflate, WebSocket, WebSocketLimits, accept, offered_subprotocols
from polywire.tasks.turns import Turns
from polywire.testing import TestClient
from polywire.testing.websocket import SocketClosed, SocketRefused
from polywire.wire.websocket import WebSocketEngine

LIMITS = WebSocketLimits(max_message_bytes=1000, close_timeout_s=0.01)


class Ping(Service, package="sockets"):
    @query("GET /echo")
    async def ping(self) -> str:
        return "pong"


class Echo:
    def __init__(self, limits: WebSocketLimits = LIMITS) -> None:
        self.limits = limits
        self.turns = Turns()
        self.sockets: list[WebSocket] = []
        self.ends: list[tuple[int, str]] = []
        self.unfinished_bytes = 0

    def __call__(self, exchange: Exchange) -> None:
        offered = offered_subprotocols(exchange)
        ws = accept(exchange, self.limits, self, subprotocol=offered[0] if offered else None, turns=self.turns)
        if ws is not None:
            self.sockets.append(ws)

    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        if message == "close":
            ws.close(4000, "as you wish")
        else:
            ws.send(message)

    def on_unfinished(self, ws: WebSocket, count_bytes: int) -> bool:
        self.unfinished_bytes += count_bytes
        return True

    def on_closed(self, ws: WebSocket, code: int, reason: str) -> None:
        self.ends.append((code, reason))


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def client(echo: Echo) -> AsyncIterator[TestClient]:
    async with TestClient(App(Ping())) as client:
        client.site.add_socket("/echo", echo)
        yield client


@pytest.mark.parametrize(("version", "status"), [("1.1", 101), ("2", 200)])
async def test_messages_come_back(client: TestClient, echo: Echo, version: str, status: int) -> None:
    async with client.websocket("/echo", subprotocols=["a", "b"], version=version) as ws:
        assert (ws.status, ws.subprotocol) == (status, "a")
        ws.send("naïve")
        ws.send(b"\0\xff")
        assert [await ws.receive(), await ws.receive()] == ["naïve", b"\0\xff"]
        ws.close(1000, "done")
        assert await ws.closed() == (1000, "")
    assert echo.ends == [(1000, "done")]


async def test_what_is_kept_of_messages_that_are_not_whole_is_counted(client: TestClient, echo: Echo) -> None:
    begins, goes_on, ends = b"\x01\x84\0\0\0\0abcd", b"\x00\x82\0\0\0\0ef", b"\x80\x80\0\0\0\0"
    async with client.websocket("/echo") as whole, client.websocket("/echo") as left:
        whole.sink.feed(begins)
        left.sink.feed(begins)
        assert echo.unfinished_bytes == 8
        whole.sink.feed(goes_on)
        assert echo.unfinished_bytes == 10
        whole.sink.feed(ends)
        assert await whole.receive() == "abcdef"
        assert echo.unfinished_bytes == 4
    assert echo.unfinished_bytes == 0
    async with client.websocket("/echo") as ws:
        ws.sink.feed(begins + b"\x83\x80\0\0\0\0")
        assert (await ws.closed())[0] == 1002
        assert echo.unfinished_bytes == 0


async def test_the_server_closes(client: TestClient, echo: Echo) -> None:
    async with client.websocket("/echo") as ws:
        ws.send("close")
        ws.send("ignored from here on")
        assert await ws.closed() == (4000, "as you wish")
        assert ws.sink.closed
    assert echo.ends == [(4000, "as you wish")]


async def test_a_close_that_nobody_answers_ends_in_time(client: TestClient, echo: Echo) -> None:
    async with client.websocket("/echo") as ws:
        ws.send("close")
        await ws.sink.answer()
    assert echo.ends == [(4000, "as you wish")]


async def test_who_leaves_without_a_word_is_1006(client: TestClient, echo: Echo) -> None:
    async with client.websocket("/echo"):
        pass
    async with client.websocket("/echo") as ws:
        ws.sink.feed(b"", end=True)
    assert echo.ends == [(1006, ""), (1006, "")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),
        (b"\x91\x80abcd", 1002),
        (b"\x83\x80abcd", 1002),
        (b"\x80\x80abcd", 1002),
        (b"\x89\xfe\x00\x7eabcd", 1002),
        (b"\x81\xfe\x03\xe9abcd", 1009),
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffabcd", 1009),
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),
        (b"\x88\x81\0\0\0\0\x03", 1002),
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),
    ],
)
async def test_what_breaks_the_protocol_is_told(client: TestClient, echo: Echo, data: bytes, code: int) -> None:
    async with client.websocket("/echo") as ws:
        ws.send_raw(data)
        assert (await ws.closed())[0] == code
        assert ws.sink.closed
    assert [end for end, _ in echo.ends] == [code]


async def test_pings_are_answered_but_not_to_one_who_takes_nothing(client: TestClient, echo: Echo) -> None:
    engine = WebSocketEngine(1000, is_client=True)
    async with client.websocket("/echo") as ws:
        ws.send_raw(engine.encode_ping(b"1"))
        assert await ws.sink.received() == b"\x8a\x011"
        ws.sink.paused = True
        while not echo.sockets[0].is_blocked:
            ws.send("x" * 1000)
        queued = ws.sink.buffered_out_bytes
        for _ in range(1000):
            ws.send_raw(engine.encode_ping(b"2"))
        assert ws.sink.buffered_out_bytes == queued


async def test_a_paused_socket_reads_nothing_more(client: TestClient, echo: Echo) -> None:
    async with client.websocket("/echo") as ws:
        server = echo.sockets[0]
        server.pause()
        ws.send("one")
        ws.send("two")
        assert ws.sink.buffered_in_bytes > 0
        server.resume()
        assert [await ws.receive(), await ws.receive()] == ["one", "two"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([("sec-websocket-version", "8"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")], 426),
        ([("sec-websocket-version", "13")], 400),
        ([("sec-websocket-version", "13"), ("sec-websocket-key", "c2hvcnQ=")], 400),
    ],
)
async def test_a_handshake_that_is_wrong(client: TestClient, fields: list[tuple[str, str]], status: int) -> None:
    sink = client.open("GET", "/nowhere")
    sink = type(sink)("GET", "/echo", fields)
    sink.tunnel = "websocket"
    client.site.on_request(client._peer, sink)
    answer = await sink.answer()
    assert answer.status == status
    assert answer.headers.get("sec-websocket-version") == ("13" if status == 426 else None)


@pytest.mark.parametrize("headers", [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]])
@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_pages_of_other_origins_are_refused(
    client: TestClient, headers: list[tuple[str, str]], version: str
) -> None:
    with pytest.raises(SocketRefused) as caught:
        async with client.websocket("/echo", headers=headers, version=version):
            pass
    assert caught.value.answer.status == 403


async def test_the_end_is_told_once_and_nothing_is_left(client: TestClient, echo: Echo) -> None:
    async with client.websocket("/echo") as ws:
        ws.close()
        with pytest.raises(SocketClosed):
            await ws.receive()
        ws.leave()
    await asyncio.sleep(0)
    assert echo.ends == [(1000, "")]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"max_message_bytes": 0}, "max_message_bytes"),
        ({"max_message_bytes": 2**31}, "max_message_bytes"),
        ({"close_timeout_s": 0}, "close_timeout_s"),
        ({"deflate": "on"}, "deflate must be one of off, no_context_takeover, context_takeover"),
    ],
)
def test_limits_that_cannot_be(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        WebSocketLimits(**wrong)


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("deflate", ["no_context_takeover", "context_takeover"])
async def test_messages_are_compressed_where_both_want_that(
    client: TestClient, echo: Echo, version: str, deflate: Deflate
) -> None:
    text = "the same again and again " * 30
    async with client.websocket("/echo", version=version, deflate=deflate) as ws:
        assert ws.deflate is None
        assert "sec-websocket-extensions" not in ws.sink.sent_headers, "off unless it is asked for"
    echo.limits = WebSocketLimits(deflate=deflate)
    async with client.websocket("/echo", version=version) as ws:
        assert ws.deflate is None
    async with client.websocket("/echo", version=version, deflate=deflate) as ws:
        assert ws.deflate is not None
        for _ in range(2):
            ws.send(text)
            assert await ws.receive() == text
        ws.send(text)
        assert len(await ws.sink.received()) < 100


@pytest.mark.parametrize("count", [1, 12])
async def test_bombs_are_unpacked_in_turns(client: TestClient, echo: Echo, count: int) -> None:
    """All of one socket, or of as many as there are."""
    size = 1_000_000
    echo.limits = WebSocketLimits(max_message_bytes=size, deflate="no_context_takeover")
    seen: list[int] = []
    turns = 0

    def message(ws: WebSocket, message: str | bytes) -> None:
        if message != "more":
            seen.append(turns)

    echo.on_message = message  # type: ignore[method-assign]
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(client.websocket("/echo", deflate="no_context_takeover"))
            for _ in range(count)
        ]
        bomb = sockets[0]._engine.encode(bytes(size))
        assert len(bomb) < 6000
        for ws in sockets:
            ws.send_raw(bomb * (12 // count))
            for _ in range(5):
                ws.send("more")
        async with asyncio.timeout(5):
            while len(seen) < 12:
                turns += 1
                await asyncio.sleep(0)
        assert max(seen.count(turn) for turn in seen) <= 2
    async with client.websocket("/echo", deflate="no_context_takeover") as ws:
        ws.send(bytes(size + 1))
        assert await ws.closed() == (1009, "a message is larger than 1000000 bytes")


async def test_a_fault_behind_messages_that_wait_is_told_once_they_are_taken(client: TestClient, echo: Echo) -> None:
    def message(ws: WebSocket, message: str | bytes) -> None:
        if message == "one":
            ws.pause()
        else:
            ws.send(message)

    echo.on_message = message  # type: ignore[method-assign]
    engine = WebSocketEngine(1000, is_client=True)
    async with client.websocket("/echo") as ws:
        server = echo.sockets[0]
        ws.send_raw(engine.encode("one") + engine.encode("two") + b"\xff\xff")
        assert server.is_paused
        assert server.is_open
        server.resume()
        assert await ws.receive() == "two"
        assert (await ws.closed())[0] == 1002


async def test_order_is_kept_by_who_pauses_and_resumes_within_a_message(client: TestClient, echo: Echo) -> None:
    taken: list[str | bytes] = []

    def message(ws: WebSocket, message: str | bytes) -> None:
        ws.pause()
        if message == "1":
            # What has come meanwhile is behind what waits.
            peer.send("4")
        ws.resume()
        taken.append(message)

    echo.on_message = message  # type: ignore[method-assign]
    engine = WebSocketEngine(1000, is_client=True)
    async with client.websocket("/echo") as peer:
        peer.send_raw(engine.encode("1") + engine.encode("2") + engine.encode("3"))
    assert taken == ["1", "2", "3", "4"]


async def test_a_close_that_waits_is_found_when_we_close(client: TestClient, echo: Echo) -> None:
    engine = WebSocketEngine(1000, is_client=True)
    echo.on_message = lambda ws, message: ws.pause()  # type: ignore[method-assign]
    async with client.websocket("/echo") as ws:
        ws.send_raw(engine.encode("one") + engine.encode("two") + engine.encode_close(1001))
        echo.sockets[0].close(4000)
        assert ws.sink.closed
    assert echo.ends == [(4000, "")]


async def test_who_fails_is_closed_with_1011(client: TestClient, echo: Echo, caplog: pytest.LogCaptureFixture) -> None:
    def message(ws: WebSocket, message: str | bytes) -> None:
        raise LookupError("a secret")

    echo.on_message = message  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR, "polywire"):
        async with client.websocket("/echo") as ws:
            ws.send("one")
            assert await ws.closed() == (1011, "internal error")
    assert echo.ends == [(1011, "internal error")]
    assert "LookupError: a secret" in caplog.text
    caplog.clear()
