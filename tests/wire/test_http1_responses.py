"""What answers look like on the wire, and when the connection persists after them (RFC 9112 §6, §7, §9)."""

from __future__ import annotations

import pytest

from polywire.wire.headers import HeaderBlock
from polywire.wire.http1 import Http1Request

from .http1_peer import EMPTY, TEXT, Peer, statuses

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_ALIVE = b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
SUM = HeaderBlock([("x-sum", "9")])


def answered(request: bytes, *calls: tuple[object, ...]) -> tuple[bytes, bool, Http1Request]:
    """The answer to `request` by the given sink calls, and whether the connection is to be closed."""

    def answer(sink: Http1Request) -> None:
        for name, *arguments in calls:
            getattr(sink, str(name))(*arguments)

    peer = Peer(answer)
    out = peer.send(request)
    return out, peer.engine.want_close, peer.requests[0]


@pytest.mark.parametrize(
    ("request_bytes", "calls", "expected", "closes"),
    [
        (
            GET,
            [("respond", 200, TEXT, b"hi")],
            b"200 OK\r\ncontent-type: text/plain\r\nserver: t\r\ncontent-length: 2\r\n\r\nhi",
            False,
        ),
        (
            GET,
            [("respond", 201, EMPTY, b"", ((b"location", b"/1"),))],
            b"201 Created\r\nlocation: /1\r\nserver: t\r\ncontent-length: 0\r\n\r\n",
            False,
        ),
        (GET, [("respond", 299, EMPTY, b"")], b"299 \r\nserver: t\r\ncontent-length: 0\r\n\r\n", False),
        (GET, [("respond", 204, EMPTY, b"no")], b"204 No Content\r\nserver: t\r\n\r\n", False),
        (GET, [("respond", 304, EMPTY, b"no")], b"304 Not Modified\r\nserver: t\r\n\r\n", False),
        (HEAD, [("respond", 200, EMPTY, b"1234567890")], b"200 OK\r\nserver: t\r\ncontent-length: 10\r\n\r\n", False),
        (
            HEAD,
            [("respond", 200, EMPTY, b"x", (), SUM)],
            b"200 OK\r\nserver: t\r\ntransfer-encoding: chunked\r\n\r\n",
            False,
        ),
        (
            GET,
            [("respond", 200, EMPTY, b"x" * 26, (), SUM)],
            b"200 OK\r\nserver: t\r\ntransfer-encoding: chunked\r\n\r\n1a\r\n"
            + b"x" * 26
            + b"\r\n0\r\nx-sum: 9\r\n\r\n",
            False,
        ),
        (
            GET,
            [("respond", 200, EMPTY, b"", (), SUM)],
            b"200 OK\r\nserver: t\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 9\r\n\r\n",
            False,
        ),
        (
            OLD_ALIVE,
            [("respond", 200, EMPTY, b"x", (), SUM)],
            b"200 OK\r\nserver: t\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\nx",
            False,
        ),
        (
            OLD,
            [("respond", 200, EMPTY, b"x")],
            b"200 OK\r\nserver: t\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx",
            True,
        ),
        (
            GET,
            [
                ("send_head", 200, TEXT),
                ("send_data", b"abc"),
                ("send_data", b""),
                ("send_data", b"d" * 16),
                ("send_end",),
            ],
            b"200 OK\r\ncontent-type: text/plain\r\nserver: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n"
            + b"d" * 16
            + b"\r\n0\r\n\r\n",
            False,
        ),
        (
            GET,
            [("send_head", 200, EMPTY), ("send_data", b"d" * 70000), ("send_end", SUM)],
            b"200 OK\r\nserver: t\r\ntransfer-encoding: chunked\r\n\r\n11170\r\n"
            + b"d" * 70000
            + b"\r\n0\r\nx-sum: 9\r\n\r\n",
            False,
        ),
        (
            GET,
            [
                ("send_head", 200, EMPTY, ((b"content-length", b"3"),)),
                ("send_data", b"ab"),
                ("send_data", b"c"),
                ("send_end", SUM),
            ],
            b"200 OK\r\ncontent-length: 3\r\nserver: t\r\n\r\nabc",
            False,
        ),
        (
            OLD_ALIVE,
            [("send_head", 200, EMPTY), ("send_data", b"abc"), ("send_end", SUM)],
            b"200 OK\r\nserver: t\r\nconnection: close\r\n\r\nabc",
            True,
        ),
        (
            OLD_ALIVE,
            [("send_head", 200, HeaderBlock([("content-length", "1")])), ("send_data", b"a"), ("send_end",)],
            b"200 OK\r\ncontent-length: 1\r\nserver: t\r\nconnection: keep-alive\r\n\r\na",
            False,
        ),
        (
            HEAD,
            [("send_head", 200, EMPTY), ("send_data", b"abc"), ("send_end",)],
            b"200 OK\r\nserver: t\r\n\r\n",
            False,
        ),
        (
            GET,
            [("send_head", 304, EMPTY), ("send_data", b"abc"), ("send_end",)],
            b"304 Not Modified\r\nserver: t\r\n\r\n",
            False,
        ),
        (
            GET,
            [("send_head", 103, HeaderBlock([("link", "</a>")])), ("respond", 200, EMPTY, b"")],
            b"103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nserver: t\r\ncontent-length: 0\r\n\r\n",
            False,
        ),
        (
            OLD_ALIVE,
            [("send_head", 103, SUM), ("respond", 204, EMPTY, b"")],
            b"204 No Content\r\nserver: t\r\nconnection: keep-alive\r\n\r\n",
            False,
        ),
    ],
)
def test_answers(request_bytes: bytes, calls: list[tuple[object, ...]], expected: bytes, closes: bool) -> None:
    out, want_close, sink = answered(request_bytes, *calls)
    assert out == b"HTTP/1.1 " + expected
    assert want_close == closes
    assert sink.closed


@pytest.mark.parametrize(
    ("version", "connection", "closes"),
    [
        (b"1.1", b"", False),
        (b"1.1", b"Connection: close\r\n", True),
        (b"1.1", b"Connection: foo ,\tCLOSE\t, bar\r\n", True),
        (b"1.1", b"Connection: foo\r\nConnection: close\r\n", True),
        (b"1.1", b"Connection: keep-alive, close\r\n", True),
        (b"1.1", b"Connection: closed\r\n", False),
        (b"1.1", b"Connection: ,,\r\n", False),
        (b"1.0", b"", True),
        (b"1.0", b"Connection: keep-alive\r\n", False),
        (b"1.0", b"Connection: close, keep-alive\r\n", True),
    ],
)
def test_connection_options(version: bytes, connection: bytes, closes: bool) -> None:
    peer = Peer(lambda sink: sink.respond(200, EMPTY, b""))
    out = peer.send(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + connection + b"\r\n" + GET)
    assert statuses(out) == ([200] if closes else [200, 200])
    assert (b"connection: close" in out) == closes
    assert peer.engine.want_close == closes


def test_misuse_raises_and_sends_nothing() -> None:
    peer = Peer()
    peer.send(GET)
    sink = peer.requests[0]
    for status in (99, 600, -1):
        with pytest.raises(ValueError, match="status"):
            sink.respond(status, EMPTY, b"")
        with pytest.raises(ValueError, match="status"):
            sink.send_head(status, EMPTY)
    with pytest.raises(ValueError, match="101"):
        sink.send_head(101, EMPTY)
    with pytest.raises(ValueError, match="interim"):
        sink.respond(103, EMPTY, b"")
    with pytest.raises(RuntimeError, match="before send_head"):
        sink.send_data(b"x")
    with pytest.raises(RuntimeError, match="before send_head"):
        sink.send_end()
    with pytest.raises(TypeError):
        sink.respond(200, EMPTY, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        sink.respond(200, EMPTY, b"", (("a", "b"),))  # type: ignore[arg-type]
    assert peer.engine.data_to_send() == b""
    sink.send_head(200, EMPTY)
    with pytest.raises(RuntimeError, match="already"):
        sink.send_head(200, EMPTY)
    with pytest.raises(RuntimeError, match="already"):
        sink.respond(200, EMPTY, b"")
    sink.send_end()
    assert peer.settle().endswith(b"\r\n\r\n0\r\n\r\n")


def test_nothing_is_sent_once_it_is_closed() -> None:
    peer = Peer(lambda sink: sink.respond(200, EMPTY, b""))
    out = peer.send(GET)
    sink = peer.requests[0]
    sink.respond(500, EMPTY, b"")
    sink.send_head(200, EMPTY)
    assert sink.send_data(b"x") is True
    sink.send_end()
    sink.reset(8)
    sink.grant(1)
    assert sink.take() == b""
    sink.receiver = peer.receivers[0]
    assert sink.receiver is None
    assert statuses(out) == [200]
    assert peer.settle() == b""
    assert not peer.engine.want_close


def test_a_body_that_breaks_its_length_breaks_the_connection() -> None:
    three = ((b"content-length", b"3"),)
    longer, shorter = Peer(), Peer()
    for peer in (longer, shorter):
        peer.send(GET)
        peer.requests[0].send_head(200, EMPTY, three)
        peer.requests[0].send_data(b"ab")
    with pytest.raises(ValueError, match="longer"):
        longer.requests[0].send_data(b"cd")
    with pytest.raises(ValueError, match="shorter"):
        shorter.requests[0].send_end()
    for peer in (longer, shorter):
        assert peer.settle().endswith(b"\r\n\r\nab")
        assert peer.engine.want_close
        assert peer.requests[0].closed


def test_reset_closes_without_an_answer() -> None:
    peer = Peer()
    peer.send(GET)
    peer.requests[0].reset(8)
    assert peer.settle() == b""
    assert peer.engine.want_close
    assert peer.receivers[0].told == []


def test_reset_in_a_stream_does_not_end_it_well() -> None:
    peer = Peer()
    peer.send(GET)
    peer.requests[0].send_head(200, EMPTY)
    peer.requests[0].send_data(b"x")
    peer.requests[0].reset(2)
    assert peer.settle().endswith(b"\r\n\r\n1\r\nx\r\n")
    assert peer.engine.want_close
