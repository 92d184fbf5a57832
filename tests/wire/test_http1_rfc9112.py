"""RFC 9112 section by section: bytes that a server must understand, must refuse, or may choose about, and what we do.

Each row is fed whole, byte by byte, in halves, and with another request behind it, which must be obeyed exactly where
the connection persists. Where the RFC leaves a choice, the row says which was made.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from polywire.wire.http1 import Http1Request

from .http1_peer import TEXT, Peer, deliveries, statuses

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
H = b" HTTP/1.1\r\nHost: a\r\n"
TE = b"POST /" + H + b"Transfer-Encoding: chunked\r\n\r\n"


class Seen(NamedTuple):
    """A request as the layer above knows it."""

    method: str
    target: str
    body: bytes = b""
    authority: str = "a"


class Row(NamedTuple):
    section: str
    what: str
    data: bytes
    expected: int | Seen
    """The status of the refusal, or the request that is understood."""
    closes: bool = False
    """Of a request that is understood: whether its connection ends with it. A refusal always ends it."""


ROOT = Seen("GET", "/")
UNDERSTOOD = [
    Row("2.2", "an empty line before the request line is ignored (SHOULD)", b"\r\nGET /" + H + b"\r\n", ROOT),
    Row("2.2", "obs-text in a value is opaque", b"GET /" + H + b"x: \xe9\xff\r\n\r\n", ROOT),
    Row("2.3", "a minor version that is higher is the highest we know", b"GET / HTTP/1.9\r\nHost: a\r\n\r\n", ROOT),
    Row("3.1", "methods are case-sensitive and may be unknown", b"get /" + H + b"\r\n", Seen("get", "/")),
    Row(
        "3.1",
        "a method may be any token",
        b"M-SEARCH!#$%&'*+.^_`|~ /" + H + b"\r\n",
        Seen("M-SEARCH!#$%&'*+.^_`|~", "/"),
    ),
    Row(
        "3.2.1", "origin-form with a query", b"GET /a%20b/;c?d=e&f=/?" + H + b"\r\n", Seen("GET", "/a%20b/;c?d=e&f=/?")
    ),
    Row(
        "3.2.2", "absolute-form must be accepted", b"GET http://b:1/x?y" + H + b"\r\n", Seen("GET", "/x?y", b"", "b:1")
    ),
    Row("3.2.2", "its authority replaces Host", b"GET HTTP://b" + H + b"\r\n", Seen("GET", "/", b"", "b")),
    Row("3.2.2", "without a path", b"GET http://b?y" + H + b"\r\n", Seen("GET", "/?y", b"", "b")),
    Row("3.2.4", "asterisk-form", b"OPTIONS *" + H + b"\r\n", Seen("OPTIONS", "*")),
    Row("3.2.4", "absolute-form without a path", b"OPTIONS http://b" + H + b"\r\n", Seen("OPTIONS", "*", b"", "b")),
    Row("3.2", "an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Seen("GET", "/", b"", "")),
    Row("3.2", "IPv6 and a port", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Seen("GET", "/", b"", "[::1]:80")),
    Row("3.2", "HTTP/1.0 needs no Host", b"GET / HTTP/1.0\r\n\r\n", Seen("GET", "/", b"", ""), closes=True),
    Row("5", "no space, much space, and an empty value", b"GET /" + H + b"a:1\r\nb: \t 2 \t\r\nc:\r\n\r\n", ROOT),
    Row("5.1", "names without case", b"GET / HTTP/1.1\r\nhOsT: a\r\nCONTENT-length: 0\r\n\r\n", ROOT),
    Row(
        "6.1", "chunked without case", b"POST /" + H + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", Seen("POST", "/")
    ),
    Row("6.2", "Content-Length", b"POST /" + H + b"Content-Length: 3\r\n\r\nabc", Seen("POST", "/", b"abc")),
    Row("6.2", "leading zeros", b"POST /" + H + b"Content-Length: 0003\r\n\r\nabc", Seen("POST", "/", b"abc")),
    Row("6.3", "a GET may have a body", b"GET /" + H + b"Content-Length: 1\r\n\r\nx", Seen("GET", "/", b"x")),
    Row("6.3", "neither length nor coding: no body", b"POST /" + H + b"\r\n", Seen("POST", "/")),
    Row("7.1", "chunks", TE + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", Seen("POST", "/", b"abcd")),
    Row(
        "7.1",
        "hex in both cases and leading zeros",
        TE + b"00A\r\n0123456789\r\n00\r\n\r\n",
        Seen("POST", "/", b"0123456789"),
    ),
    Row(
        "7.1",
        "what looks like framing in a chunk",
        TE + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        Seen("POST", "/", b"\r\n0\r\n\r\n"),
    ),
    Row(
        "7.1.1", "extensions must be ignored", TE + b'1;a;b=c;d="e;\\" f"\r\nx\r\n0;z\r\n\r\n', Seen("POST", "/", b"x")
    ),
    Row("7.1.2", "trailers", TE + b"1\r\nx\r\n0\r\nx-sum: 1\r\nexpires: 0\r\n\r\n", Seen("POST", "/", b"x")),
    Row("9.3", "close", b"GET /" + H + b"Connection: close\r\n\r\n", ROOT, closes=True),
    Row("9.3", "close among others, in any case", b"GET /" + H + b"Connection: a, CLOSE ,b\r\n\r\n", ROOT, closes=True),
    Row("9.3", "HTTP/1.0 closes", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", ROOT, closes=True),
    Row("9.3", "unless it asks", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", ROOT),
    Row("9.6", "close wins", b"GET /" + H + b"Connection: keep-alive, close\r\n\r\n", ROOT, closes=True),
    Row("7.4", "TE is the sender's affair", b"GET /" + H + b"TE: trailers, x;q=0.5\r\nConnection: TE\r\n\r\n", ROOT),
]

HUGE = b"9" * 30
REFUSED = [
    # Lines.
    Row("2.2", "bare LF (MAY accept: refused)", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    Row("2.2", "bare LF after a field", b"GET / HTTP/1.1\r\nHost: a\nx: y\r\n\r\n", 400),
    Row("2.2", "bare LF at the end of the head", b"GET /" + H + b"\n", 400),
    Row("2.2", "bare CR in the request line", b"GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("2.2", "bare CR between lines", b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    Row("2.2", "bare CR in a value", b"GET /" + H + b"x: y\rz: 1\r\n\r\n", 400),
    Row("2.2", "two CRs", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
    Row("2.2", "space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    Row("2.2", "tab before the first field", b"GET / HTTP/1.1\r\n\tx: y\r\nHost: a\r\n\r\n", 400),
    Row("2.2", "many empty lines before the request", b"\r\n" * 3 + b"GET /" + H + b"\r\n", 400),
    # Request line.
    Row("2.3", "the version's name in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    Row("2.3", "no minor version", b"GET / HTTP/1\r\nHost: a\r\n\r\n", 400),
    Row("2.3", "two digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    Row("2.3", "another name", b"GET / HTTQ/1.1\r\nHost: a\r\n\r\n", 400),
    Row("2.3", "a major version we do not speak", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    Row("2.3", "version 0.9 by name", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    Row("2.3", "a request of HTTP/0.9", b"GET /\r\n", 400),
    Row("3", "two spaces (MAY accept: refused)", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3", "a tab as separator", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3", "space after the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    Row("3", "space before the method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3", "no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3", "a line that is too long", b"GET /" + b"x" * 9000 + H + b"\r\n", 414),
    Row("3", "a line without end", b"GET /" + b"x" * 20_000, 414),
    Row("3.1", "a method without end", b"M" * 20_000, 400),
    Row("3.1", "a method that is no token", b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3.1", "a method that is too long", b"M" * 40 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3.2", "space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3.2", "a fragment", b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3.2", "a control in the target", b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3.2", "raw bytes above ASCII", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3.2", "neither form", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Row("3.2", "no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    Row("3.2", "two Hosts", b"GET /" + H + b"Host: a\r\n\r\n", 400),
    Row("3.2", "Host with a user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    Row("3.2", "Host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    Row("3.2", "Host with a bad port", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    Row("3.2", "Host as a list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    Row("3.2.2", "absolute-form without Host", b"GET http://a/ HTTP/1.1\r\n\r\n", 400),
    Row("3.2.2", "absolute-form of another scheme", b"GET ftp://a/" + H + b"\r\n", 400),
    Row("3.2.2", "absolute-form without authority", b"GET http:///x" + H + b"\r\n", 400),
    Row("3.2.2", "absolute-form with a user", b"GET http://u@a/" + H + b"\r\n", 400),
    Row("3.2.3", "CONNECT in origin-form", b"CONNECT /" + H + b"\r\n", 400),
    Row("3.2.3", "CONNECT without a port", b"CONNECT a" + H + b"\r\n", 400),
    Row("3.2.3", "CONNECT, which is not offered", b"CONNECT a:443" + H + b"\r\n", 501),
    Row("3.2.3", "authority-form of another method", b"GET a:443" + H + b"\r\n", 400),
    Row("3.2.4", "asterisk-form of another method", b"GET *" + H + b"\r\n", 400),
    # Fields.
    Row("5", "no colon", b"GET /" + H + b"x\r\n\r\n", 400),
    Row("5", "no name", b"GET /" + H + b": x\r\n\r\n", 400),
    Row("5", "a name that is no token", b"GET /" + H + b"x{}: y\r\n\r\n", 400),
    Row("5", "NUL in a name", b"GET /" + H + b"x\x00: y\r\n\r\n", 400),
    Row("5.1", "space before the colon", b"GET /" + H + b"x : y\r\n\r\n", 400),
    Row("5.1", "tab before the colon", b"GET /" + H + b"Content-Length\t: 5\r\n\r\n", 400),
    Row("5.2", "line folding with space", b"GET /" + H + b"x: y\r\n z\r\n\r\n", 400),
    Row("5.2", "line folding with tab", b"GET /" + H + b"x: y\r\n\tz\r\n\r\n", 400),
    Row("5.2", "an empty folded line", b"GET /" + H + b"x: y\r\n \r\n\r\n", 400),
    Row("5", "NUL in a value", b"GET /" + H + b"x: a\x00b\r\n\r\n", 400),
    Row("5", "a control in a value", b"GET /" + H + b"x: a\x0bb\r\n\r\n", 400),
    Row("5", "fields that are too large", b"GET /" + H + b"x: " + b"y" * 40_000 + b"\r\n\r\n", 431),
    Row("5", "a name without end", b"GET /" + H + b"x" * 40_000, 431),
    Row("5", "too many fields", b"GET /" + H + b"x: y\r\n" * 200 + b"\r\n", 431),
    # Framing.
    Row("6.1", "Transfer-Encoding with Content-Length", TE[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
    Row("6.1", "in the other order", b"POST /" + H + b"Content-Length: 5\r\n" + TE[len(H) + 6 :] + b"0\r\n\r\n", 400),
    Row("6.1", "Transfer-Encoding in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Row("6.1", "a coding we do not know", b"POST /" + H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    Row("6.1", "chunked twice", b"POST /" + H + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    Row("6.1", "twice in two fields", TE[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Row("6.3", "chunked not last", b"POST /" + H + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    Row("6.3", "no chunked", b"POST /" + H + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 400),
    Row("6.3", "identity, which is no more", b"POST /" + H + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    Row("6.3", "an empty coding", b"POST /" + H + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    Row("6.3", "a disguised coding", b"POST /" + H + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    Row("6.3", "a coding with a parameter", b"POST /" + H + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 400),
    Row("6.3", "two lengths that differ", b"POST /" + H + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    Row(
        "6.3",
        "two that agree (MAY accept: refused)",
        b"POST /" + H + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        400,
    ),
    Row("6.3", "a list of lengths", b"POST /" + H + b"Content-Length: 1, 1\r\n\r\na", 400),
    Row("6.3", "an empty length", b"POST /" + H + b"Content-Length:\r\n\r\n", 400),
    Row("6.3", "a signed length", b"POST /" + H + b"Content-Length: +1\r\n\r\na", 400),
    Row("6.3", "a negative length", b"POST /" + H + b"Content-Length: -1\r\n\r\na", 400),
    Row("6.3", "a hexadecimal length", b"POST /" + H + b"Content-Length: 0xa\r\n\r\na", 400),
    Row("6.3", "a length with a space", b"POST /" + H + b"Content-Length: 1 1\r\n\r\na", 400),
    Row("6.3", "a length that overflows", b"POST /" + H + b"Content-Length: " + HUGE + b"\r\n\r\na", 400),
    Row("6.3", "a length beyond 2**62", b"POST /" + H + b"Content-Length: 9223372036854775808\r\n\r\na", 400),
    # Chunks.
    Row("7.1", "no size", TE + b"\r\n\r\n0\r\n\r\n", 400),
    Row("7.1", "no hexadecimal digit", TE + b"g\r\n\r\n0\r\n\r\n", 400),
    Row("7.1", "a signed size", TE + b"+1\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1", "a prefixed size", TE + b"0x1\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1", "a size with an underscore", TE + b"1_0\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1", "a size that overflows", TE + b"1" + b"0" * 16 + b"\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1", "a size beyond 2**62", TE + b"f" * 16 + b"\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1", "space before the size", TE + b" 1\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1", "space after the size (bad whitespace: refused)", TE + b"1 \r\nx\r\n0\r\n\r\n", 400),
    Row("7.1", "bare LF after the size", TE + b"1\nx\r\n0\r\n\r\n", 400),
    Row("7.1", "bare LF after the data", TE + b"1\r\nx\n0\r\n\r\n", 400),
    Row("7.1", "more data than said", TE + b"1\r\nxy\r\n0\r\n\r\n", 400),
    Row("7.1", "CR and no LF after the data", TE + b"1\r\nx\rx0\r\n\r\n", 400),
    Row("7.1.1", "a control in an extension", TE + b"1;a=\x01\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1.1", "bare CR in an extension", TE + b"1;a\rb\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1.1", "a long extension (limits SHOULD be)", TE + b"1;" + b"a" * 2000 + b"\r\nx\r\n0\r\n\r\n", 400),
    Row("7.1.1", "an extension without end", TE + b"1;" + b"a" * 2000, 400),
    Row("7.1.1", "many extensions", TE + (b"1;" + b"a" * 900 + b"\r\nx\r\n") * 20 + b"0\r\n\r\n", 400),
    Row("7.1.2", "a trailer that is no field", TE + b"0\r\nx\r\n\r\n", 400),
    Row("7.1.2", "a trailer with space before its colon", TE + b"0\r\nx : y\r\n\r\n", 400),
    Row("7.1.2", "bare LF in the trailers", TE + b"0\r\nx: y\n\r\n", 400),
    Row("7.1.2", "a folded trailer", TE + b"0\r\nx: y\r\n z\r\n\r\n", 400),
    Row("7.1.2", "trailers that are too large", TE + b"0\r\nx: " + b"y" * 40_000 + b"\r\n\r\n", 431),
    Row("7.1.2", "too many trailers", TE + b"0\r\n" + b"x: y\r\n" * 200 + b"\r\n", 431),
]


class Answering:
    """Answers 200 when the whole request is there; records it as `Seen`."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.peer = Peer(self.begin, listen=False)

    def begin(self, sink: Http1Request) -> None:
        Whole(self, sink).on_readable()


class Whole:
    def __init__(self, above: Answering, sink: Http1Request) -> None:
        self.above = above
        self.sink = sink
        self.body = b""
        sink.receiver = self

    def on_readable(self) -> None:
        sink = self.sink
        part = sink.take()
        sink.grant(len(part))
        self.body += part
        if sink.ended:
            self.above.seen.append(Seen(sink.method, sink.target, self.body, sink.authority))
            sink.respond(200, TEXT, b"")

    def on_writable(self) -> None: ...

    def on_gone(self) -> None: ...


def feed(parts: list[bytes]) -> tuple[Answering, bytes]:
    above = Answering()
    out = b"".join([above.peer.send(part) for part in parts])
    return above, out + above.peer.settle()


def is_empty(above: Answering) -> bool:
    """The bookkeeping is back at zero, and nothing is waited for."""
    engine = above.peer.engine
    return not (engine.open_requests or engine.awaiting_head or engine.awaiting_body or engine.data_to_send())


def name(row: Row) -> str:
    return f"{row.section} {row.what}"


@pytest.mark.parametrize("row", UNDERSTOOD, ids=name)
def test_understood(row: Row) -> None:
    for parts in deliveries(row.data):
        above, out = feed(parts)
        assert (above.seen, statuses(out)) == ([row.expected], [200])
        assert above.peer.engine.want_close is row.closes
        assert is_empty(above)
    for parts in deliveries(row.data + NEXT):
        above, out = feed(parts)
        following = [] if row.closes else [Seen("GET", "/next")]
        assert above.seen == [row.expected, *following]
        assert statuses(out) == [200] * len(above.seen)


@pytest.mark.parametrize("row", REFUSED, ids=name)
def test_refused(row: Row) -> None:
    for data in (row.data, row.data + NEXT, NEXT + row.data):
        before = [Seen("GET", "/next")] if data.startswith(NEXT) else []
        for parts in deliveries(data):
            above, out = feed(parts)
            assert above.seen == before, "nothing of it, and nothing after it, is obeyed"
            assert statuses(out) == [*[200] * len(before), row.expected]
            assert out.count(b"connection: close") == 1
            assert above.peer.engine.want_close
            assert is_empty(above)


INCOMPLETE = [
    Row("8", "a request line", b"GET / HT", 0),
    Row("8", "a head", b"GET /" + H, 0),
    Row("8", "a body with a length", b"POST /" + H + b"Content-Length: 5\r\n\r\nab", 400),
    Row("8", "a chunk's size", TE + b"1", 400),
    Row("8", "a chunk", TE + b"5\r\nab", 400),
    Row("8", "a chunk's end", TE + b"2\r\nab\r", 400),
    Row("8", "the last chunk", TE + b"2\r\nab\r\n", 400),
    Row("8", "the end of the trailers", TE + b"0\r\nx: y\r\n", 400),
]


@pytest.mark.parametrize("row", INCOMPLETE, ids=name)
def test_a_message_that_is_cut_off_is_not_obeyed(row: Row) -> None:
    """RFC 9112 §8: what is incomplete is refused, or where nobody could read of it dropped."""
    for parts in deliveries(row.data):
        above, out = feed(parts)
        assert out == b""
        above.peer.engine.receive_eof()
        assert statuses(above.peer.settle()) == ([row.expected] if row.expected else [])
        assert above.seen == []
        assert above.peer.engine.want_close
        assert is_empty(above)


@pytest.mark.parametrize("row", INCOMPLETE, ids=name)
def test_a_message_that_does_not_go_on_is_answered_408(row: Row) -> None:
    """RFC 9110 §15.5.9, RFC 9112 §9.5."""
    above, _ = feed([row.data])
    assert above.peer.engine.awaiting_head or above.peer.engine.awaiting_body
    above.peer.engine.timeout()
    out = above.peer.settle()
    assert statuses(out) == [408]
    assert b"connection: close" in out
    assert above.peer.engine.want_close
    assert is_empty(above)
