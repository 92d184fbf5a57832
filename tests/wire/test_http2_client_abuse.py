"""Servers that do not play by the rules: each ends with the right code, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polywire.wire.http2_client import Http2ClientConnection
from polywire.wire.limits import HttpLimits
from tests.wire.http2_client_peer import Against, flush, head_frame, trailers_frame
from tests.wire.http2_peer import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    SETTINGS_FRAME,
    WINDOW_UPDATE,
    frame,
    plain,
    text,
)

PUSH_PROMISE = 5
Sent = list[tuple[int, int, int, bytes]]


def goaway(sent: Sent) -> int | None:
    return next((int.from_bytes(payload[4:8]) for kind, _, _, payload in sent if kind == GOAWAY), None)


def reset(sent: Sent) -> int | None:
    return next((int.from_bytes(payload) for kind, _, _, payload in sent if kind == RST_STREAM), None)


@pytest.mark.parametrize(
    "unit",
    [
        frame(PING, 0, 0, bytes(8)),
        SETTINGS,
        frame(SETTINGS_FRAME, 0, 0, b"\0\3\0\0\0\x64"),
        frame(PRIORITY, 0, 1, bytes(5)),
        frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
        frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
        frame(DATA, 0, 1),
        frame(RST_STREAM, 0, 1, bytes(4)),
        frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff" + bytes(4)),
        head_frame(1, status="103"),
    ],
    ids=["ping", "settings", "max_streams", "priority", "window", "stream_window", "empty", "rst", "goaway", "1xx"],
)
def test_a_flood(unit: bytes) -> None:
    against = Against(HttpLimits(max_glitches=50))
    recorder = against.call()
    if unit[3] == DATA:
        against.feed(head_frame(1))
    few = against.feed(unit * 20)
    assert goaway(few) is None
    many = against.feed(unit * 200)
    assert goaway(many) == ENHANCE_YOUR_CALM
    assert recorder.told[-1] == "gone"
    assert against.client.want_close
    assert against.feed(unit * 200) == []


def test_what_requests_excuse_is_no_flood() -> None:
    against = Against(HttpLimits(max_glitches=10))
    for stream in range(1, 401, 2):
        against.call()
        answer = head_frame(stream) + frame(DATA, 0, stream, b"x") + trailers_frame(stream, ("grpc-status", "0"))
        sent = against.feed(frame(PING, 0, 0, bytes(8)) + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") + answer)
        assert goaway(sent) is None


def test_glitches_of_another_second_are_forgotten() -> None:
    against = Against(HttpLimits(max_glitches=50))
    for second in range(1, 6):
        against.client.now = float(second)
        assert goaway(against.feed(frame(PING, 0, 0, bytes(8)) * 40)) is None


def test_a_push_is_refused() -> None:
    against = Against()
    against.call()
    block = plain(((":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/")))
    assert goaway(against.feed(frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block))) == PROTOCOL_ERROR


def test_a_head_that_is_too_large() -> None:
    against = Against(HttpLimits(max_header_bytes=1000))
    recorder, other = against.call(), against.call()
    sent = against.feed(head_frame(1, *((f"a{i}", "x" * 100) for i in range(20))))
    assert reset(sent) == ENHANCE_YOUR_CALM
    assert (recorder.told, recorder.code) == (["gone"], ENHANCE_YOUR_CALM)
    against.feed(head_frame(3, end=True))
    assert other.told == ["head 200", "end"]


def test_too_many_fields() -> None:
    against = Against(HttpLimits(max_headers=10))
    recorder = against.call()
    assert reset(against.feed(head_frame(1, *((f"a{i}", "x") for i in range(11))))) == ENHANCE_YOUR_CALM
    assert recorder.code == ENHANCE_YOUR_CALM


def test_trailers_that_are_too_large() -> None:
    against = Against(HttpLimits(max_header_bytes=1000))
    recorder = against.call()
    against.feed(head_frame(1))
    assert reset(against.feed(trailers_frame(1, ("a", "x" * 2000)))) == ENHANCE_YOUR_CALM
    assert recorder.told == ["head 200", "gone"]


def test_bombs_end_the_connection() -> None:
    """One field in the dynamic table, then a byte for each time it is meant (RFC 7541 §7.3)."""
    against = Against(HttpLimits(max_header_bytes=1000))
    bomb = plain(((":status", "200"),)) + b"\x40" + text("a") + text("x" * 500) + b"\xbe" * 10_000
    told: list[int | None] = []
    for stream in range(1, 13, 2):
        against.call()
        told.append(goaway(against.feed(frame(HEADERS, END_HEADERS, stream, bomb))))
        if told[-1] is not None:
            break
    assert told[-1] == ENHANCE_YOUR_CALM


def test_a_head_that_never_ends() -> None:
    against = Against()
    against.call()
    piece = plain((("a", "b"),))
    sent = against.feed(frame(HEADERS, 0, 1, plain(((":status", "200"),))) + frame(CONTINUATION, 0, 1, piece) * 20)
    assert goaway(sent) == ENHANCE_YOUR_CALM


def test_more_than_the_window() -> None:
    against = Against(HttpLimits(max_buffered_body_bytes=65535))
    recorder = against.call()
    recorder.reads = False
    against.feed(head_frame(1))
    sent: Sent = []
    for _ in range(5):
        sent += against.feed(frame(DATA, 0, 1, bytes(16384)))
    assert FLOW_CONTROL_ERROR in (goaway(sent), reset(sent))
    assert recorder.stream.buffered_in_bytes <= 65535 + 16384
    assert recorder.told[-1] == "gone"


@pytest.mark.parametrize(
    "answer",
    [
        head_frame(1, ("Upper", "x")),
        head_frame(1, ("connection", "close")),
        head_frame(1, (":path", "/")),
        head_frame(1, status="20"),
        frame(HEADERS, END_HEADERS, 1, plain((("no", "status"),))),
        head_frame(1) + frame(HEADERS, END_HEADERS, 1, plain((("no", "end"),))),
        head_frame(1, ("content-length", "3")) + frame(DATA, 1, 1, b"four"),
        head_frame(1, ("a", "b\0c")),
    ],
    ids=["capital", "connection", "pseudo", "status", "no_status", "trailers", "length", "nul"],
)
def test_a_malformed_answer(answer: bytes) -> None:
    """RFC 9113 §8.1.1: a stream error; the connection goes on."""
    against = Against()
    recorder, other = against.call(), against.call()
    sent = against.feed(answer)
    assert reset(sent) is not None
    assert goaway(sent) is None
    assert recorder.told[-1] == "gone"
    against.feed(head_frame(3, end=True))
    assert other.told == ["head 200", "end"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (head_frame(7), PROTOCOL_ERROR),
        (head_frame(2), PROTOCOL_ERROR),
        (frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        (frame(DATA, 0, 7, b"x"), PROTOCOL_ERROR),
        (frame(PING, 0, 0, b"short"), FRAME_SIZE_ERROR),
        (frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (frame(SETTINGS_FRAME, 0, 0, b"\0\4\xff\xff\xff\xff"), FLOW_CONTROL_ERROR),
        (frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), FLOW_CONTROL_ERROR),
        (frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff"), 9),
        (b"\xff\xff\xff" + bytes(6), FRAME_SIZE_ERROR),
    ],
)
def test_connection_errors(data: bytes, code: int) -> None:
    against = Against()
    recorder = against.call()
    assert goaway(against.feed(data)) == code
    assert recorder.told == ["gone"]
    assert against.client.want_close


FRAMES = st.builds(
    frame,
    st.integers(0, 11),
    st.sampled_from([0, 1, 4, 5, 8, 12, 32, 255]),
    st.sampled_from([0, 1, 2, 3, 5, 7]),
    st.one_of(st.binary(max_size=40), st.just(plain(((":status", "200"), ("a", "b"))))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAMES, max_size=30), st.integers(1, 60))
def test_any_frames_in_any_pieces(sent: list[bytes], size: int) -> None:
    """Nothing raises; each call is told at most one end, and its head first; nothing is open once it is over."""
    against = Against()
    recorders = [against.call() for _ in range(3)]
    data = b"".join(sent)
    for start in range(0, len(data), size):
        against.feed(data[start : start + size])
    for recorder in recorders:
        ends = [told for told in recorder.told if told in ("end", "gone")]
        assert ends == recorder.told[-1:] or not ends
        assert recorder.told.count("head 200") <= 1
        assert recorder.told[:1] in ([], ["head 200"], ["gone"])
    against.client.connection_lost()
    assert against.client.open_streams == 0
    assert all(recorder.told[-1] in ("end", "gone") for recorder in recorders)


def test_something_else_than_http2() -> None:
    client = Http2ClientConnection(HttpLimits())
    flush(client)
    client.receive_data(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
    flush(client)
    assert client.want_close
    assert not client.settled


def test_an_answer_to_a_cancelled_request_is_dropped() -> None:
    against = Against(HttpLimits(max_buffered_body_bytes=65535, max_connection_window_bytes=65535))
    for stream in range(1, 41, 2):
        recorder = against.call()
        recorder.stream.reset(8)
        flush(against.client)
        sent = against.feed(head_frame(stream) + frame(DATA, 0, stream, bytes(16384)))
        assert goaway(sent) is None
    # The connection's window has been given back all along.
    recorder = against.call()
    against.feed(head_frame(41) + frame(DATA, 1, 41, bytes(16384)))
    assert len(recorder.body) == 16384


def test_pings_while_the_transport_is_paused_stop_the_reading() -> None:
    against = Against(HttpLimits(max_glitches=10_000))
    against.client.pause_writing()
    assert against.client.want_read
    against.feed(frame(PING, 0, 0, bytes(8)) * 400)
    assert not against.client.want_read
    against.client.resume_writing()
    flush(against.client)
    assert against.client.want_read
