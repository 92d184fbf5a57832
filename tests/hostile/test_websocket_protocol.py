"""Peers of the WebSocket protocol that do not behave, over real sockets: the right code, and nothing is left."""

from __future__ import annotations

import json
import socket
from typing import Any

import h2.events
import pytest

from polywire import Unauthenticated
from polywire.service.options import WebSocketOptions
from polywire.wire.websocket import WebSocketEngine
from tests.live.http2 import H2Client, h2_client
from tests.live.server import Live, serve, until
from tests.live.websocket import Client, Refused, websocket
from tests.live.wire import connected

SUBSCRIPTIONS = 10_000


def call(method: str, id: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "call", "id": id, "method": f"lab.Lab/{method}", **more}


def still_answers(client: Client) -> bool:
    client.send(call("GetItem", 2**40, input={"name": "a"}))
    answer = client.receive()
    return answer["type"] == "result" and answer["id"] == 2**40


async def authenticate(token: str | None, peer: Any) -> str:
    if token != "right":
        raise Unauthenticated("unknown token", reason="BAD_TOKEN")
    return "anna"


def test_ten_thousand_subscriptions_on_one_connection(live: Live) -> None:
    with websocket(live) as client:
        assert client.receive()["type"] == "welcome"
        for first in range(1, SUBSCRIPTIONS + 1, 500):
            client.send(*[call("StreamWaits", id) for id in range(first, first + 500)])
            while True:
                # What it is told is read, or it would not be read from either.
                message = client.receive()
                if message["type"] == "error":
                    assert (message["code"], message["reason"]) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
                    assert message["id"] > 128
                if message.get("id") == first + 499:
                    break
        assert live.open_calls == 128
        client.send({"type": "cancel", "id": 1})
        assert client.receive()["code"] == "CANCELLED"
        assert still_answers(client)
    until(lambda: not live.open_calls)


def test_who_never_reads_is_cut() -> None:
    with serve(write_timeout_s=0.3) as live, websocket(live) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(call("Stream", input={"count": 1_000_000, "size": 10_000}, credit=1_000_000))
        until(lambda: live.open_calls)
        until(lambda: not live.open_calls and not live.open_connections)


def flood(client: Client, data: bytes) -> None:
    for _ in range(10_000):
        client.socket.sendall(data)


def test_who_never_reads_and_asks_on_is_not_read_from() -> None:
    with serve(write_timeout_s=0.5) as live, websocket(live) as client:
        client.socket.settimeout(5)
        asked = client.encode(*[call("GetItem", id, input={"name": "x" * 100}) for id in range(1, 1001)])
        with pytest.raises((TimeoutError, ConnectionError)):
            flood(client, asked)
        until(lambda: not live.open_connections)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([("origin", "https://evil.example")], 403),
        ([("origin", "null")], 403),
        ([("origin", "http://localhost.evil.example")], 403),
        ([("sec-fetch-site", "cross-site")], 403),
        ([("origin", "http://localhost")], 101),
    ],
)
def test_foreign_origins(live: Live, fields: list[tuple[str, str]], status: int) -> None:
    if status == 101:
        with websocket(live, fields=fields) as client:
            assert client.receive()["type"] == "welcome"
        return
    with pytest.raises(Refused) as caught, websocket(live, fields=fields):
        pass
    assert caught.value.status == status
    with h2_client(live) as client2:
        ask = [(":protocol", "websocket"), ("sec-websocket-version", "13"), *fields]
        assert client2.wait(client2.begin("CONNECT", "/ws", ask)).head[":status"] == str(status)


@pytest.mark.parametrize("path", ["/ws", "/echo", "/graphql", "/trpc"])
def test_no_websocket_at_all_is_for_pages_of_others(live: Live, path: str) -> None:
    with pytest.raises(Refused) as caught, websocket(live, path, [("origin", "https://evil.example")]):
        pass
    assert caught.value.status == 403


def test_wrong_and_late_tokens() -> None:
    options = WebSocketOptions(authenticate=authenticate, first_message_s=0.2)
    with serve(app={"websocket": options}) as live:
        with websocket(live) as client:
            client.send({"type": "hello", "token": "wrong"}, call("GetItem", input={"name": "a"}))
            assert client.receive()["type"] == "welcome"
            assert client.receive()["reason"] == "BAD_TOKEN"
            assert client.receive() == 4401
        with websocket(live, fields=[("authorization", "Bearer wrong")]) as client:
            assert [client.receive()["type"] for _ in range(2)] == ["welcome", "error"]
            assert client.receive() == 4401
        with websocket(live) as client:
            assert client.receive()["type"] == "welcome"
            assert client.receive() == 4408
        with websocket(live) as client:
            client.send({"type": "hello", "token": "right"})
            assert client.receive()["type"] == "welcome"
            assert still_answers(client)


def test_too_many_of_one_address_and_too_fast() -> None:
    with serve(app={"websocket": WebSocketOptions(max_per_address=3)}) as live:
        with websocket(live), websocket(live), websocket(live, "/graphql"):
            with pytest.raises(Refused) as caught, websocket(live):
                pass
            assert caught.value.status == 429
        until(lambda: not live.open_connections)
        with websocket(live) as client:
            assert still_answers_after_welcome(client)
    with serve(app={"websocket": WebSocketOptions(connects_per_s=0.01)}) as live:
        with websocket(live) as client:
            assert still_answers_after_welcome(client)
        with pytest.raises(Refused) as caught, websocket(live):
            pass
        assert caught.value.status == 429


def still_answers_after_welcome(client: Client) -> bool:
    assert client.receive()["type"] == "welcome"
    return still_answers(client)


GARBAGE = WebSocketEngine(1 << 24, is_client=True)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (GARBAGE.encode("[" * 100_000), 4400),
        (GARBAGE.encode("{" * 100_000), 4400),
        (GARBAGE.encode('{"type":' + "9" * 100_000 + "}"), 4400),
        (GARBAGE.encode('{"type":"call","id":1,"metadata":{"a":1}}'), 4400),
        (GARBAGE.encode(b"\x00" * 1000), 1003),
        (GARBAGE.encode("x" * (1 << 20) + "x"), 1009),
        (b"\x81\x02hi", 1002),
    ],
)
def test_garbage_is_closed_with_its_code(live: Live, data: bytes, code: int) -> None:
    with websocket(live) as client:
        client.socket.sendall(data)
        received = client.receive()
        while not isinstance(received, int):
            received = client.receive()
        assert received == code


def test_streams_that_nobody_ends_go_with_their_connection(live: Live) -> None:
    with websocket(live) as client:
        client.send(*[call("Echo", id) for id in range(1, 101)])
        client.send(*[{"type": "next", "id": id, "message": {"text": "x" * 1000}} for id in range(1, 101)])
        until(lambda: live.open_calls == 100)


def test_a_head_without_an_end_takes_no_socket(live: Live) -> None:
    with connected(live) as opened:
        opened.sendall(b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n")
    until(lambda: not live.open_connections)


class Stalled(H2Client):
    """Gives no credit for some streams; for the connection it does."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__(opened)
        self.stalled: set[int] = set()

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived) and event.stream_id in self.stalled:
            self.replies[event.stream_id].body += event.data or b""
            self.h2.increment_flow_control_window(event.flow_controlled_length or 1)
        else:
            super()._note(event)


def test_over_http2_one_that_is_not_read_holds_up_no_other(live: Live) -> None:
    ask = [(":protocol", "websocket"), ("sec-websocket-version", "13")]
    with connected(live) as opened:
        client = Stalled(opened)
        slow, quick = client.begin("CONNECT", "/ws", ask), client.begin("CONNECT", "/ws", ask)
        client.stalled.add(slow)
        while not (client.replies[slow].body and client.replies[quick].body):
            assert client.receive()
        flood = call("Stream", input={"count": 1_000_000, "size": 10_000}, credit=1_000_000)
        client.send(slow, GARBAGE.encode(json.dumps(flood)))
        while len(client.replies[slow].body) < 60_000:
            assert client.receive()
        assert live.lab.running == 1
        for id in range(1, 101):
            client.send(quick, GARBAGE.encode(json.dumps(call("GetItem", id, input={"name": "a"}))))
        while b'"id":100,' not in client.replies[quick].body:
            assert client.receive()
        assert len(client.replies[slow].body) < 66_000, "no more than it has given credit for"
