"""What the HTTP/2 engine does by the clock that its driver sets: bodies, PINGs, and answers that wait."""

from __future__ import annotations

import pytest

from polywire.wire.http2 import Http2Stream
from polywire.wire.limits import HttpLimits

from .http2_peer import (
    ACK,
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GET,
    GOAWAY,
    HEADERS,
    NO_ERROR,
    PING,
    POST,
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS_FRAME,
    TEXT,
    WINDOW_UPDATE,
    Raw,
    frame,
    plain,
)

WHOLE = END_HEADERS | END_STREAM
HEAD, BODY_HEAD = plain(GET), plain(POST)
PROBE = frame(PING, 0, 0, bytes(8))


def opened(raw: Raw, *streams: int) -> list[Http2Stream]:
    raw.feed(b"".join(frame(HEADERS, END_HEADERS, stream, BODY_HEAD) for stream in streams))
    return raw.sinks[-len(streams) :]


def look(raw: Raw, now: float, limit_s: float = 30.0) -> list[tuple[int, int]]:
    """Let the engine look at its streams at `now`; what it resets."""
    raw.engine.now = now
    raw.engine.reset_stalled(limit_s)
    return raw.resets(raw.feed(b""))


# Bodies.


def test_each_body_is_timed_by_itself() -> None:
    raw = Raw()
    opened(raw, 1, 3)
    assert look(raw, 20.0) == []
    raw.feed(frame(DATA, 0, 3, b"x"))
    raw.sinks[1].grant(len(raw.sinks[1].take()))
    assert look(raw, 29.9) == []
    assert look(raw, 30.0) == [(1, CANCEL)]
    assert raw.receivers[0].told == ["gone"]
    assert not raw.sinks[1].closed
    assert look(raw, 50.0) == [(3, CANCEL)]
    assert raw.engine.open_requests == 0


def test_a_body_that_may_take_its_time_is_not_timed() -> None:
    raw = Raw()
    (sink,) = opened(raw, 1)
    sink.body_timed = False
    assert look(raw, 1e6) == []
    assert not raw.engine.awaiting_body
    sink.body_timed = True
    assert raw.engine.awaiting_body
    assert look(raw, 1e6 + 29) == []  # the time begins when it is timed again
    assert look(raw, 1e6 + 30) == [(1, CANCEL)]


@pytest.mark.parametrize("window", ["stream", "connection"])
def test_a_peer_without_credit_owes_nothing(window: str) -> None:
    limits = HttpLimits(
        max_buffered_body_bytes=1000 if window == "stream" else 100_000, max_connection_window_bytes=65535
    )
    raw = Raw(limits)
    (sink,) = opened(raw, 1)
    raw.feed(frame(SETTINGS_FRAME, ACK, 0))
    size = 1000 if window == "stream" else 65535
    for at in range(0, size, 1000):
        raw.feed(frame(DATA, 0, 1, bytes(min(1000, size - at))))
    assert len(sink.take()) == size
    assert look(raw, 1000.0) == []
    sink.grant(size)
    raw.flush()
    assert look(raw, 1029.0) == []
    assert look(raw, 1030.0) == [(1, CANCEL)]


def test_a_body_that_waits_for_us_is_not_timed() -> None:
    raw = Raw()
    (sink,) = opened(raw, 1)
    raw.feed(frame(DATA, 0, 1, b"x"))
    assert look(raw, 1000.0) == []
    sink.take()
    assert look(raw, 1029.0) == []
    assert look(raw, 1030.0) == [(1, CANCEL)]


def test_a_request_that_is_answered_and_does_not_end_is_told_to_stop() -> None:
    raw = Raw()
    (sink,) = opened(raw, 1)
    sink.respond(200, TEXT, b"early")
    raw.feed(b"")
    assert raw.engine.open_requests == 0
    assert look(raw, 29.0) == []
    assert look(raw, 30.0) == [(1, NO_ERROR)]
    assert look(raw, 90.0) == []
    assert raw.receivers[0].told == []


def test_timeout_is_for_heads_only() -> None:
    raw = Raw()
    opened(raw, 1)
    raw.engine.timeout()
    assert raw.feed(b"") == []
    raw.feed(frame(HEADERS, END_STREAM, 3, HEAD))
    assert raw.engine.awaiting_head
    raw.engine.timeout()
    assert raw.goaway_code(raw.feed(b"")) == PROTOCOL_ERROR
    assert raw.engine.open_requests == 0


def test_a_head_in_pieces_is_awaited_to_its_end() -> None:
    raw = Raw()
    whole = frame(HEADERS, END_STREAM, 1, HEAD) + frame(CONTINUATION, END_HEADERS, 1)
    raw.feed(whole[:12])
    assert raw.engine.awaiting_head
    raw.feed(whole[12:-1])
    assert raw.engine.awaiting_head
    raw.feed(whole[-1:])
    assert not raw.engine.awaiting_head
    assert len(raw.sinks) == 1


# PINGs.


def test_keep_alive_of_a_grpc_client_on_an_idle_connection_is_welcome() -> None:
    raw = Raw()
    marker = raw.engine.last_activity_marker
    for n in range(1, 1000):
        raw.engine.now = n * 10.0
        assert raw.feed(PROBE) == [(PING, ACK, 0, bytes(8))]
    assert raw.engine.last_activity_marker > marker + 900  # its sender wants the connection kept


def test_too_many_pings_for_nothing() -> None:
    raw = Raw()
    answer = []
    for n in range(1, 30):
        raw.engine.now = n * 2.0
        answer = raw.feed(PROBE)
        if raw.engine.want_close:
            break
    assert n == 18  # the first is not early, sixteen are let pass
    assert [payload[4:] for kind, _, _, payload in answer if kind == GOAWAY] == [
        ENHANCE_YOUR_CALM.to_bytes(4, "big") + b"too_many_pings",
        ENHANCE_YOUR_CALM.to_bytes(4, "big"),
    ]
    assert raw.engine.want_close


def test_early_pings_are_forgiven_by_patience_and_by_work() -> None:
    raw = Raw(HttpLimits(max_early_pings=2), on_request=lambda sink: sink.respond(200, TEXT, b"x"))
    for _ in range(20):
        raw.feed(PROBE)
        raw.feed(PROBE)
        raw.engine.now += 5.0
    for n in range(1, 101, 2):
        raw.feed(frame(HEADERS, WHOLE, n, HEAD))
        raw.feed(PROBE * 6)  # a request, its head and its data excuse nine
    assert not raw.engine.want_close


def test_our_own_pings_are_answered_once() -> None:
    raw = Raw(HttpLimits(max_glitches=1))  # the peer's SETTINGS are one
    raw.engine.ping()
    ((kind, flags, stream, payload),) = raw.feed(b"")
    assert (kind, flags, stream) == (PING, 0, 0)
    assert raw.feed(frame(PING, ACK, 0, payload)) == []
    assert not raw.engine.want_close
    assert raw.goaway_code(raw.feed(frame(PING, ACK, 0, payload))) == ENHANCE_YOUR_CALM


# Answers that wait.


def test_requests_wait_while_too_much_is_unsent() -> None:
    raw = Raw(
        HttpLimits(max_unsent_bytes=250),
        on_request=lambda sink: sink.respond(200, TEXT, b"x" * 100),
        preface=PREFACE + frame(SETTINGS_FRAME, 0, 0, b"\0\x04\0\0\0\0"),
    )
    raw.feed(b"".join(frame(HEADERS, WHOLE, n, HEAD) for n in range(1, 13, 2)))
    assert len(raw.sinks) == 3
    assert not raw.engine.awaiting_head
    answer = raw.feed(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x64") + frame(WINDOW_UPDATE, 0, 3, b"\0\0\0\x64"))
    assert len(raw.sinks) == 5
    assert [stream for kind, _, stream, _ in answer if kind == HEADERS] == [7, 9]
    raw.feed(frame(3, 0, 11, b"\0\0\0\x08"))
    raw.feed(frame(3, 0, 9, b"\0\0\0\x08"))
    assert len(raw.sinks) == 5  # the last was reset before its turn came
    raw.feed(frame(HEADERS, WHOLE, 13, HEAD))
    assert len(raw.sinks) == 6


def test_output_that_comes_of_a_flush_is_told_of() -> None:
    """What a writable stream queues, or a request that had waited answers, must not lie until the next read."""
    flushes = []
    raw = Raw(
        HttpLimits(max_unsent_bytes=50),
        on_request=lambda sink: sink.respond(200, TEXT, b"x" * 100),
    )
    raw.engine.on_output = lambda: flushes.append(1)
    raw.engine.receive_data(frame(HEADERS, WHOLE, 1, HEAD) + frame(HEADERS, WHOLE, 3, HEAD))
    assert len(raw.sinks) == 1
    assert raw.engine.data_to_send()
    assert len(raw.sinks) == 2
    assert flushes == [1]
    assert raw.engine.data_to_send()
    assert flushes == [1]
