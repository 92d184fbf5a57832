"""What a request means: valid messages, whole, byte by byte and with another request behind (RFC 9112)."""

from __future__ import annotations

import pytest

from polywire.wire.limits import HttpLimits

from .http1_peer import Peer, deliveries, echo, statuses

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LONG = b"x" * 300

# name: (bytes, method, target, authority, headers without host, body, trailers)
VALID: dict[str, tuple[bytes, str, str, str, dict[str, str], bytes, list[tuple[str, str]] | None]] = {
    "plain": (b"GET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\n\r\n", "GET", "/a?b=c", "a.example:80", {}, b"", None),
    "1.0 without host": (
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET",
        "/",
        "",
        {"connection": "keep-alive"},
        b"",
        None,
    ),
    "one empty line before": (b"\r\n" + GET, "GET", "/", "a", {}, b"", None),
    "two empty lines before": (b"\r\n\r\n" + GET, "GET", "/", "a", {}, b"", None),
    "name without case, value trimmed": (
        b"GET / HTTP/1.1\r\nhOST:a\r\nX-Thing: \t two  words\t \r\n\r\n",
        "GET",
        "/",
        "a",
        {"x-thing": "two  words"},
        b"",
        None,
    ),
    "empty value": (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", "GET", "/", "a", {"x": ""}, b"", None),
    "latin-1 and tab in a value": (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: caf\xe9\tau lait, please\r\n\r\n",
        "GET",
        "/",
        "a",
        {"x": "caf\xe9\tau lait, please"},
        b"",
        None,
    ),
    "repeated field": (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 1\r\n\r\n", "GET", "/", "a", {"x": "1, 1"}, b"", None),
    "unknown method": (b"M-SEARCH~ / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH~", "/", "a", {}, b"", None),
    "method in lower case is another method": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", "get", "/", "a", {}, b"", None),
    "method of 32": (b"M" * 32 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", "M" * 32, "/", "a", {}, b"", None),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "a", {}, b"", None),
    "absolute form beats Host": (
        b"GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET",
        "/x?y",
        "b:81",
        {},
        b"",
        None,
    ),
    "absolute form, upper case, no path": (
        b"GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET",
        "/",
        "b",
        {},
        b"",
        None,
    ),
    "absolute form, query without path": (
        b"GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET",
        "/?q",
        "b",
        {},
        b"",
        None,
    ),
    "absolute form, OPTIONS without path": (
        b"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS",
        "*",
        "b",
        {},
        b"",
        None,
    ),
    "IPv6 host": (b"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", "GET", "/", "[::1]:8000", {}, b"", None),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/", "", {}, b"", None),
    "length": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST",
        "/",
        "a",
        {"content-length": "5"},
        b"hello",
        None,
    ),
    "length with zeros": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0005\r\n\r\nhello",
        "POST",
        "/",
        "a",
        {"content-length": "0005"},
        b"hello",
        None,
    ),
    "GET with a body": (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\r\n",
        "GET",
        "/",
        "a",
        {"content-length": "2"},
        b"\r\n",
        None,
    ),
    "length zero": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST",
        "/",
        "a",
        {"content-length": "0"},
        b"",
        None,
    ),
    "chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n00A\r\n, worlds! \r\n0\r\n\r\n",
        "POST",
        "/",
        "a",
        {"transfer-encoding": "Chunked"},
        b"hello, worlds! ",
        None,
    ),
    "chunked, large chunk": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n12c\r\n" + LONG + b"\r\n0\r\n\r\n",
        "POST",
        "/",
        "a",
        {"transfer-encoding": "chunked"},
        LONG,
        None,
    ),
    "chunked and empty": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST",
        "/",
        "a",
        {"transfer-encoding": "chunked"},
        b"",
        None,
    ),
    "chunk extensions": (
        b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a;b="c d"\r\nx\r\n000;last\r\n\r\n',
        "POST",
        "/",
        "a",
        {"transfer-encoding": "chunked"},
        b"x",
        None,
    ),
    "trailers, the forbidden dropped": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
        b"X-Sum: 9\r\nHost: evil\r\nContent-Length: 3\r\nContent-Type:\r\nAuthorization: x\r\nTransfer-Encoding: x\r\n"
        b"If-Match: x\r\nCookie: x\r\nX-Sum: 8\r\n\r\n",
        "POST",
        "/",
        "a",
        {"transfer-encoding": "chunked"},
        b"x",
        [("x-sum", "9"), ("x-sum", "8")],
    ),
}


@pytest.mark.parametrize("name", VALID)
def test_valid_requests_mean_the_same_however_they_arrive(name: str) -> None:
    data, method, target, authority, headers, body, trailers = VALID[name]
    for parts in deliveries(data):
        peer = Peer()
        for part in parts:
            assert peer.send(part) == b""
        (sink,) = peer.requests
        assert (sink.method, sink.target, sink.authority) == (method, target, authority)
        assert {name: sink.headers[name] for name in sink.headers.names() if name != "host"} == headers
        assert peer.receivers[0].body == body
        assert sink.ended
        assert not sink.closed
        assert sink.has_body == (headers.get("content-length", "0") != "0" or "transfer-encoding" in headers)
        assert sink.content_length == int(headers.get("content-length", -1))
        assert (sink.trailers.items() if sink.trailers is not None else None) == trailers
        assert not peer.engine.awaiting_head
        assert not peer.engine.awaiting_body
        assert peer.engine.want_read


@pytest.mark.parametrize("name", VALID)
def test_what_follows_a_request_is_the_next_one(name: str) -> None:
    for parts in deliveries(VALID[name][0] + GET):
        peer = Peer(echo)
        out = b"".join([peer.send(part) for part in parts])
        assert [sink.method for sink in peer.requests] == [VALID[name][1], "GET"]
        assert statuses(out) == [200, 200]
        assert not peer.engine.want_close


def test_the_body_of_the_same_read_is_there_when_the_request_is_handed_up() -> None:
    seen: list[tuple[bool, int]] = []
    peer = Peer(lambda sink: seen.append((sink.ended, sink.buffered_in_bytes)), collect=False)
    peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab")
    assert seen == [(True, 3), (False, 2)]
    assert peer.receivers[0].told == []
    peer.send(b"c")
    assert peer.receivers[1].told == ["readable"]
    assert peer.requests[1].take() == b"abc"
    assert peer.requests[1].take() == b""
    assert peer.requests[1].buffered_in_bytes == 0


def test_the_end_of_a_chunked_body_alone_is_told() -> None:
    peer = Peer()
    peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    peer.send(b"0\r\nA: b\r\n")
    assert peer.receivers[0].told == []
    peer.send(b"\r\n")
    assert peer.receivers[0].told == ["readable"]
    assert peer.requests[0].ended


def test_the_scheme_is_the_connection_s() -> None:
    for scheme in ("http", "https"):
        peer = Peer(scheme=scheme)
        peer.send(b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.requests[0].scheme == scheme


def test_the_authority_of_an_absolute_target_replaces_host() -> None:
    peer = Peer()
    peer.send(b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    assert [sink.headers["host"] for sink in peer.requests] == ["b", "a"]


@pytest.mark.parametrize(
    ("fields", "tunnel"),
    [
        (b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket", "websocket"),
        (b"Connection: Upgrade\r\nUpgrade: h2c", None),
        (b"Upgrade: websocket", None),
        (b"Connection: upgrade", None),
    ],
)
def test_only_a_websocket_upgrade_is_a_tunnel(fields: bytes, tunnel: str | None) -> None:
    peer = Peer(echo)
    out = peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n")
    assert peer.requests[0].tunnel == tunnel
    assert statuses(out) == [200]


def test_heads_are_counted_and_awaited() -> None:
    peer = Peer()
    engine = peer.engine
    assert (engine.last_activity_marker, engine.awaiting_head, engine.awaiting_body) == (0, False, False)
    peer.send(b"G")
    assert engine.awaiting_head
    peer.send(b"ET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n")
    assert (engine.last_activity_marker, engine.awaiting_head) == (0, True)
    peer.send(b"\r\n")
    assert (engine.last_activity_marker, engine.awaiting_head, engine.awaiting_body) == (1, False, True)
    peer.send(b"x")
    assert (engine.awaiting_head, engine.awaiting_body, engine.open_requests) == (False, False, 1)


SMALL = HttpLimits(max_target_bytes=20, max_header_bytes=40, max_headers=3)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"t" * 19 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET /" + b"t" * 20 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"t" * 4000, 414),
        (b"G" * 4000, 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"v" * 26 + b"\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"v" * 27 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"v" * 4000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:chunked\r\n\r\n0\r\nA: " + b"v" * 35 + b"\r\n\r\n", 200),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:chunked\r\n\r\n0\r\nA: " + b"v" * 36 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:chunked\r\n\r\n0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n", 431),
    ],
)
def test_limits_to_the_byte(data: bytes, status: int) -> None:
    for parts in deliveries(data):
        peer = Peer(limits=SMALL)
        out = b"".join([peer.send(part) for part in parts])
        if status == 200:
            assert out == b""
            assert [sink.ended for sink in peer.requests] == [True]
        else:
            assert statuses(out) == [status]
            assert peer.engine.want_close
