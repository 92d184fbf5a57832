"""The HTTP/2 connection's beginning and end: preface, drain, loss, memory, garbage."""

from __future__ import annotations

import gc
import random
import tracemalloc
import weakref

import h2.errors
import h2.events
import pytest

from polywire.wire.http2 import Http2Connection, Http2Stream
from polywire.wire.limits import HttpLimits

from .http2_peer import (
    ACK,
    CANCEL,
    COMMON,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE_ERROR,
    GET,
    GOAWAY,
    HEADERS,
    INTERNAL_ERROR,
    NO_ERROR,
    PING,
    POST,
    PREFACE,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    SETTINGS_FRAME,
    STREAM_CLOSED,
    TEXT,
    WINDOW_UPDATE,
    Peer,
    Raw,
    frame,
    frames,
    plain,
)

HEAD = plain(GET)
WHOLE = END_HEADERS | END_STREAM


def test_the_first_frame_is_settings_with_the_limits() -> None:
    limits = HttpLimits(max_concurrent_streams=7, max_buffered_body_bytes=70_000, max_header_bytes=5000)
    raw = Raw(limits)
    first, *_ = frames(raw.sent)
    values = {int.from_bytes(first[3][at : at + 2], "big"): int.from_bytes(first[3][at + 2 : at + 6], "big")
              for at in range(0, len(first[3]), 6)}  # fmt: skip
    assert first[:3] == (SETTINGS_FRAME, 0, 0)
    assert values == {3: 7, 4: 70_000, 6: 5000, 8: 1, 9: 1}
    window = [
        int.from_bytes(data, "big") for kind, _, sid, data in frames(raw.sent) if (kind, sid) == (WINDOW_UPDATE, 0)
    ]
    assert window == [limits.max_connection_window_bytes - 65535]


@pytest.mark.parametrize(
    "preface",
    [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", PREFACE + frame(PING, 0, 0, bytes(8)), bytes(24)],
)
def test_bad_preface_ends_the_connection(preface: bytes) -> None:
    raw = Raw(preface=b"")
    answer = raw.feed(preface)
    assert raw.goaway_code(answer) == PROTOCOL_ERROR
    assert raw.engine.want_close
    assert not raw.engine.want_read
    assert raw.feed(PREFACE + SETTINGS) == []


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("frame over 16 KiB", frame(DATA, 0, 1, bytes(16385)), FRAME_SIZE_ERROR),
        ("short PING", frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
        ("short RST_STREAM", frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
        ("uneven SETTINGS", frame(SETTINGS_FRAME, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
        ("SETTINGS ack with payload", frame(SETTINGS_FRAME, ACK, 0, bytes(6)), FRAME_SIZE_ERROR),
        ("SETTINGS on a stream", frame(SETTINGS_FRAME, 0, 1), PROTOCOL_ERROR),
        ("DATA on stream 0", frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        ("DATA on an idle stream", frame(DATA, 0, 5, b"x"), PROTOCOL_ERROR),
        ("HEADERS on an even stream", frame(HEADERS, WHOLE, 2, HEAD), PROTOCOL_ERROR),
        ("RST_STREAM on an idle stream", frame(RST_STREAM, 0, 5, bytes(4)), PROTOCOL_ERROR),
        ("CONTINUATION alone", frame(9, END_HEADERS, 1, HEAD), PROTOCOL_ERROR),
        ("PING inside a head", frame(HEADERS, 0, 1, HEAD) + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
        ("window over 2**31-1", frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), 3),
        ("window increment 0", frame(WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL_ERROR),
        ("bad HPACK index", frame(HEADERS, WHOLE, 1, b"\xff\xff\xff\x7f"), 9),
        ("PUSH_PROMISE", frame(5, END_HEADERS, 1, bytes(4) + HEAD), PROTOCOL_ERROR),
        ("padding over the frame", frame(HEADERS, WHOLE, 1, HEAD) + frame(DATA, 8, 1, b"\x09a"), STREAM_CLOSED),
    ],
)
def test_connection_errors(name: str, data: bytes, code: int) -> None:
    raw = Raw()
    answer = raw.feed(data)
    assert raw.goaway_code(answer) == code, name
    assert raw.engine.want_close
    assert raw.engine.open_requests == 0


def test_a_connection_error_tells_those_who_wait() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, WHOLE, 1, HEAD))
    raw.feed(frame(PING, 0, 0, bytes(7)))
    assert raw.receivers[0].told == ["gone"]
    assert raw.sinks[0].closed
    raw.sinks[0].respond(200, TEXT, b"x")
    assert raw.feed(b"") == []


def test_streams_over_the_limit_are_refused() -> None:
    raw = Raw(HttpLimits(max_concurrent_streams=2))
    answer = raw.feed(b"".join(frame(HEADERS, WHOLE, n, HEAD) for n in (1, 3, 5)))
    assert len(raw.sinks) == 2
    assert raw.resets(answer) == [(5, 7)]


def test_drain_waits_for_the_ping_then_refuses_and_finishes() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, WHOLE, 1, HEAD))
    raw.engine.shutdown()
    answer = raw.feed(b"")
    (notice,) = [data for kind, _, _, data in answer if kind == GOAWAY]
    assert notice == b"\x7f\xff\xff\xff" + bytes(4)
    (ping,) = [data for kind, _, _, data in answer if kind == PING]
    raw.feed(frame(HEADERS, WHOLE, 3, HEAD))  # was on its way: still served
    answer = raw.feed(frame(PING, ACK, 0, ping))
    (last,) = [data for kind, _, _, data in answer if kind == GOAWAY]
    assert last == b"\0\0\0\x03" + bytes(4)
    raw.feed(frame(HEADERS, WHOLE, 5, HEAD))
    assert len(raw.sinks) == 2
    assert not raw.engine.want_close
    for sink in raw.sinks:
        sink.respond(200, TEXT, b"done")
    assert [kind for kind, *_ in raw.feed(b"")] == [HEADERS, HEADERS, DATA, DATA]
    assert raw.engine.want_close


def test_second_shutdown_does_not_wait_and_h2_agrees() -> None:
    peer = Peer()
    stream = peer.request()
    peer.engine.shutdown()
    peer.engine.shutdown()
    peer.engine.shutdown()
    peer.pump()
    codes = [event.error_code for event in peer.events if isinstance(event, h2.events.ConnectionTerminated)]
    assert codes == [h2.errors.ErrorCodes.NO_ERROR] * 2
    peer.sinks[0].send_head(200, TEXT)
    peer.sinks[0].send_end()
    out = peer.flush()
    assert [(kind, sid) for kind, _, sid, _ in frames(out)] == [(HEADERS, stream), (DATA, stream)]
    assert peer.engine.want_close


def test_idle_connection_closes_on_drain() -> None:
    raw = Raw()
    raw.engine.shutdown()
    raw.engine.shutdown()
    assert not raw.engine.want_close  # GOAWAY is not out yet
    assert [kind for kind, *_ in raw.feed(b"")].count(GOAWAY) == 2
    assert raw.engine.want_close


def test_close_sends_goaway_and_all_are_gone() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, WHOLE, 1, HEAD) + frame(HEADERS, WHOLE, 3, HEAD))
    raw.engine.close(INTERNAL_ERROR)
    assert [receiver.told for receiver in raw.receivers] == [["gone"], ["gone"]]
    assert raw.goaway_code(raw.feed(b"")) == INTERNAL_ERROR
    assert raw.engine.want_close
    assert raw.engine.open_requests == 0


def test_goaway_of_the_peer_lets_its_requests_finish() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, WHOLE, 1, HEAD))
    raw.feed(frame(GOAWAY, 0, 0, bytes(8)))
    assert not raw.engine.want_close
    raw.sinks[0].respond(200, TEXT, b"x")
    raw.feed(b"")
    assert raw.engine.want_close


def test_half_close_answers_whole_requests_and_gives_up_the_others() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, WHOLE, 1, HEAD) + frame(HEADERS, END_HEADERS, 3, plain(POST)))
    raw.engine.receive_eof()
    assert [receiver.told for receiver in raw.receivers] == [[], ["gone"]]
    assert not raw.engine.want_read
    raw.sinks[0].respond(200, TEXT, b"x")
    answer = raw.feed(b"")
    assert raw.resets(answer) == [(3, CANCEL)]
    assert DATA in [kind for kind, *_ in answer]
    assert raw.engine.want_close


def test_half_close_of_an_idle_connection_closes_it() -> None:
    raw = Raw()
    raw.engine.receive_eof()
    assert raw.engine.want_close


def test_connection_lost_tells_only_the_unfinished() -> None:
    raw = Raw()
    for n in (1, 3, 5):
        raw.feed(frame(HEADERS, WHOLE, n, HEAD))
    raw.sinks[0].respond(200, TEXT, b"x")
    raw.feed(b"")
    raw.sinks[1].send_head(200, TEXT)
    raw.engine.connection_lost()
    assert [receiver.told for receiver in raw.receivers] == [[], ["gone"], ["gone"]]
    assert raw.engine.open_requests == 0
    assert raw.engine.want_close
    assert not raw.engine.want_read
    raw.engine.receive_data(b"x")
    raw.engine.receive_eof()
    raw.engine.shutdown()
    raw.engine.close()
    raw.engine.resume_writing()
    raw.engine.connection_lost()
    assert raw.engine.data_to_send() == b""
    for sink in raw.sinks:
        sink.respond(200, TEXT, b"x")
        sink.reset(NO_ERROR)
        assert sink.send_data(b"x")


def test_connection_lost_from_within_on_request() -> None:
    raw = Raw()
    raw.handler = lambda sink: raw.engine.connection_lost()
    raw.feed(frame(HEADERS, WHOLE, 1, HEAD) + frame(HEADERS, WHOLE, 3, HEAD))
    assert len(raw.sinks) == 1
    assert raw.receivers[0].told == ["gone"]


def test_a_taken_body_outlives_the_stream() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, END_HEADERS, 1, plain(POST)) + frame(DATA, END_STREAM, 1, b"abc"))
    raw.engine.connection_lost()
    assert raw.sinks[0].take() == b"abc"


def test_connection_and_streams_are_freed() -> None:
    class Holder:
        """What an upper layer is to a sink: they point to each other."""

        def __init__(self, sink: Http2Stream) -> None:
            self.sink = sink

        def on_readable(self) -> None:
            pass

        def on_writable(self) -> None:
            pass

        def on_gone(self) -> None:
            pass

    alive: weakref.WeakSet[Holder] = weakref.WeakSet()

    def on_request(sink: Http2Stream) -> None:
        holder = Holder(sink)
        alive.add(holder)
        sink.receiver = holder
        if sink.target == "/users/42":
            sink.respond(200, TEXT, b"x" * 10, (), TEXT)

    engine = Http2Connection(on_request, HttpLimits(), COMMON)
    engine.on_output = lambda: None
    gone = weakref.ref(engine)
    engine.receive_data(PREFACE + SETTINGS)
    gc.collect()
    gc.disable()
    try:
        for n in range(1, 2001, 2):
            engine.receive_data(frame(HEADERS, END_HEADERS, n, HEAD) + frame(DATA, END_STREAM, n, b"up"))
            engine.data_to_send()
        assert len(alive) == 0  # without the collector: every cycle was broken
        other = plain((*POST[:2], (":path", "/open"), POST[3]))
        for n in range(2001, 2021, 2):
            engine.receive_data(frame(HEADERS, END_HEADERS, n, other))
        assert len(alive) == 10
        engine.connection_lost()
        assert len(alive) == 0
        del engine
        assert gone() is None
    finally:
        gc.enable()


def test_an_abandoned_connection_is_collected() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, END_HEADERS, 1, plain(POST)))
    gone = weakref.ref(raw.engine)
    del raw
    gc.collect()
    assert gone() is None


def test_thousands_of_requests_leave_no_memory_behind() -> None:
    engine = Http2Connection(lambda s: s.respond(200, TEXT, s.take(), ((b"x-id", b"1"),)), HttpLimits(), COMMON)
    engine.receive_data(PREFACE + SETTINGS)

    def serve(first: int, count: int) -> None:
        for n in range(first, first + 2 * count, 2):
            engine.receive_data(frame(HEADERS, END_HEADERS, n, HEAD) + frame(DATA, END_STREAM, n, b"b" * 15))
            engine.data_to_send()

    serve(1, 500)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        serve(1001, 3000)
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
        assert engine.open_requests == 0
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seed", range(40))
def test_garbage_after_the_preface_never_crashes(seed: int) -> None:
    rng = random.Random(seed)
    raw = Raw(on_request=lambda s: s.respond(200, TEXT, s.take()) if rng.random() < 0.5 else None)
    kinds = [DATA, HEADERS, 2, RST_STREAM, SETTINGS_FRAME, 5, PING, GOAWAY, WINDOW_UPDATE, 9, 16, 200]
    for _ in range(60):
        if rng.random() < 0.1:
            data = rng.randbytes(rng.randrange(60))
        else:
            payload = rng.choice([HEAD, plain(POST), rng.randbytes(4), rng.randbytes(rng.randrange(20)), bytes(8)])
            data = frame(rng.choice(kinds), rng.choice([0, 1, 4, 5, 8, 0x20]), rng.choice([0, 1, 1, 3, 5, 7]), payload)
        raw.feed(data)
        for sink in raw.sinks:
            act = rng.randrange(4)
            if act == 0:
                sink.take()
            elif act == 1:
                sink.grant(5)
            elif act == 2:
                sink.reset(8)
    raw.engine.connection_lost()
    assert raw.engine.open_requests == 0
    assert all(sink.closed for sink in raw.sinks)


def test_a_request_that_is_being_answered_may_stay_silent() -> None:
    """Two streams that are open both ways: only a body that the answer still waits for is timed."""
    raw = Raw()
    raw.feed(frame(HEADERS, END_HEADERS, 1, plain(POST)))
    assert raw.engine.awaiting_body
    raw.sinks[0].send_head(200, TEXT)
    assert not raw.engine.awaiting_body
    raw.engine.timeout()
    raw.sinks[0].send_data(b"x")
    answer = raw.feed(b"")
    assert raw.resets(answer) == []
    assert DATA in [kind for kind, *_ in answer]
