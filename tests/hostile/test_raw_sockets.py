"""Peers of a raw endpoint that do not behave, over real sockets and with compression on: bounded, and nobody waits."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from polywire.testing.websocket import KEY
from tests.live.http2 import h2_client
from tests.live.server import Live, serve
from tests.live.service import MOST_ECHOED_BYTES
from tests.live.wire import connected
from tests.wire.websocket_peer import BINARY, CONTINUATION, PING, RSV1, TEXT, close, deflated, frame, server_frames

from .memory import resident_bytes

BOUND_BYTES = 16 * 1024 * 1024
BOMB = frame(BINARY, deflated(bytes(MOST_ECHOED_BYTES), 9), rsv=RSV1)
LARGER_BOMB = frame(BINARY, deflated(bytes(100_000_000), 9), rsv=RSV1)


@contextmanager
def echo(live: Live, path: str = "/echo") -> Iterator[socket.socket]:
    head = (
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
    )
    with connected(live) as opened:
        opened.sendall(head.encode())
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += opened.recv(1)
        assert received.startswith(b"HTTP/1.1 101 ")
        yield opened


def rest(opened: socket.socket) -> bytes:
    received = b""
    while part := opened.recv(65536):
        received += part
    return received


def flood(opened: socket.socket, data: bytes, count: int) -> None:
    for _ in range(count):
        opened.sendall(data)


def is_answered(opened: socket.socket) -> bool:
    opened.sendall(frame(TEXT, b"still there?"))
    return opened.recv(100) == b"\x81\x0cstill there?"


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"a" * 100, fin=False)),
        (frame(TEXT, fin=False), frame(CONTINUATION, fin=False)),
        (frame(BINARY, fin=False, rsv=RSV1), frame(CONTINUATION, b"\0" * 1000, fin=False)),
        (frame(BINARY, fin=False), frame(CONTINUATION, b"\0", fin=False) + frame(PING)),
    ],
    ids=["of a text", "empty ones", "compressed", "pings between them"],
)
def test_fragments_without_end(live: Live, first: bytes, more: bytes) -> None:
    before = resident_bytes()
    with echo(live) as opened:
        opened.sendall(first)
        for _ in range(300):
            opened.sendall(more * 1000)
        opened.shutdown(socket.SHUT_WR)
        *pongs, (opcode, payload) = server_frames(rest(opened))
        assert (opcode, payload[:2]) == (0x88, (1009).to_bytes(2, "big"))
        assert set(pongs) <= {(0x8A, b"")}
    assert resident_bytes() - before < BOUND_BYTES


@pytest.mark.parametrize("bomb", [LARGER_BOMB, LARGER_BOMB * 100], ids=["one", "a hundred"])
@pytest.mark.parametrize("path", ["/echo", "/echo-kept"])
def test_a_bomb_is_refused_before_it_is_unpacked(live: Live, path: str, bomb: bytes) -> None:
    before = resident_bytes()
    with echo(live, path) as opened:
        opened.sendall(bomb[:200_000])
        opened.shutdown(socket.SHUT_WR)
        (only,) = server_frames(rest(opened))
        assert only[1][:2] == (1009).to_bytes(2, "big")
    assert resident_bytes() - before < BOUND_BYTES


def test_bombs_that_may_be_hold_up_nobody(live: Live) -> None:
    """Each of them is as long as may be: 200 MB on ten connections, in pings' time of one who asks beside them."""
    before = resident_bytes()
    with ExitStack() as stack, echo(live) as beside:
        bombers = [stack.enter_context(echo(live)) for _ in range(10)]
        for bomber in bombers:
            bomber.sendall(BOMB * 100 + close(1000))
        answered = 0
        for bomber in bombers:
            while part := bomber.recv(65536):
                assert is_answered(beside)
                answered += len(part)
        assert answered > 10 * 100 * 200
    assert resident_bytes() - before < BOUND_BYTES


@pytest.mark.parametrize(
    "sent", [frame(BINARY, bytes(50_000)), BOMB, frame(PING, b"p" * 125)], ids=["large", "bombs", "pings"]
)
def test_who_sends_and_never_reads(sent: bytes) -> None:
    is_ping = sent[0] & 0x0F == PING
    # Of pings the first pongs wait to be read: whoever sends slowly must not be cut off for them.
    with serve(write_timeout_s=30.0 if is_ping else 0.5) as live, echo(live) as beside, echo(live) as opened:
        before = resident_bytes()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.settimeout(30 if is_ping else 3)
        if is_ping:
            # No pong is made that cannot be sent, and so they go on.
            flood(opened, sent * 100, 5000)
        else:
            with pytest.raises((TimeoutError, ConnectionError)):
                flood(opened, sent * 100, 10_000)
        assert is_answered(beside)
        assert resident_bytes() - before < BOUND_BYTES


def test_a_thousand_websockets_on_one_http2_connection(live: Live) -> None:
    """As many as it may open at once; the others are refused, and all of these work."""
    fields = [(":protocol", "websocket"), ("sec-websocket-version", "13")]
    with h2_client(live) as client:
        while not client.h2.remote_settings.max_concurrent_streams < 1000:
            assert client.receive()
        most = client.h2.remote_settings.max_concurrent_streams
        streams = [client.begin("CONNECT", "/echo", fields) for _ in range(most)]
        for stream in streams:
            client.send(stream, frame(TEXT, b"%d" % stream))
        while not all(client.replies[stream].body for stream in streams):
            assert client.receive()
        assert all(server_frames(client.replies[stream].body) == [(0x81, b"%d" % stream)] for stream in streams)
