"""Extended CONNECT (RFC 8441) as a tunnel of bytes, whose two directions end on their own."""

from __future__ import annotations

from polywire.wire.headers import HeaderBlock
from polywire.wire.limits import HttpLimits

from .http2_peer import (
    ACK,
    CANCEL,
    DATA,
    EMPTY,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    SETTINGS_FRAME,
    TEXT,
    WINDOW_UPDATE,
    Raw,
    frame,
    plain,
)

CONNECT = plain(
    (
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/chat"),
        (":authority", "x"),
    )
)


def tunnel(limits: HttpLimits | None = None, *, accept: bool = True) -> Raw:
    raw = Raw(limits)
    raw.feed(frame(SETTINGS_FRAME, ACK, 0) + frame(HEADERS, END_HEADERS, 1, CONNECT))
    (sink,) = raw.sinks
    assert (sink.method, sink.tunnel, sink.target, sink.ended) == ("CONNECT", "websocket", "/chat", False)
    if accept:
        sink.send_head(200, EMPTY)
        raw.feed(b"")
    return raw


def test_bytes_go_both_ways_at_any_time() -> None:
    raw = tunnel()
    (sink,) = raw.sinks
    for n in range(3):
        raw.feed(frame(DATA, 0, 1, b"up%d" % n))
        assert sink.take() == b"up%d" % n
        sink.grant(3)
        sink.send_data(b"down%d" % n)
        assert raw.feed(b"") == [(DATA, 0, 1, b"down%d" % n)]
    assert raw.receivers[0].told == ["readable"] * 3


def test_the_peer_may_end_first() -> None:
    raw = tunnel()
    (sink,) = raw.sinks
    raw.feed(frame(DATA, END_STREAM, 1, b"bye"))
    assert (sink.take(), sink.ended, sink.closed) == (b"bye", True, False)
    sink.send_data(b"and more")
    sink.send_end()
    assert raw.feed(b"") == [(DATA, END_STREAM, 1, b"and more")]
    assert sink.closed
    assert raw.receivers[0].told == ["readable"]
    assert raw.engine.open_requests == 0


def test_we_may_end_first_and_still_read() -> None:
    raw = tunnel(HttpLimits(max_buffered_body_bytes=1000))
    (sink,) = raw.sinks
    sink.send_data(b"last words")
    sink.send_end()
    raw.feed(b"")
    assert not sink.closed
    for _ in range(10):
        raw.feed(frame(DATA, 0, 1, b"u" * 600))
        assert len(sink.take()) == 600
        sink.grant(600)
        assert [kind for kind, *_ in raw.feed(b"")] in ([], [WINDOW_UPDATE])
    assert raw.engine.open_requests == 1
    raw.feed(frame(DATA, END_STREAM, 1))
    assert (sink.ended, sink.closed, raw.engine.open_requests) == (True, True, 0)
    assert raw.receivers[0].told == ["readable"] * 11


def test_a_reset_after_our_end_is_told() -> None:
    raw = tunnel()
    raw.sinks[0].send_end()
    raw.feed(b"")
    raw.feed(frame(RST_STREAM, 0, 1, CANCEL.to_bytes(4, "big")))
    assert raw.receivers[0].told == ["gone"]
    assert raw.engine.open_requests == 0


def test_a_lost_connection_after_our_end_is_told() -> None:
    raw = tunnel()
    raw.sinks[0].send_end()
    raw.feed(b"")
    raw.engine.connection_lost()
    assert raw.receivers[0].told == ["gone"]


def test_a_tunnel_that_is_refused_is_an_ordinary_answer() -> None:
    raw = tunnel(HttpLimits(max_buffered_body_bytes=1000), accept=False)
    (sink,) = raw.sinks
    sink.respond(404, TEXT, b"no such tunnel", extra=((b"x", b"y"),))
    assert [kind for kind, *_ in raw.feed(b"")] == [HEADERS, DATA]
    assert sink.closed
    raw.feed(frame(DATA, END_STREAM, 1, b"it went on"))
    assert raw.receivers[0].told == []


def test_a_tunnel_may_be_silent() -> None:
    raw = tunnel()
    raw.engine.now = 1e6
    raw.engine.reset_stalled(1.0)
    raw.sinks[0].send_end()
    raw.feed(b"")
    raw.engine.now = 2e6
    raw.engine.reset_stalled(1.0)
    assert raw.feed(b"") == []


def test_a_tunnel_drains_when_both_ways_have_ended() -> None:
    raw = tunnel()
    raw.engine.shutdown()
    raw.engine.shutdown()
    raw.feed(b"")
    raw.sinks[0].send_end(HeaderBlock([]))
    raw.feed(b"")
    assert not raw.engine.want_close
    raw.feed(frame(DATA, END_STREAM, 1))
    assert raw.engine.want_close
