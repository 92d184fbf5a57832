"""The other side of an `Http2Connection` in tests: the h2 package as a foreign client, or raw frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack

from polywire.wire.headers import CommonHeaders, HeaderBlock
from polywire.wire.http2 import Http2Connection, Http2Stream
from polywire.wire.limits import HttpLimits

TEXT = HeaderBlock([("content-type", "text/plain")])
COMMON = CommonHeaders(HeaderBlock([("server", "t")]))
EMPTY = HeaderBlock()
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
GET = ((":method", "GET"), (":scheme", "http"), (":path", "/users/42"), (":authority", "x"))
POST = ((":method", "POST"), (":scheme", "http"), (":path", "/users"), (":authority", "x"))

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS_FRAME, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    2,
    3,
    4,
    6,
    7,
    8,
    9,
)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED = 0, 1, 2, 3, 5
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 6, 7, 8, 9, 11

Pairs = tuple[tuple[str, str], ...]


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


def frames(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, stream id, payload) of every frame in `data`, which must hold whole frames."""
    while data:
        length = int.from_bytes(data[:3], "big")
        assert len(data) >= 9 + length
        yield data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]
        data = data[9 + length :]


def plain(pairs: Pairs) -> bytes:
    """A header block without compression state: literal fields, never indexed (RFC 7541 §6.2.3)."""
    return b"".join(b"\x10" + text(name) + text(value) for name, value in pairs)


def decoded(block: bytes) -> list[Any]:
    """The fields of the first header block a connection sends."""
    return list(hpack.Decoder().decode(block))


def text(value: str) -> bytes:
    """A string literal without Huffman coding (RFC 7541 §5.2)."""
    raw = value.encode("latin-1")
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    length, digits = len(raw) - 127, b""
    while length >= 128:
        digits += bytes([length & 127 | 128])
        length >>= 7
    return b"\x7f" + digits + bytes([length]) + raw


class Receiver:
    """Records what it is told."""

    def __init__(self, sink: Http2Stream) -> None:
        self.sink = sink
        self.told: list[str] = []
        sink.receiver = self

    def on_readable(self) -> None:
        self.told.append("readable")

    def on_writable(self) -> None:
        self.told.append("writable")

    def on_gone(self) -> None:
        self.told.append("gone")


class Raw:
    """An engine, the requests it handed up, and the frames it sent back."""

    def __init__(
        self,
        limits: HttpLimits | None = None,
        on_request: Callable[[Http2Stream], None] | None = None,
        preface: bytes = PREFACE + SETTINGS,
    ) -> None:
        self.sinks: list[Http2Stream] = []
        self.receivers: list[Receiver] = []
        self.handler = on_request
        self.engine = Http2Connection(self.on_request, limits or HttpLimits(), COMMON)
        self.engine.receive_data(preface)
        self.sent = self.flush()

    def on_request(self, sink: Http2Stream) -> None:
        self.sinks.append(sink)
        self.receivers.append(Receiver(sink))
        if self.handler is not None:
            self.handler(sink)

    def flush(self) -> bytes:
        out = b""
        while piece := self.engine.data_to_send():
            out += piece
        return out

    def feed(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        """Give bytes to the engine; the frames it answers with."""
        self.engine.receive_data(data)
        return list(frames(self.flush()))

    def goaway_code(self, answer: list[tuple[int, int, int, bytes]]) -> int | None:
        for kind, _, _, payload in answer:
            if kind == GOAWAY:
                return int.from_bytes(payload[4:8], "big")
        return None

    def resets(self, answer: list[tuple[int, int, int, bytes]]) -> list[tuple[int, int]]:
        return [(stream, int.from_bytes(data, "big")) for kind, _, stream, data in answer if kind == RST_STREAM]


class Peer(Raw):
    """The h2 package's client connected to an engine."""

    def __init__(
        self,
        limits: HttpLimits | None = None,
        on_request: Callable[[Http2Stream], None] | None = None,
        settings: dict[h2.settings.SettingCodes, int] | None = None,
    ) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.client = h2.connection.H2Connection(config)
        if settings:
            self.client.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.client.initiate_connection()
        super().__init__(limits, on_request, preface=self.client.data_to_send())
        self.events: list[h2.events.Event] = self.client.receive_data(self.sent)
        self.pump()
        self.events.clear()

    def pump(self) -> None:
        """Carry bytes both ways until both sides are silent."""
        while True:
            out = self.client.data_to_send()
            if out:
                self.engine.receive_data(out)
            back = self.flush()
            if back:
                self.events += self.client.receive_data(back)
            if not out and not back:
                return

    def request(self, pairs: Pairs = GET, body: bytes | None = None, *, end: bool = True) -> int:
        """Send a request's head, and its body where given; the stream id."""
        stream_id = self.client.get_next_available_stream_id()
        self.client.send_headers(stream_id, list(pairs), end_stream=end and body is None)
        if body is not None:
            self.client.send_data(stream_id, body, end_stream=end)
        self.pump()
        return stream_id

    def of(self, stream_id: int, kind: type[h2.events.Event]) -> list[Any]:
        events: list[Any] = [event for event in self.events if isinstance(event, kind)]
        return [event for event in events if event.stream_id == stream_id]

    def head(self, stream_id: int) -> dict[str, str]:
        (event,) = self.of(stream_id, h2.events.ResponseReceived)
        return dict(event.headers)

    def body(self, stream_id: int) -> bytes:
        return b"".join(event.data for event in self.of(stream_id, h2.events.DataReceived))

    def trailers(self, stream_id: int) -> dict[str, str]:
        (event,) = self.of(stream_id, h2.events.TrailersReceived)
        return dict(event.headers)

    def finished(self, stream_id: int) -> bool:
        return bool(self.of(stream_id, h2.events.StreamEnded))
