"""What protocols of messages on a WebSocket share: time for the first message, heartbeats, calls that end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from polywire import App, Service, query
from polywire.http.exchange import Exchange
from polywire.protocols.sockets import MOST_CALLS, MessageSocket, SocketCarrier
from polywire.service.options import WebSocketOptions
from polywire.testing import TestClient
from polywire.testing.websocket import TestSocket
from tests.runtime.beats import Beats


class Ping(Service, package="sockets"):
    @query("GET /ping")
    async def ping(self) -> str:
        return "pong"


class Running:
    def __init__(self) -> None:
        self.was_cancelled = False

    def cancel(self) -> None:
        self.was_cancelled = True


class Echo(MessageSocket):
    """`first` is the first message; `run` begins something; the rest is sent back."""

    begun: list[Running]

    def begin(self) -> None:
        self.begun = []
        if self.accept("echo"):
            self.await_first(0.02, 4408, "nothing came first")

    def on_text(self, text: str) -> None:
        if text == "first":
            self.first_came()
        elif text == "run":
            running = Running()
            self.begun.append(running)
            self.calls[len(self.calls)] = running
        self.ws.send(text)


@pytest.fixture
def sockets() -> list[Echo]:
    return []


@pytest.fixture
async def client(sockets: list[Echo]) -> AsyncIterator[TestClient]:
    async with TestClient(App(Ping(), heartbeat_s=0.02, max_request_bytes=1000)) as client:

        def endpoint(exchange: Exchange) -> None:
            sockets.append(Echo(client.site.runtime, exchange))
            sockets[-1].begin()

        client.site.add_socket("/echo", endpoint)
        yield client


async def test_who_says_nothing_first_is_closed(client: TestClient) -> None:
    async with client.websocket("/echo", subprotocols=["echo"]) as ws:
        assert ws.subprotocol == "echo"
        assert await ws.closed() == (4408, "nothing came first")


async def test_who_answers_pings_stays(client: TestClient, sockets: list[Echo]) -> None:
    async with client.websocket("/echo") as ws:
        ws.send("first")
        assert await ws.receive() == "first"
        while sockets[0].ws.heard < 10:
            (one,) = await pings(ws, 1)
            ws.send_raw(ws._engine.encode_pong(one))
        assert sockets[0].ws.is_open


async def pings(ws: TestSocket, count: int) -> list[bytes]:
    """The next ones, which are not answered."""
    found: list[bytes] = []
    while len(found) < count:
        for one in ws._engine.receive_data(await ws.sink.received()):
            assert one[0] == 9
            found.append(one[1])
    return found


async def test_who_does_not_is_closed(client: TestClient, sockets: list[Echo]) -> None:
    async with client.websocket("/echo") as ws:
        ws.send("first")
        assert await ws.receive() == "first"
        ws.send("run")
        assert await ws.receive() == "run"
        assert await pings(ws, 2) == [b"", b""]
        assert await ws.closed() == (1001, "nothing was heard for too long")
        assert sockets[0].begun[0].was_cancelled
    assert not client.site.runtime.sockets


async def test_so_many_beats_may_be_missed_as_is_set() -> None:
    app = App(Ping(), heartbeat_s=0.02, websocket=WebSocketOptions(missed_beats=6))
    sockets: list[Echo] = []
    async with TestClient(app) as client:

        def endpoint(exchange: Exchange) -> None:
            sockets.append(Echo(client.site.runtime, exchange))
            sockets[-1].begin()

        client.site.add_socket("/echo", endpoint)
        async with client.websocket("/echo") as ws:
            ws.send("first")
            assert await ws.receive() == "first"
            assert await pings(ws, 5) == [b""] * 5
            assert (await ws.closed())[0] == 1001
    with pytest.raises(ValueError, match="missed_beats=0"):
        WebSocketOptions(missed_beats=0)


async def test_one_that_is_paused_is_not_taken_for_dead(client: TestClient, sockets: list[Echo]) -> None:
    async with client.websocket("/echo") as ws:
        ws.send("first")
        ws.sink.paused = True
        while not sockets[0].ws.is_paused:
            ws.send("x" * 1000)
        beats = Beats()
        client.site.runtime.heartbeats.add(beats)
        for _ in range(8):
            await beats.next()
        assert sockets[0].ws.is_open
        ws.sink.resume()
        assert not sockets[0].ws.is_paused


async def test_calls_are_bounded_and_end_with_the_socket(client: TestClient, sockets: list[Echo]) -> None:
    async with client.websocket("/echo") as ws:
        for _ in range(MOST_CALLS):
            assert not sockets[0].is_full
            ws.send("run")
        assert sockets[0].is_full
        ws.leave()
    assert all(running.was_cancelled for running in sockets[0].begun)
    assert sockets[0].calls == {}


async def test_bytes_and_long_messages_are_refused(client: TestClient) -> None:
    async with client.websocket("/echo") as ws:
        ws.send(b"first")
        assert await ws.closed() == (1003, "messages are text")
    async with client.websocket("/echo") as ws:
        ws.send("x" * 1001)
        assert await ws.closed() == (1009, "a message is larger than 1000 bytes")


async def test_a_call_has_the_handshakes_fields_and_an_id_of_its_own(client: TestClient, sockets: list[Echo]) -> None:
    async with client.websocket("/echo", headers=[("authorization", "Bearer t")]):
        exchange = sockets[0].exchange
        one, two = SocketCarrier(exchange), SocketCarrier(exchange)
        assert one.headers.get("authorization") == "Bearer t"
        assert one.peer is exchange.peer
        assert one.request_id == one.request_id != two.request_id


async def test_all_are_told_when_the_server_goes(client: TestClient, sockets: list[Echo]) -> None:
    async with client.websocket("/echo") as ws:
        client.site.go_away()
        assert await ws.closed() == (1001, "the server is going away")
