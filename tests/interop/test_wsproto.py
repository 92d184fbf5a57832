"""wsproto, which polywire did not write, at the other end of an endpoint that echoes, and of our client side."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from polywire.testing.websocket import KEY
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import agreed, offer
from tests.live.http2 import h2_client
from tests.live.server import Live
from tests.live.wire import connected

PARAMETERS: list[dict[str, Any]] = [
    {},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"client_max_window_bits": 9},
    {"server_max_window_bits": 9},
    {"client_max_window_bits": 15, "server_max_window_bits": 15},
]


def messages() -> list[str | bytes]:
    rng = random.Random(1)
    sizes = [0, 1, 63, 64, 125, 126, 2000, 2000, 65_535, 65_536, 150_000]
    texts: list[str | bytes] = [(f"{size} né " * size)[:size] for size in sizes if size < 100_000]
    return texts + [rng.randbytes(size) for size in sizes] + [b"ab" * (size // 2) for size in sizes]


class Peer:
    """A Connection of wsproto, and the bytes it is joined to."""

    def __init__(self, connection: Connection, send: Callable[[bytes], object], receive: Callable[[], bytes]) -> None:
        self._connection = connection
        self._send = send
        self._receive = receive
        self._events: list[Event] = []

    def say(self, *events: Event) -> None:
        self._send(b"".join(self._connection.send(event) for event in events))

    def hear(self) -> Event:
        """The next event; of messages whole ones. Pings of the server, which has heartbeats, are answered."""
        parts: list[Any] = []
        while True:
            while not self._events:
                self._connection.receive_data(self._receive() or None)
                self._events += self._connection.events()
            event = self._events.pop(0)
            if isinstance(event, Ping):
                self.say(event.response())
            elif isinstance(event, Message):
                parts.append(event.data)
                if event.message_finished:
                    return type(event)(data=type(event.data)().join(parts))  # type: ignore[call-arg]
            else:
                return event


@contextmanager
def over_http1(live: Live, path: str, deflate: PerMessageDeflate) -> Iterator[Peer]:
    head = (
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n"
        f"sec-websocket-extensions: {_offered(deflate)}\r\n\r\n"
    )
    with connected(live) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.sendall(head.encode())
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += opened.recv(1)
        fields = dict(line.lower().split(": ", 1) for line in received.decode().split("\r\n")[1:-2])
        deflate.finalize(fields["sec-websocket-extensions"])
        yield Peer(Connection(ConnectionType.CLIENT, [deflate]), opened.sendall, lambda: opened.recv(65536))


@contextmanager
def over_http2(live: Live, path: str, deflate: PerMessageDeflate) -> Iterator[Peer]:
    fields = [
        (":protocol", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-extensions", _offered(deflate)),
    ]
    with h2_client(live) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = client.begin("CONNECT", path, fields)
        reply = client.replies[stream]
        while not reply.head:
            assert client.receive()
        deflate.finalize(reply.head["sec-websocket-extensions"])

        def receive() -> bytes:
            while not reply.body and not reply.ended:
                assert client.receive()
            received, reply.body = reply.body, b""
            return received

        yield Peer(Connection(ConnectionType.CLIENT, [deflate]), lambda data: client.send(stream, data), receive)


def _offered(deflate: PerMessageDeflate) -> str:
    offered = deflate.offer()
    return "permessage-deflate" + (f"; {offered}" if isinstance(offered, str) else "")


@pytest.mark.parametrize("over", [over_http1, over_http2])
@pytest.mark.parametrize("path", ["/echo", "/echo-kept"])
@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_an_endpoint_that_echoes(live: Live, over: Any, path: str, parameters: dict[str, Any]) -> None:
    with over(live, path, PerMessageDeflate(**parameters)) as peer:
        for message in messages():
            cls: Any = TextMessage if isinstance(message, str) else BytesMessage
            third = len(message) // 3
            peer.say(cls(data=message[:third], message_finished=False), cls(data=message[third:]))
            assert peer.hear() == cls(data=message)
        peer.say(Ping(payload=b"there?"))
        assert peer.hear() == Pong(payload=b"there?")
        peer.say(CloseConnection(code=4321, reason="bye"))
        assert peer.hear() == CloseConnection(code=4321, reason="")


@pytest.mark.parametrize("keep_context", [False, True])
def test_our_client_side(keep_context: bool) -> None:
    deflate = PerMessageDeflate()
    said = deflate.accept(offer(keep_context))
    parameters = agreed("permessage-deflate" + (f"; {said}" if isinstance(said, str) and said else ""), keep_context)
    assert parameters is not None
    ours = WebSocketEngine(1 << 20, is_client=True, deflate=parameters)
    theirs = Connection(ConnectionType.SERVER, [deflate])
    for message in messages():
        theirs.receive_data(ours.encode(message))
        parts = list(theirs.events())
        joined = type(message)().join(part.data for part in parts)  # type: ignore[attr-defined]
        assert joined == message
        cls: Any = TextMessage if isinstance(message, str) else BytesMessage
        third = len(message) // 3
        wire = theirs.send(cls(data=message[:third], message_finished=False)) + theirs.send(cls(data=message[third:]))
        assert ours.receive_data(wire) == [message]
    theirs.receive_data(ours.encode_close(1000, "done"))
    assert list(theirs.events()) == [CloseConnection(code=1000, reason="done")]
