"""The HTTP/2 server engine: frames made of the input, or the input as it is, between what the layers around it do."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.source import Source, pieces
from polywire.wire.http2 import Http2Stream
from polywire.wire.limits import HttpLimits
from tests.wire.http2_peer import (
    ACK,
    CONTINUATION,
    DATA,
    EMPTY,
    ENHANCE_YOUR_CALM,
    GET,
    GOAWAY,
    HEADERS,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    SETTINGS_FRAME,
    TEXT,
    WINDOW_UPDATE,
    Pairs,
    Raw,
    frame,
    frames,
    plain,
)

SMALL = HttpLimits(
    max_target_bytes=40,
    max_header_bytes=400,
    max_headers=8,
    max_buffered_body_bytes=100,
    max_connection_window_bytes=65535,
    max_concurrent_streams=4,
    max_glitches=40,
    max_resets=20,
    high_water_bytes=300,
    low_water_bytes=50,
)
KINDS = [
    HEADERS,
    DATA,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
    SETTINGS_FRAME,
    PING,
    PRIORITY,
    GOAWAY,
    CONTINUATION,
    16,
    10,
]
FIELDS: list[Pairs] = [
    GET,
    POST,
    (*POST, ("content-length", "5")),
    (*GET, ("te", "trailers"), ("cookie", "a=b"), ("cookie", "c=d")),
    (("grpc-status", "0"),),
    (*GET[:3], ("host", "x")),
    ((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/ws"), (":authority", "x")),
    ((":method", "HEAD"), *GET[1:]),
    (*GET, ("connection", "close")),
    (*GET, ("x-long", "a" * 90)),
]
FLAGS = [4, 5, 0, 1, 8, 12, 13, 0x20, 0x24, 0x25]


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    mode = source.byte() % 4
    if mode == 0:
        same_however_cut(PREFACE + SETTINGS + source.rest())
    elif mode == 1:
        same_however_cut(PREFACE + SETTINGS + b"".join(built(source)))
    elif mode == 2:
        same_however_cut(source.rest())
    else:
        hostile(source)


def built(source: Source) -> Iterator[bytes]:
    """Frames of the input, most of them in form."""
    while source.left:
        yield one_frame(source)


def one_frame(source: Source) -> bytes:
    kind, flags = source.one_of(KINDS), source.one_of(FLAGS)
    stream_id = source.byte() % 16
    match kind:
        case 0x1 | 0x9:
            choice = source.byte()
            payload = plain(FIELDS[choice]) if choice < len(FIELDS) else source.short()
            if flags & 8:
                payload = b"\x02" + payload + b"\0\0"
            if flags & 0x20:
                payload = (payload[:1] + b"\0\0\0\0\x10" + payload[1:]) if flags & 8 else b"\0\0\0\0\x10" + payload
        case 0x3 | 0x8:
            payload = source.number(1).to_bytes(4) if source.byte() % 4 else source.take(4)
        case 0x4:
            payload = b"" if flags & 1 else b"".join(_setting(source) for _ in range(source.byte() % 4))
        case 0x6:
            payload = source.take(8).ljust(8, b"\0")
        case 0x7:
            payload = bytes(8) + source.short()
        case 0x2:
            payload = source.take(5)
        case _:
            payload = source.short()
    if kind in (SETTINGS_FRAME, PING, GOAWAY, 16) and flags != 0x25:
        stream_id = 0
    return frame(kind, flags, stream_id, payload)


def _setting(source: Source) -> bytes:
    return (source.byte() % 10).to_bytes(2) + source.number(source.byte() % 5).to_bytes(4)


def same_however_cut(wire: bytes) -> None:
    """The same requests and the same verdict whole, in pieces and byte by byte."""
    outcomes = []
    for parts in ([wire], pieces(wire, [1 + wire[-1] if wire else 1, 7]), pieces(wire, [1])):
        raw = Raw(SMALL, preface=b"")
        sent = list(frames(raw.sent))
        for part in parts:
            sent += raw.feed(part)
            if raw.engine.want_close and raw.goaway_code(sent) is None:
                # The peer's own GOAWAY, and nothing was open: what it sends all the same is not looked at.
                closed(raw)
                return
        requests = [
            (
                sink.method,
                sink.target,
                sink.authority,
                sink.headers.items(),
                sink.content_length,
                sink.ended,
                sink.take(),
            )
            for sink in raw.sinks
            if not sink.closed
        ]
        for sink in raw.sinks:
            sink.respond(200, TEXT, b"done")
        sent += frames(raw.flush())
        verdict = raw.goaway_code(sent)
        if verdict == ENHANCE_YOUR_CALM or raw.resets(sent):
            # libnghttp2 takes each read that ends before a CONTINUATION's header is complete for another CONTINUATION.
            # What comes on a stream after it was reset counts or not, by whether the reset has been written yet.
            closed(raw)
            return
        outcomes.append((verdict, requests if verdict is None else [], raw.engine.want_close))
        closed(raw)
    assert outcomes[0] == outcomes[1] == outcomes[2], outcomes


def hostile(source: Source) -> None:
    """Frames, the layer above and the driver in any order leave the engine's books in order."""
    # Until the peer has confirmed them our windows are those that RFC 9113 §6.9.2 begins with.
    raw = Raw(SMALL, preface=PREFACE + SETTINGS)
    raw.feed(frame(SETTINGS_FRAME, ACK, 0))
    engine = raw.engine
    paused = False
    while source.left:
        match source.byte() % 16:
            case 0:
                engine.pause_writing()
                paused = True
            case 1:
                engine.resume_writing()
                paused = False
            case 2:
                engine.now += 0.4
            case 3:
                engine.reset_unread()
            case 4:
                [engine.timeout, engine.shutdown, engine.receive_eof, engine.close][source.byte() % 4]()
            case 5 | 6 | 7 | 8 if raw.sinks:
                act(raw.sinks[source.byte() % len(raw.sinks)], source)
            case 9:
                engine.receive_data(source.short())
            case _:
                if engine.want_read:
                    engine.receive_data(one_frame(source))
        ended = engine.want_close
        out = raw.flush()
        assert not (out and (paused or ended)), "output while paused, or after the end"
        list(frames(out))
        check(raw)
    closed(raw)


def act(sink: Http2Stream, source: Source) -> None:
    """What a protocol does with its request; out of turn it is told so, and nothing else."""
    try:
        match source.byte() % 8:
            case 0:
                sink.respond(200, TEXT, bytes(source.byte() * 8))
            case 1:
                sink.respond(200, TEXT, b"abc", trailers=TEXT)
            case 2:
                sink.send_head(source.one_of([200, 103, 204]), TEXT, ((b"x-a", b"b"),))
            case 3:
                assert sink.send_data(bytes(source.byte())) or sink.buffered_out_bytes > SMALL.high_water_bytes
            case 4:
                sink.send_end(source.one_of([None, EMPTY, TEXT]))
            case 5:
                sink.reset(source.byte())
            case 6:
                sink.grant(len(sink.take()))
            case _:
                sink.grant(source.number(2))
    except RuntimeError:
        assert not sink.closed, "a call after the end raised"


def check(raw: Raw) -> None:
    live = [sink for sink in raw.sinks if not sink.closed]
    assert len(live) == raw.engine.open_requests <= SMALL.max_concurrent_streams
    # The frame that goes beyond the window is taken before its stream is reset.
    assert all(sink.buffered_in_bytes <= SMALL.max_buffered_body_bytes + 16384 for sink in raw.sinks)
    assert all(receiver.told.count("gone") <= 1 for receiver in raw.receivers)


def closed(raw: Raw) -> None:
    engine = raw.engine
    engine.connection_lost()
    assert (engine.open_requests, engine.data_to_send(), engine.want_close) == (0, b"", True)
    assert all(sink.closed for sink in raw.sinks)
    assert all(receiver.told.count("gone") <= 1 for receiver in raw.receivers)
    for sink in raw.sinks:
        sink.respond(200, TEXT, b"")
        sink.grant(9)
        sink.reset(8)
    engine.receive_data(frame(PING, 0, 0, bytes(8)))
    assert engine.data_to_send() == b"", "output after the end"
