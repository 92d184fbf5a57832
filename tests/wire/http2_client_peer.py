"""The other side of an `Http2ClientConnection` in tests: our own server engine, or raw frames."""

from __future__ import annotations

from collections.abc import Callable

from polywire.wire.headers import Headers
from polywire.wire.http2 import Http2Connection, Http2Stream
from polywire.wire.http2_client import ClientStream, Http2ClientConnection, RequestHead
from polywire.wire.limits import HttpLimits
from tests.wire.http2_peer import (
    COMMON,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    SETTINGS,
    frame,
    frames,
    plain,
)

HEAD = RequestHead("POST", "http", "x", "/shop.Users/Get", [("te", "trailers"), ("content-type", "application/grpc")])


class Recorder:
    """Records what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.body = b""
        self.trailers: Headers | None = None
        self.code: int | None = None
        self.stream: ClientStream
        self.reads = True

    def on_head(self, status: int, headers: Headers, /) -> None:
        self.told.append(f"head {status}")

    def on_readable(self) -> None:
        self.told.append("readable")
        if self.reads:
            part = self.stream.take()
            self.body += part
            self.stream.grant(len(part))

    def on_end(self, trailers: Headers | None, /) -> None:
        self.told.append("end")
        self.trailers = trailers

    def on_gone(self, code: int, /) -> None:
        self.told.append("gone")
        self.code = code

    def on_writable(self) -> None:
        self.told.append("writable")


def flush(engine: Http2ClientConnection | Http2Connection) -> bytes:
    out = b""
    while part := engine.data_to_send():
        out += part
    return out


def opened(engine: Http2ClientConnection, body: bytes = b"", *, end: bool = True) -> Recorder:
    recorder = Recorder()
    recorder.stream = engine.open(recorder, HEAD, (), body, end)
    return recorder


class Pair:
    """A client and our server, back to back."""

    def __init__(
        self,
        on_request: Callable[[Http2Stream], None],
        client: HttpLimits | None = None,
        server: HttpLimits | None = None,
    ) -> None:
        self.client = Http2ClientConnection(client or HttpLimits())
        self.server = Http2Connection(on_request, server or HttpLimits(), COMMON)
        self.pump()

    def pump(self) -> None:
        """Carry bytes both ways until both sides are silent."""
        while True:
            out = flush(self.client)
            self.server.receive_data(out)
            back = flush(self.server)
            self.client.receive_data(back)
            if not out and not back:
                return

    def call(self, body: bytes = b"", *, end: bool = True) -> Recorder:
        recorder = opened(self.client, body, end=end)
        self.pump()
        return recorder


class Against:
    """A client against bytes as a test wants them."""

    def __init__(self, limits: HttpLimits | None = None, first: bytes = SETTINGS) -> None:
        self.client = Http2ClientConnection(limits or HttpLimits())
        self.preface = flush(self.client)
        self.feed(first)

    def feed(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        """Give bytes to the client; the frames it answers with."""
        self.client.receive_data(data)
        return list(frames(flush(self.client)))

    def call(self, body: bytes = b"", *, end: bool = True) -> Recorder:
        recorder = opened(self.client, body, end=end)
        flush(self.client)
        return recorder


def head_frame(stream: int, *pairs: tuple[str, str], end: bool = False, status: str = "200") -> bytes:
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, flags, stream, plain(((":status", status), *pairs)))


def trailers_frame(stream: int, *pairs: tuple[str, str]) -> bytes:
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, plain(pairs))
