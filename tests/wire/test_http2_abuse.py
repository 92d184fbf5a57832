"""What a hostile HTTP/2 peer may try, and what it costs: a GOAWAY soon, and little memory or time until then."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

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
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS_FRAME,
    TEXT,
    WINDOW_UPDATE,
    Raw,
    frame,
    plain,
    text,
)

HEAD = plain(GET)
WHOLE = END_HEADERS | END_STREAM
OPEN = frame(HEADERS, END_HEADERS, 1, plain(POST))
CANCEL_CODE = b"\0\0\0\x08"

INCREMENT_0 = "MadeYouReset by increment 0"
OPENING = (INCREMENT_0, "MadeYouReset by window overflow", "MadeYouReset by length", "malformed heads")
# name: (before, one step of the flood for stream id n)
FLOODS: dict[str, tuple[bytes, Callable[[int], bytes]]] = {
    "rapid reset": (b"", lambda n: frame(HEADERS, WHOLE, n, HEAD) + frame(RST_STREAM, 0, n, CANCEL_CODE)),
    "rapid reset with NO_ERROR": (b"", lambda n: frame(HEADERS, WHOLE, n, HEAD) + frame(RST_STREAM, 0, n, bytes(4))),
    INCREMENT_0: (
        b"",
        lambda n: frame(HEADERS, END_HEADERS, n, HEAD) + frame(WINDOW_UPDATE, 0, n, bytes(4)),
    ),
    "MadeYouReset by window overflow": (
        b"",
        lambda n: frame(HEADERS, END_HEADERS, n, HEAD) + frame(WINDOW_UPDATE, 0, n, b"\x7f\xff\xff\xff"),
    ),
    "MadeYouReset by length": (
        b"",
        lambda n: (
            frame(HEADERS, END_HEADERS, n, plain((*POST, ("content-length", "1")))) + frame(DATA, END_STREAM, n, b"xx")
        ),
    ),
    "malformed heads": (b"", lambda n: frame(HEADERS, WHOLE, n, plain(GET[1:]))),
    "RST_STREAM of a closed stream": (
        OPEN + frame(RST_STREAM, 0, 1, CANCEL_CODE),
        lambda n: frame(RST_STREAM, 0, 1, CANCEL_CODE),
    ),
    "PING": (b"", lambda n: frame(PING, 0, 0, bytes(8))),
    "PING acknowledgements": (b"", lambda n: frame(PING, ACK, 0, bytes(8))),
    "SETTINGS": (b"", lambda n: frame(SETTINGS_FRAME, 0, 0)),
    "GOAWAY": (OPEN, lambda n: frame(GOAWAY, 0, 0, bytes(8))),
    "unknown frames": (b"", lambda n: frame(0xFA, 0, 0, b"x")),
    "PRIORITY_UPDATE": (b"", lambda n: frame(0x10, 0, 0, n.to_bytes(4, "big") + b"u=1")),
    "heads for a closed stream": (
        OPEN + frame(RST_STREAM, 0, 1, CANCEL_CODE),
        lambda n: frame(HEADERS, WHOLE, 1, HEAD),
    ),
    "heads for streams that are refused": (
        b"".join(frame(HEADERS, END_HEADERS, n, plain(POST)) for n in range(1, 257, 2)),
        lambda n: frame(HEADERS, WHOLE, n + 256, HEAD),
    ),
    "empty DATA": (OPEN, lambda n: frame(DATA, 0, 1)),
    "DATA of padding only": (OPEN, lambda n: frame(DATA, PADDED, 1, b"\x02\0\0")),
    "PRIORITY": (b"", lambda n: frame(PRIORITY, 0, n, b"\0\0\0\0\x10")),
    "WINDOW_UPDATE of the connection": (b"", lambda n: frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")),
    "WINDOW_UPDATE of a stream": (OPEN, lambda n: frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01")),
    "CONTINUATION": (
        frame(HEADERS, 0, 1, HEAD),
        lambda n: frame(CONTINUATION, 0, 1, plain((("x-a", "b" * 100),))),
    ),
    "empty CONTINUATION": (frame(HEADERS, 0, 1, HEAD), lambda n: frame(CONTINUATION, 0, 1)),
    "heads over the limit": (
        b"",
        lambda n: frame(HEADERS, WHOLE, n, plain((*GET, *[(f"x{i}", "") for i in range(130)]))),
    ),
}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", FLOODS)
def test_floods_end_with_goaway(name: str, together: bool) -> None:
    before, step = FLOODS[name]
    raw = Raw()
    raw.feed((b"" if "refused" in name else frame(SETTINGS_FRAME, ACK, 0)) + before)
    steps = [step(2 * n + 3) for n in range(1500)]
    if together:
        answer = raw.feed(b"".join(steps))
    else:
        for count, data in enumerate(steps):
            answer = raw.feed(data)
            if raw.engine.want_close:
                assert count < 400
                break
    # nghttp2 itself objects to more streams at once than it allowed, and to increment 0 on any stream.
    by_nghttp2 = name in OPENING and (together or name == INCREMENT_0)
    assert raw.goaway_code(answer) == (PROTOCOL_ERROR if by_nghttp2 else ENHANCE_YOUR_CALM)
    assert raw.engine.want_close
    assert raw.engine.open_requests == 0
    assert [sink for sink in raw.sinks if sink.method == "GET"] == []  # none of the reset ones was handed up
    assert raw.feed(frame(HEADERS, WHOLE, 5001, HEAD)) == []


NEVER_ALLOWED = ("CONTINUATION", "empty CONTINUATION", "PING", INCREMENT_0)


@pytest.mark.parametrize("name", [name for name in FLOODS if name not in NEVER_ALLOWED])
def test_the_same_spread_over_time_is_no_flood(name: str) -> None:
    before, step = FLOODS[name]
    raw = Raw()
    raw.feed((b"" if "refused" in name else frame(SETTINGS_FRAME, ACK, 0)) + before)
    for n in range(300):
        raw.engine.now += 0.25
        raw.feed(step(2 * n + 3))
    assert not raw.engine.want_close


def test_made_you_reset_is_not_handed_up_even_in_one_read_with_others() -> None:
    raw = Raw(on_request=lambda s: s.respond(200, TEXT, b"x"))
    answer = raw.feed(
        frame(HEADERS, WHOLE, 1, HEAD)
        + frame(HEADERS, END_HEADERS, 3, HEAD)
        + frame(WINDOW_UPDATE, 0, 3, b"\x7f\xff\xff\xff")
        + frame(HEADERS, WHOLE, 5, HEAD)
    )
    assert [sink.target for sink in raw.sinks] == ["/users/42"] * 2
    assert raw.resets(answer) == [(3, 3)]
    assert {stream for kind, _, stream, _ in answer if kind == DATA} == {1, 5}


def test_pings_and_credit_that_follow_our_data_are_no_flood() -> None:
    """gRPC clients probe with a PING per answer; simple clients give credit back for every DATA frame."""
    raw = Raw()
    raw.feed(OPEN)
    (sink,) = raw.sinks
    sink.send_head(200, TEXT)
    for _ in range(2000):
        sink.send_data(b"message")
        raw.feed(
            frame(PING, 0, 0, bytes(8))
            + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\7")
            + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\7")
        )
    assert not raw.engine.want_close


@pytest.mark.parametrize(("count", "ended"), [(25, False), (26, True)])
def test_resets_in_the_read_that_brought_the_stream_count_for_eight(count: int, ended: bool) -> None:
    """200 a second are allowed, but one that nobody can have seen yet is no change of mind."""
    raw = Raw(HttpLimits(max_resets=200))
    rapid = [
        frame(HEADERS, WHOLE, stream, HEAD) + frame(RST_STREAM, 0, stream, CANCEL_CODE)
        for stream in range(1, 2 * count, 2)
    ]
    answer = raw.feed(b"".join(rapid))
    assert (raw.goaway_code(answer) == ENHANCE_YOUR_CALM) is ended
    assert raw.engine.open_requests == 0


def test_early_answers_are_no_resets() -> None:
    raw = Raw(on_request=lambda s: s.respond(404, TEXT, b""))
    for n in range(1, 1000, 2):
        raw.feed(frame(HEADERS, END_HEADERS, n, HEAD))
        raw.feed(frame(DATA, END_STREAM, n, b""))
    assert not raw.engine.want_close
    assert len(raw.sinks) == 500


def test_resets_of_what_was_answered_are_no_flood() -> None:
    """grpcio resets a client stream that the server has ended early; a reset may also cross with our own."""
    raw = Raw(on_request=lambda s: s.respond(200, TEXT, b"enough"))
    for n in range(1, 2001, 2):
        raw.feed(frame(HEADERS, END_HEADERS, n, plain(POST)))
        raw.feed(frame(RST_STREAM, 0, n, CANCEL_CODE))
        raw.feed(frame(RST_STREAM, 0, n, CANCEL_CODE))
    assert not raw.engine.want_close
    assert len(raw.sinks) == 1000
    assert {receiver.told == [] for receiver in raw.receivers} == {True}


def hpack_bomb(value: str, references: int) -> tuple[bytes, Callable[[int], bytes]]:
    """One field into the dynamic table, then heads that are mostly references to it."""
    stored = b"\x40" + text("x-b") + text(value)
    return frame(HEADERS, WHOLE, 1, HEAD + stored), lambda n: frame(HEADERS, WHOLE, n, HEAD + b"\xbe" * references)


def test_hpack_bomb_costs_little_and_ends_with_goaway() -> None:
    first, more = hpack_bomb("z" * 3900, 16_000)
    raw = Raw()
    raw.feed(first)
    assert len(raw.sinks) == 1
    data = b"".join(more(n) for n in range(3, 80, 2))
    tracemalloc.start()
    started = time.process_time()
    try:
        answer = raw.feed(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        spent = time.process_time() - started
        tracemalloc.stop()
    assert raw.goaway_code(answer) == ENHANCE_YOUR_CALM
    assert len(raw.sinks) == 1
    assert peak < 2_000_000  # decoded it would have been 2.4 GB
    assert spent < 0.25


def test_one_hpack_bomb_is_reset_and_others_go_on() -> None:
    first, more = hpack_bomb("z" * 3900, 16_000)
    raw = Raw()
    raw.feed(first)
    answer = raw.feed(more(3))
    assert raw.resets(answer) == [(3, ENHANCE_YOUR_CALM)]
    raw.feed(frame(HEADERS, WHOLE, 5, HEAD + b"\xbe"))
    assert raw.sinks[-1].headers.get("x-b") == "z" * 3900  # the decoding table is still right


def test_trailers_have_the_limits_of_a_head() -> None:
    raw = Raw()
    raw.feed(OPEN)
    answer = raw.feed(frame(HEADERS, WHOLE, 1, plain(tuple((f"x{n}", "v") for n in range(200)))))
    assert raw.resets(answer) == [(1, ENHANCE_YOUR_CALM)]
    assert raw.receivers[0].told == ["gone"]
    assert not raw.engine.want_close


def test_a_peer_that_floods_and_does_not_read_is_not_read_from() -> None:
    raw = Raw(HttpLimits(max_glitches=10**6, max_early_pings=10**6))
    raw.engine.pause_writing()
    for _ in range(300):
        assert raw.feed(frame(PING, 0, 0, bytes(8))) == []
    assert not raw.engine.want_read
    raw.engine.resume_writing()
    assert len(raw.feed(b"")) == 300
    assert raw.engine.want_read


def test_more_acknowledgements_than_nghttp2_keeps() -> None:
    raw = Raw(HttpLimits(max_glitches=10**6, max_early_pings=10**6))
    answer = raw.feed(frame(PING, 0, 0, bytes(8)) * 3000)
    assert raw.goaway_code(answer) == ENHANCE_YOUR_CALM
    assert raw.engine.want_close


def test_a_body_over_its_window_is_an_error() -> None:
    raw = Raw(HttpLimits(max_buffered_body_bytes=1000))
    raw.feed(frame(SETTINGS_FRAME, ACK, 0) + OPEN)
    answer = raw.feed(frame(DATA, 0, 1, b"x" * 1001))
    assert raw.resets(answer) == [(1, 3)]
    assert raw.receivers[0].told[-1] == "gone"


def test_body_in_single_bytes_costs_no_more_memory_than_its_length() -> None:
    raw = Raw()
    raw.feed(OPEN)
    piece = frame(DATA, 0, 1, b"x") * 1000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            raw.feed(piece)
        assert tracemalloc.get_traced_memory()[0] - before < 150_000
    finally:
        tracemalloc.stop()
    assert raw.sinks[0].buffered_in_bytes == 50_000


def test_resets_counted_while_serializing_stop_the_flush() -> None:
    """The layer above may reset for its own reasons; as often as a peer can bring about, it is the peer's fault."""

    def on_request(sink: Http2Stream) -> None:
        sink.reset(2)

    raw = Raw(HttpLimits(max_resets=20), on_request=on_request)
    answer = raw.feed(b"".join(frame(HEADERS, WHOLE, n, HEAD) for n in range(1, 61, 2)))
    assert raw.goaway_code(answer) == ENHANCE_YOUR_CALM
    assert raw.engine.want_close


def test_streams_that_open_with_credit_are_no_flood() -> None:
    """grpcio sends two WINDOW_UPDATEs with each request, 128 of them at once before any answer."""
    raw = Raw()
    for n in range(1, 257, 2):
        raw.feed(
            frame(HEADERS, END_HEADERS, n, HEAD)
            + frame(WINDOW_UPDATE, 0, n, b"\0\0\0\x05")
            + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x05")
            + frame(DATA, END_STREAM, n, b"x")
        )
    assert raw.engine.open_requests == 128
    assert not raw.engine.want_close


def test_answers_for_which_no_credit_comes_are_given_up() -> None:
    raw = Raw(preface=PREFACE + frame(SETTINGS_FRAME, 0, 0, b"\0\x04\0\0\0\x0a"))
    raw.feed(b"".join(frame(HEADERS, WHOLE, n, HEAD) for n in (1, 3, 5)))
    whole, taken, open_ended = raw.sinks
    whole.respond(200, TEXT, b"x" * 100)
    taken.respond(200, TEXT, b"x" * 100)
    open_ended.send_head(200, TEXT)
    open_ended.send_data(b"x" * 100)
    raw.flush()
    raw.engine.reset_unread()
    assert raw.resets(raw.feed(frame(WINDOW_UPDATE, 0, 3, b"\0\0\0\x01"))) == []
    raw.engine.reset_unread()
    # The one of which a byte went meanwhile stays, and the one whose handler still writes.
    assert raw.resets(raw.feed(b"")) == [(1, CANCEL)]
    assert (whole.closed, taken.closed, open_ended.closed) == (True, False, False)
    assert raw.engine.open_requests == 2
    raw.engine.reset_unread()
    assert raw.resets(raw.feed(b"")) == [(3, CANCEL)]


def test_answers_are_not_given_up_while_the_transport_is_the_one_that_is_full() -> None:
    raw = Raw(on_request=lambda sink: sink.respond(200, TEXT, b"x" * 1_000_000))
    raw.engine.pause_writing()
    raw.feed(frame(HEADERS, WHOLE, 1, HEAD))
    for _ in range(3):
        raw.engine.reset_unread()
    assert not raw.sinks[0].closed
