"""The HTTP/2 client engine: what a hostile server sends, as frames made of the input or as the input is."""

from __future__ import annotations

import contextlib

from fuzz.source import Source, pieces
from fuzz.targets.http2 import one_frame
from polywire.wire.headers import Headers
from polywire.wire.http2_client import ClientStream, Http2ClientConnection, RequestHead
from polywire.wire.limits import HttpLimits
from tests.wire.http2_peer import PREFACE, SETTINGS, frames

SMALL = HttpLimits(
    max_header_bytes=400, max_headers=8, max_buffered_body_bytes=100, max_concurrent_streams=4, max_glitches=40
)
HEAD = RequestHead("POST", "http", "x", "/users", [("te", "trailers")])


class Receiver:
    """Holds the engine to its order: a head, then the body, then one end."""

    def __init__(self) -> None:
        self.heads = 0
        self.over = 0
        self.wrong: list[str] = []

    def on_head(self, status: int, headers: Headers) -> None:
        self.heads += 1
        self._hold(self.heads == 1 and not self.over and 200 <= status <= 999, "a head out of turn")

    def on_readable(self) -> None:
        self._hold(self.heads == 1 and not self.over, "a body out of turn")

    def on_writable(self) -> None:
        self._hold(not self.over, "writable after the end")

    def on_end(self, trailers: Headers | None) -> None:
        self.over += 1
        self._hold(self.heads == 1 and self.over == 1, "an end out of turn")

    def on_gone(self, code: int) -> None:
        self.over += 1
        self._hold(self.over == 1, "gone after the end")

    def _hold(self, holds: bool, what: str) -> None:
        # What a receiver raises does not come out of the engine.
        if not holds:
            self.wrong.append(what)


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    engine = Http2ClientConnection(SMALL)
    receivers = [Receiver() for _ in range(3)]
    streams = [engine.open(receiver, HEAD, body=b"abc", end=at > 0) for at, receiver in enumerate(receivers)]
    flush(engine)
    if source.byte() & 1:
        for part in pieces(source.take(source.left - 1), [1 + source.byte()]):
            engine.receive_data(part)
            check(engine, streams, receivers)
    else:
        engine.receive_data(SETTINGS)
        while source.left:
            if source.byte() % 4:
                engine.receive_data(one_frame(source))
            else:
                act(engine, source.one_of(streams), source)
            check(engine, streams, receivers)
    engine.connection_lost()
    assert (engine.open_streams, engine.data_to_send(), engine.want_close) == (0, b"", True)
    assert all(stream.closed for stream in streams)
    assert not any(receiver.wrong for receiver in receivers), [receiver.wrong for receiver in receivers]


def act(engine: Http2ClientConnection, stream: ClientStream, source: Source) -> None:
    """What the layer above and the driver do."""
    match source.byte() % 8:
        case 0 | 1:
            stream.grant(len(stream.take()))
        case 2:
            stream.reset(source.byte())
        case 3:
            with contextlib.suppress(RuntimeError):  # after send_end
                stream.send_data(bytes(source.byte()))
        case 4:
            stream.send_end()
        case 5:
            engine.ping()
        case 6:
            engine.pause_writing()
        case _:
            engine.resume_writing()


def check(engine: Http2ClientConnection, streams: list[ClientStream], receivers: list[Receiver]) -> None:
    flush(engine)
    # The frame that goes beyond the window is taken before its stream is reset.
    assert all(stream.buffered_in_bytes <= SMALL.max_buffered_body_bytes + 16384 for stream in streams)
    assert sum(not stream.closed for stream in streams) <= engine.open_streams <= len(streams)
    assert not any(receiver.wrong for receiver in receivers), [receiver.wrong for receiver in receivers]


def flush(engine: Http2ClientConnection) -> None:
    out = b""
    while piece := engine.data_to_send():
        out += piece
    list(frames(out.removeprefix(PREFACE)))
