# ruff: noqa: E501 -- a table reads by its rows
"""Bytes for each section of RFC 9113 and RFC 7541 that says what a server must do with what it is sent.

A peer's error may cost more than the section asks for: any stream error may be treated as one of the connection
(RFC 9113 §5.4.1). Rows where libnghttp2 does so say it in `note`.
"""

from __future__ import annotations

from dataclasses import dataclass

import hpack
import pytest

from polywire.wire.http2 import Http2Stream
from polywire.wire.limits import HttpLimits

from .http2_peer import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GET,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    SETTINGS_FRAME,
    STREAM_CLOSED,
    TEXT,
    WINDOW_UPDATE,
    Pairs,
    Raw,
    frame,
    plain,
    text,
)

PUSH_PROMISE, PRIORITY_UPDATE, UNKNOWN = 5, 0x10, 0xFA
PRIORITY_FLAG = 0x20
WHOLE = END_HEADERS | END_STREAM
HEAD, BODY_HEAD = plain(GET), plain(POST)
OPEN = frame(HEADERS, END_HEADERS, 1, BODY_HEAD)
"""Stream 1 is open: a request whose body has yet to come."""
HALF_CLOSED = frame(HEADERS, WHOLE, 1, plain((*GET[:2], (":path", "/held"), GET[3])))
"""Stream 1 is half-closed by its peer, and not answered."""
CLOSED = frame(HEADERS, WHOLE, 1, HEAD)
"""Stream 1 is closed: asked and answered."""
RESET = OPEN + frame(RST_STREAM, 0, 1, b"\0\0\0\x08")
"""Stream 1 is closed: its peer reset it."""
TUNNEL = ((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"), (":authority", "x"))


@dataclass(frozen=True)
class Connection:
    """GOAWAY with the code, and nothing is read any more."""

    code: int


@dataclass(frozen=True)
class Stream:
    """RST_STREAM with the code on stream 1, and the connection goes on."""

    code: int
    stream: int = 1


@dataclass(frozen=True)
class Ignored:
    """Neither of them, and the connection goes on."""


@dataclass(frozen=True)
class Answered:
    status: bytes


IGNORED, OK = Ignored(), Answered(b"200")
Expected = Connection | Stream | Ignored | Answered


@dataclass(frozen=True)
class Row:
    section: str
    what: str
    sent: bytes | tuple[bytes, bytes]
    """Two reads where the first must have been answered before the second comes."""
    expected: Expected
    note: str = ""


def head(*more: tuple[str, str], base: Pairs = GET, flags: int = WHOLE) -> bytes:
    return frame(HEADERS, flags, 1, plain((*base, *more)))


def without(name: str, base: Pairs = GET) -> bytes:
    return frame(HEADERS, WHOLE, 1, plain(tuple(pair for pair in base if pair[0] != name)))


def changed(name: str, value: str, base: Pairs = GET) -> bytes:
    return frame(HEADERS, WHOLE, 1, plain(tuple((key, value if key == name else old) for key, old in base)))


def setting(identifier: int, value: int) -> bytes:
    return frame(SETTINGS_FRAME, 0, 0, identifier.to_bytes(2, "big") + value.to_bytes(4, "big"))


def block(raw: bytes) -> bytes:
    """A request whose header block ends with `raw`."""
    return frame(HEADERS, WHOLE, 1, HEAD + raw)


HARSHER = "a stream error by the RFC; libnghttp2 gives up the connection, which §5.4.1 allows"
UNSURE = (
    "a peer that sent this before our RST_STREAM or END_STREAM came is not wrong, and no closed stream is remembered"
)

ROWS = [
    Row("4.1", "a frame of an unknown type", frame(UNKNOWN, 0, 0, b"x" * 8), IGNORED),
    Row("4.1", "a PING with flags that mean nothing", frame(PING, 0x16, 0, b"x" * 8), IGNORED),
    Row("4.1", "a PING with the reserved bit set", frame(PING, 0, 1 << 31, b"x" * 8), IGNORED),
    Row("4.2", "DATA of 2**14 bytes", OPEN + frame(DATA, END_STREAM, 1, bytes(16384)), OK),
    Row("4.2", "DATA of 2**14 + 1 bytes", OPEN + frame(DATA, 0, 1, bytes(16385)), Connection(FRAME_SIZE_ERROR), HARSHER),
    Row("4.2", "HEADERS of 2**14 + 1 bytes", frame(HEADERS, WHOLE, 1, bytes(16385)), Connection(FRAME_SIZE_ERROR)),
    Row("4.2", "SETTINGS of more than 2**14 bytes", frame(SETTINGS_FRAME, 0, 0, bytes(16386)), Connection(FRAME_SIZE_ERROR)),
    Row("4.3", "a block that cannot be decoded", block(b"\xff\xff\xff\x7f"), Connection(COMPRESSION_ERROR)),
    Row("4.3", "PRIORITY within a block", head(flags=END_STREAM) + frame(PRIORITY, 0, 1, bytes(5)), Connection(PROTOCOL_ERROR)),
    Row("4.3", "HEADERS of another stream within a block", head(flags=END_STREAM) + frame(HEADERS, WHOLE, 3, HEAD), Connection(PROTOCOL_ERROR)),
    Row("5.1", "DATA on an idle stream", frame(DATA, END_STREAM, 1, b"x"), Connection(PROTOCOL_ERROR)),
    Row("5.1", "RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, bytes(4)), Connection(PROTOCOL_ERROR)),
    Row("5.1", "WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), Connection(PROTOCOL_ERROR)),
    Row("5.1", "CONTINUATION on an idle stream", frame(CONTINUATION, END_HEADERS, 1, HEAD), Connection(PROTOCOL_ERROR)),
    Row("5.1", "PRIORITY on an idle stream", frame(PRIORITY, 0, 1, bytes(5)), IGNORED),
    Row("5.1", "DATA after END_STREAM", HALF_CLOSED + frame(DATA, 0, 1, b"x"), Connection(STREAM_CLOSED), HARSHER),
    Row("5.1", "HEADERS after END_STREAM", HALF_CLOSED + head(("x", "y")), Connection(STREAM_CLOSED), HARSHER),
    Row("5.1", "CONTINUATION after END_STREAM", HALF_CLOSED + frame(CONTINUATION, END_HEADERS, 1, b""), Connection(PROTOCOL_ERROR)),
    Row("5.1", "WINDOW_UPDATE after END_STREAM", HALF_CLOSED + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), IGNORED),
    Row("5.1", "PRIORITY after END_STREAM", HALF_CLOSED + frame(PRIORITY, 0, 1, bytes(5)), IGNORED),
    Row("5.1", "RST_STREAM after END_STREAM", HALF_CLOSED + frame(RST_STREAM, 0, 1, bytes(4)), IGNORED),
    Row("5.1", "DATA after RST_STREAM", RESET + frame(DATA, 0, 1, b"x"), IGNORED, UNSURE),
    Row("5.1", "HEADERS after RST_STREAM", RESET + head(), IGNORED, UNSURE),
    Row("5.1", "CONTINUATION after RST_STREAM", RESET + frame(CONTINUATION, END_HEADERS, 1, HEAD), Connection(PROTOCOL_ERROR)),
    Row("5.1", "DATA on a closed stream", (CLOSED, frame(DATA, 0, 1, b"x")), IGNORED, UNSURE),
    Row("5.1", "HEADERS on a closed stream", (CLOSED, head()), IGNORED, UNSURE),
    Row("5.1", "CONTINUATION on a closed stream", (CLOSED, frame(CONTINUATION, END_HEADERS, 1, HEAD)), Connection(PROTOCOL_ERROR)),
    Row("5.1", "WINDOW_UPDATE on a closed stream", (CLOSED, frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1")), IGNORED),
    Row("5.1", "RST_STREAM on a closed stream", (CLOSED, frame(RST_STREAM, 0, 1, bytes(4))), IGNORED),
    Row("5.1", "PRIORITY on a closed stream", (CLOSED, frame(PRIORITY, 0, 1, bytes(5))), IGNORED),
    Row("5.1.1", "a stream of an even number", frame(HEADERS, WHOLE, 2, HEAD), Connection(PROTOCOL_ERROR)),
    Row("5.1.1", "a number below one that was used", frame(HEADERS, WHOLE, 5, HEAD) + frame(HEADERS, WHOLE, 3, HEAD), IGNORED, UNSURE),
    Row("5.1.1", "HEADERS on stream 0", frame(HEADERS, WHOLE, 0, HEAD), Connection(PROTOCOL_ERROR)),
    Row("5.3.2", "PRIORITY is obsolete", frame(PRIORITY, 0, 1, b"\x80\0\0\x03\xff") + CLOSED, OK),
    Row("5.3.2", "PRIORITY that depends on itself", OPEN + frame(PRIORITY, 0, 1, b"\0\0\0\x01\0"), IGNORED),
    Row("5.3.2", "HEADERS with priority fields", frame(HEADERS, WHOLE | PRIORITY_FLAG, 1, b"\0\0\0\x03\xff" + HEAD), OK),
    Row("5.3.2", "HEADERS that depend on themselves", frame(HEADERS, WHOLE | PRIORITY_FLAG, 1, b"\0\0\0\x01\xff" + HEAD), Connection(PROTOCOL_ERROR), "RFC 7540 §5.3.1; RFC 9113 asks nothing"),
    Row("5.5", "an unknown frame on a stream", OPEN + frame(UNKNOWN, 0xFF, 1, b"x") + frame(DATA, END_STREAM, 1, b"x"), OK),
    Row("5.5", "an unknown frame within a block", head(flags=END_STREAM) + frame(UNKNOWN, 0, 1, b""), Connection(PROTOCOL_ERROR)),
    Row("6.1", "DATA on stream 0", frame(DATA, 0, 0, b"x"), Connection(PROTOCOL_ERROR)),
    Row("6.1", "padded DATA", OPEN + frame(DATA, END_STREAM | PADDED, 1, b"\x02x\0\0"), OK),
    Row("6.1", "DATA with padding over its length", OPEN + frame(DATA, END_STREAM | PADDED, 1, b"\x06test!"), Connection(PROTOCOL_ERROR)),
    Row("6.1", "padded DATA without a pad length", OPEN + frame(DATA, END_STREAM | PADDED, 1, b""), Connection(PROTOCOL_ERROR)),
    Row("6.2", "padded HEADERS", frame(HEADERS, WHOLE | PADDED, 1, b"\x02" + HEAD + b"\0\0"), OK),
    Row("6.2", "HEADERS with padding over their length", frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + HEAD), Connection(PROTOCOL_ERROR)),
    Row("6.2", "HEADERS without room for their priority", frame(HEADERS, WHOLE | PRIORITY_FLAG, 1, b"\0\0"), Connection(FRAME_SIZE_ERROR)),
    Row("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(5)), Connection(PROTOCOL_ERROR)),
    Row("6.3", "PRIORITY of 4 bytes", OPEN + frame(PRIORITY, 0, 1, bytes(4)), Connection(FRAME_SIZE_ERROR), HARSHER),
    Row("6.4", "RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, bytes(4)), Connection(PROTOCOL_ERROR)),
    Row("6.4", "RST_STREAM of 3 bytes", OPEN + frame(RST_STREAM, 0, 1, bytes(3)), Connection(FRAME_SIZE_ERROR)),
    Row("6.5", "an acknowledgement with settings", frame(SETTINGS_FRAME, ACK, 0, bytes(6)), Connection(FRAME_SIZE_ERROR)),
    Row("6.5", "SETTINGS on a stream", frame(SETTINGS_FRAME, 0, 1, bytes(6)), Connection(PROTOCOL_ERROR)),
    Row("6.5", "SETTINGS of 3 bytes", frame(SETTINGS_FRAME, 0, 0, bytes(3)), Connection(FRAME_SIZE_ERROR)),
    Row("6.5", "an acknowledgement of nothing", frame(SETTINGS_FRAME, ACK, 0), Connection(PROTOCOL_ERROR)),
    Row("6.5.2", "ENABLE_PUSH of 2", setting(2, 2), Connection(PROTOCOL_ERROR)),
    Row("6.5.2", "INITIAL_WINDOW_SIZE of 2**31", setting(4, 1 << 31), Connection(FLOW_CONTROL_ERROR)),
    Row("6.5.2", "MAX_FRAME_SIZE of 2**14 - 1", setting(5, 16383), Connection(PROTOCOL_ERROR)),
    Row("6.5.2", "MAX_FRAME_SIZE of 2**24", setting(5, 1 << 24), Connection(PROTOCOL_ERROR)),
    Row("6.5.2", "a setting that is not known", setting(0xFF, 7), IGNORED),
    Row("6.5.2", "HEADER_TABLE_SIZE of 2**32 - 1", setting(1, 0xFFFF_FFFF) + CLOSED, OK),
    Row("6.5.2", "HEADER_TABLE_SIZE of 0", setting(1, 0) + CLOSED, OK),
    Row("6.6", "PUSH_PROMISE", OPEN + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + HEAD), Connection(PROTOCOL_ERROR)),
    Row("6.7", "an acknowledgement of no PING of ours", frame(PING, ACK, 0, bytes(8)), IGNORED),
    Row("6.7", "PING on a stream", frame(PING, 0, 1, bytes(8)), Connection(PROTOCOL_ERROR)),
    Row("6.7", "PING of 6 bytes", frame(PING, 0, 0, bytes(6)), Connection(FRAME_SIZE_ERROR)),
    Row("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), Connection(PROTOCOL_ERROR)),
    Row("6.8", "GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, bytes(7)), Connection(FRAME_SIZE_ERROR)),
    Row("6.9", "an increment of 0 on the connection", frame(WINDOW_UPDATE, 0, 0, bytes(4)), Connection(PROTOCOL_ERROR)),
    Row("6.9", "an increment of 0 on a stream", OPEN + frame(WINDOW_UPDATE, 0, 1, bytes(4)), Connection(PROTOCOL_ERROR), HARSHER),
    Row("6.9", "WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)), Connection(FRAME_SIZE_ERROR)),
    Row("6.9.1", "a window of the connection over 2**31 - 1", frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), Connection(FLOW_CONTROL_ERROR)),
    Row("6.9.1", "a window of a stream over 2**31 - 1", OPEN + frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"), Stream(FLOW_CONTROL_ERROR)),
    Row("6.9.2", "SETTINGS that push a window over 2**31 - 1", OPEN + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1") + setting(4, 0x7FFF_FFFF), Stream(FLOW_CONTROL_ERROR), "a connection error by the RFC; libnghttp2 resets the streams whose windows overflow"),
    Row("6.9.2", "a window made negative, then opened", setting(4, 1) + HALF_CLOSED + setting(4, 0) + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\2"), IGNORED),
    Row("6.10", "a head in three frames", head(flags=END_STREAM) + frame(CONTINUATION, 0, 1, plain((("x", "y"),))) + frame(CONTINUATION, END_HEADERS, 1, plain((("z", "y"),))), OK),
    Row("6.10", "CONTINUATION on stream 0", head(flags=END_STREAM) + frame(CONTINUATION, END_HEADERS, 0, b""), Connection(PROTOCOL_ERROR)),
    Row("6.10", "CONTINUATION of another stream", head(flags=END_STREAM) + frame(CONTINUATION, END_HEADERS, 3, b""), Connection(PROTOCOL_ERROR)),
    Row("6.10", "DATA within a block", head(flags=0) + frame(DATA, END_STREAM, 1, b"x"), Connection(PROTOCOL_ERROR)),
    Row("6.10", "CONTINUATION after the block's end", OPEN + frame(CONTINUATION, END_HEADERS, 1, b""), Connection(PROTOCOL_ERROR)),
    Row("6.10", "CONTINUATION after DATA", OPEN + frame(DATA, 0, 1, b"x") + frame(CONTINUATION, END_HEADERS, 1, b""), Connection(PROTOCOL_ERROR)),
    Row("7", "RST_STREAM with a code that is not known", OPEN + frame(RST_STREAM, 0, 1, b"\0\0\0\xff"), IGNORED),
    Row("8.1", "a second HEADERS without END_STREAM", OPEN + head(("x", "y"), base=(), flags=END_HEADERS), Stream(PROTOCOL_ERROR)),
    Row("8.1", "a body and trailers", OPEN + frame(DATA, 0, 1, b"x") + head(("x", "y"), base=()), OK),
    Row("8.1", "DATA after trailers", OPEN + head(("x", "y"), base=()) + frame(DATA, 0, 1, b"x"), Connection(STREAM_CLOSED), HARSHER),
    Row("8.2.1", "a name in capitals", head(("X-Test", "ok")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "an empty name", head(("", "ok")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "a space in a name", head(("x y", "ok")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "a colon in a name", head(("x:y", "ok")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "NUL in a value", head(("x", "a\0b")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "CR in a value", head(("x", "a\rb")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "LF in a value", head(("x", "a\nb")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "a value that begins with a space", head(("x", " a")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "a value that ends in a tab", head(("x", "a\t")), Stream(PROTOCOL_ERROR)),
    Row("8.2.1", "an empty value", head(("x", "")), OK),
    Row("8.2.2", "connection", head(("connection", "keep-alive")), Stream(PROTOCOL_ERROR)),
    Row("8.2.2", "proxy-connection", head(("proxy-connection", "keep-alive")), Stream(PROTOCOL_ERROR)),
    Row("8.2.2", "keep-alive", head(("keep-alive", "timeout=5")), Stream(PROTOCOL_ERROR)),
    Row("8.2.2", "transfer-encoding", head(("transfer-encoding", "chunked")), Stream(PROTOCOL_ERROR)),
    Row("8.2.2", "upgrade", head(("upgrade", "h2c")), Stream(PROTOCOL_ERROR)),
    Row("8.2.2", "te: trailers", head(("te", "trailers")), OK),
    Row("8.2.2", "te: trailers, deflate", head(("te", "trailers, deflate")), Stream(PROTOCOL_ERROR)),
    Row("8.3", "a pseudo-field that is not known", head((":test", "ok")), Stream(PROTOCOL_ERROR)),
    Row("8.3", "a pseudo-field of answers", head((":status", "200")), Stream(PROTOCOL_ERROR)),
    Row("8.3", "a pseudo-field in trailers", OPEN + head((":method", "GET"), base=()), Stream(PROTOCOL_ERROR)),
    Row("8.3", "a pseudo-field after others", frame(HEADERS, WHOLE, 1, plain((("x", "y"), *GET))), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "an empty :path", changed(":path", ""), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "a :path without a slash", changed(":path", "users"), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "* without OPTIONS", changed(":path", "*"), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "OPTIONS *", changed(":path", "*", ((":method", "OPTIONS"), *GET[1:])), OK),
    Row("8.3.1", "an empty :method", changed(":method", ""), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "a :method that is no token", changed(":method", "G T"), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "an empty :scheme", changed(":scheme", ""), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "no :method", without(":method"), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "no :scheme", without(":scheme"), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "no :path", without(":path"), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "two :method", head((":method", "GET")), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "two :scheme", head((":scheme", "http")), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "two :path", head((":path", "/")), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "two :authority", head((":authority", "x")), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "neither :authority nor host", without(":authority"), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "an :authority with a user", changed(":authority", "me@x"), Answered(b"400")),
    Row("8.3.1", "an :authority with a space", changed(":authority", "x y"), Stream(PROTOCOL_ERROR)),
    Row("8.3.1", "a host unlike the :authority", head(("host", "other")), Answered(b"400")),
    Row("8.3.1", "two hosts", head(("host", "x"), ("host", "x")), Stream(PROTOCOL_ERROR)),
    Row("8.5", "CONNECT", frame(HEADERS, END_HEADERS, 1, plain(((":method", "CONNECT"), (":authority", "x:1")))), Answered(b"501")),
    Row("8.5", "CONNECT with a :path", frame(HEADERS, END_HEADERS, 1, plain(((":method", "CONNECT"), (":path", "/"), (":authority", "x:1")))), Stream(PROTOCOL_ERROR)),
    Row("8.1.1", "DATA that is not as long as declared", head(("content-length", "1"), base=POST, flags=END_HEADERS) + frame(DATA, END_STREAM, 1, b"test"), Stream(PROTOCOL_ERROR)),
    Row("8.1.1", "the same in two frames", head(("content-length", "1"), base=POST, flags=END_HEADERS) + frame(DATA, 0, 1, b"a") + frame(DATA, END_STREAM, 1, b"b"), Stream(PROTOCOL_ERROR)),
    Row("8.1.1", "a declared body that does not come", head(("content-length", "1"), base=POST), Stream(PROTOCOL_ERROR)),
    Row("8.1.1", "two content-lengths", head(("content-length", "0"), ("content-length", "0")), Stream(PROTOCOL_ERROR)),
    Row("8.1.1", "a content-length that is no number", head(("content-length", "-1")), Stream(PROTOCOL_ERROR)),
    Row("RFC 8441 3", "a peer's own ENABLE_CONNECT_PROTOCOL", setting(8, 1), IGNORED),
    Row("RFC 8441 4", "an extended CONNECT", frame(HEADERS, WHOLE, 1, plain(TUNNEL)), OK),
    Row("RFC 8441 4", ":protocol of another method", head((":protocol", "websocket")), Stream(PROTOCOL_ERROR)),
    Row("RFC 8441 4", "an extended CONNECT without :path", without(":path", TUNNEL), Stream(PROTOCOL_ERROR)),
    Row("RFC 9218 7.1", "PRIORITY_UPDATE of an open stream", OPEN + frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1"), IGNORED),
    Row("RFC 9218 7.1", "PRIORITY_UPDATE of a stream to come", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x65u=1, i"), IGNORED),
    Row("RFC 9218 7.1", "PRIORITY_UPDATE of nothing", frame(PRIORITY_UPDATE, 0, 0, b""), IGNORED, "FRAME_SIZE_ERROR by the RFC: we do not read the frame"),
    Row("RFC 7541 2.3.3", "an index beyond the tables", block(b"\xc6"), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 2.3.3", "a name's index beyond the tables", block(b"\x7f\x07" + text("y")), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 4.2", "a table's size at the end of a block", block(b"\x20"), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 4.2", "a table's size at the beginning", frame(HEADERS, WHOLE, 1, b"\x20" + HEAD), OK),
    Row("RFC 7541 5.1", "an integer without an end", block(b"\x7f" + b"\xff" * 12), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 5.2", "Huffman padding of 8 bits and more", block(b"\x00\x01x\x83\x0f\xff\xff"), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 5.2", "Huffman padding of zeros", block(b"\x00\x01x\x81\x18"), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 5.2", "EOS in a string", block(b"\x00\x01x\x84\xff\xff\xff\xfc"), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 5.2", "a string over the block's end", block(b"\x00\x01x\x05ab"), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 6.1", "index 0", block(b"\x80"), Connection(COMPRESSION_ERROR)),
    Row("RFC 7541 6.3", "a table larger than ours", frame(HEADERS, WHOLE, 1, b"\x3f\xe2\x1f" + HEAD), Connection(COMPRESSION_ERROR)),
]  # fmt: skip


def answer_whole(sink: Http2Stream) -> None:
    """Answer what is complete; `/held` stays open, and so does a body that has not come."""

    class Reader:
        def on_readable(self) -> None:
            sink.take()
            if sink.ended and not sink.closed:
                sink.respond(200, TEXT, b"ok")

        def on_writable(self) -> None: ...
        def on_gone(self) -> None: ...

    sink.receiver = Reader()
    if sink.ended and sink.target != "/held":
        sink.respond(200, TEXT, b"ok")


class Bare(Raw):
    """Answers by `answer_whole`."""

    def on_request(self, sink: Http2Stream) -> None:
        self.sinks.append(sink)
        answer_whole(sink)


def statuses(answer: list[tuple[int, int, int, bytes]], stream: int) -> list[bytes]:
    """The status of each head on the stream; `answer` must hold the connection's first head."""
    decoder = hpack.Decoder()
    heads = [(sid, dict(decoder.decode(payload, raw=True))) for kind, _, sid, payload in answer if kind == HEADERS]
    return [fields[b":status"] for sid, fields in heads if sid == stream]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section} {row.what}")
def test_what_each_section_asks_for(row: Row) -> None:
    raw = Bare()
    acknowledged = b"" if row.what == "an acknowledgement of nothing" else frame(SETTINGS_FRAME, ACK, 0)
    if not acknowledged:
        raw.feed(frame(SETTINGS_FRAME, ACK, 0))
    first, sent = (b"", row.sent) if isinstance(row.sent, bytes) else row.sent
    answer = raw.feed(acknowledged + first) + raw.feed(sent)
    code, resets = raw.goaway_code(answer), raw.resets(answer)
    if isinstance(row.expected, Connection):
        assert (code, resets) == (row.expected.code, [])
        assert raw.engine.want_close
        assert raw.engine.open_requests == 0
        assert raw.feed(frame(HEADERS, WHOLE, 101, HEAD)) == []
        return
    assert (code, resets) == (
        None,
        [(row.expected.stream, row.expected.code)] if isinstance(row.expected, Stream) else [],
    )
    if isinstance(row.expected, Answered):
        assert statuses(answer, 1) == [row.expected.status]
    alive = raw.feed(frame(HEADERS, WHOLE, 101, HEAD))
    assert [sid for kind, _, sid, _ in alive if kind == HEADERS] == [101]
    assert raw.sinks[-1].target == "/users/42"


@pytest.mark.parametrize(
    ("sent", "code"),
    [(PREFACE[:-1] + b"x", PROTOCOL_ERROR), (PREFACE + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR)],
)
def test_3_4_the_preface(sent: bytes, code: int) -> None:
    raw = Bare(preface=b"")
    assert raw.goaway_code(raw.feed(sent)) == code


def test_5_1_2_more_streams_than_allowed() -> None:
    """Before it has acknowledged our SETTINGS a peer may not know better; after that libnghttp2 ends the connection."""
    held = HALF_CLOSED + frame(HEADERS, WHOLE, 3, HALF_CLOSED[9:])
    raw = Bare(HttpLimits(max_concurrent_streams=1))
    assert raw.resets(raw.feed(held)) == [(3, REFUSED_STREAM)]
    raw = Bare(HttpLimits(max_concurrent_streams=1))
    assert raw.goaway_code(raw.feed(frame(SETTINGS_FRAME, ACK, 0) + held)) == PROTOCOL_ERROR


def test_6_5_3_settings_are_acknowledged_in_order() -> None:
    raw = Bare(preface=PREFACE)
    answer = raw.feed(SETTINGS + setting(4, 5) + frame(PING, 0, 0, b"12345678"))
    assert [(kind, flags) for kind, flags, _, _ in answer if flags == ACK] == [(SETTINGS_FRAME, ACK)] * 2 + [
        (PING, ACK)
    ]


def test_6_7_the_answer_to_a_ping_is_its_own() -> None:
    assert Bare().feed(frame(PING, 0, 0, b"12345678")) == [(PING, ACK, 0, b"12345678")]


def test_6_9_2_settings_change_the_windows_of_open_streams() -> None:
    raw = Bare()
    raw.feed(setting(4, 0) + CLOSED)
    assert raw.feed(setting(4, 1))[-1] == (DATA, 0, 1, b"o")
    assert raw.feed(setting(4, 2))[-1] == (DATA, END_STREAM, 1, b"k")
